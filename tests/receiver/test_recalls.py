"""What its sender takes back: the rest of the study stands, and who has it already is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from sqlalchemy import select

from common.errors import NotFound
from receiver import forward_recalls, forward_targets, forwarding, index
from receiver.facts import KnownFacts
from receiver.forward_ways import ByFolder
from receiver.forwarder import Forwarder
from receiver.forwarding import Forwarding
from receiver.standings import Standings
from receiver.stored import Address
from receiver.worklist import Worklist
from tests.receiver.filled import NORTH, ct_image
from tests.receiver.linking import Linked
from tests.receiver.test_requests import opened, opening_of
from tests.receiver.test_standings import ABE, SATO, Trail


def rows(linked: Linked) -> list[dict[str, Any]]:
    return Worklist(linked.filled.index, KnownFacts(linked.filled.store.root)).rows()


def shown(linked: Linked, key: str) -> set[str]:
    """The instances of a study that a page is given."""
    study = Worklist(linked.filled.index, KnownFacts(linked.filled.store.root)).study(key)
    return {one["sop_uid"] for series in study["series"] for one in series["instances"]}


def send(linked: Linked, folder: Path, images: list[Dataset], **more: Any) -> str:
    """Send images to their receipt; return the transfer."""
    opening = opening_of(images, **more)
    assert opened(linked, opening).status_code == 201
    linked.filled.arrive(images)
    answer = linked.close(opening.transfer, images, folder)
    assert answer.json()["receipt"]
    return str(opening.transfer)


def recall(linked: Linked, transfer: str, reason: str = "患者違い") -> None:
    words = {"by": "鈴木", "reason": reason}
    assert linked.client.post(f"/transfers/{transfer}/recall", json=words).status_code == 204


def uids(images: list[Dataset]) -> set[str]:
    return {str(one.SOPInstanceUID) for one in images}


@pytest.mark.requirement("UX-01", "DAT-04")
def test_a_study_stays_with_what_stands_when_its_newest_transfer_is_recalled(
    linked: Linked, tmp_path: Path
) -> None:
    images = [ct_image("part", number) for number in range(1, 6)]
    send(linked, tmp_path, images[:3], request={"reason": "頭痛"}, priority="urgent")
    newest = send(linked, tmp_path, images[3:])
    (row,) = rows(linked)
    assert (row["arrived"], row["expected"], row["recalled"]) == (5, 5, None)
    recall(linked, newest)
    recall(linked, newest)  # idempotent
    (row,) = rows(linked)
    assert (row["state"], row["arrived"], row["expected"]) == ("receipted", 3, 3)
    assert (row["priority"], row["request"]["reason"]) == ("urgent", "頭痛")
    assert row["recalled"]["images"] == 2
    assert row["recalled"]["reason"] == "患者違い"
    assert shown(linked, row["key"]) == uids(images[:3])
    with linked.filled.index.read() as db:
        reach = Address(NORTH[1]).where()
        served = db.execute(select(index.instances.c.sop_uid).where(reach)).scalars().all()
    assert set(served) == uids(images[:3]), "nothing of it is served to other viewers either"


@pytest.mark.requirement("UX-01")
@pytest.mark.slow
def test_images_that_an_older_transfer_brought_too_stand_with_it(
    linked: Linked, tmp_path: Path
) -> None:
    """All was sent twice and the second time taken back: nothing of the first is lost."""
    images = [ct_image("twice", number) for number in range(1, 4)]
    first = send(linked, tmp_path, images)
    second = send(linked, tmp_path, images)
    recall(linked, second)
    (row,) = rows(linked)
    assert (row["arrived"], row["recalled"]["images"]) == (3, 0)
    assert shown(linked, row["key"]) == uids(images)
    recall(linked, first)
    assert rows(linked) == [], "nothing of it stands"
    with pytest.raises(NotFound):
        shown(linked, row["key"])


@pytest.mark.requirement("RAD-09")
@pytest.mark.slow
def test_images_after_a_recall_are_not_counted_against_those_that_went(
    linked: Linked, tmp_path: Path
) -> None:
    """Done with three, two taken back, two others came: the reader has not seen these."""
    images = [ct_image("later", number) for number in range(1, 6)]
    send(linked, tmp_path, images[:1])
    gone = send(linked, tmp_path, images[1:3])
    (row,) = rows(linked)
    steps = Standings(linked.filled.index)
    steps.look(row["key"], SATO)
    steps.done(row["key"], SATO)
    recall(linked, gone)
    assert rows(linked)[0]["reading"]["state"] == "done"
    send(linked, tmp_path, images[3:])
    (row,) = rows(linked)
    assert (row["reading"]["state"], row["reading"]["late"]) == ("unopened", 2)


@pytest.mark.requirement("REG-02", "PRI-06")
@pytest.mark.slow
def test_what_was_handed_off_and_taken_back_is_alarmed_until_it_is_settled(
    linked: Linked, tmp_path: Path
) -> None:
    filled, trail = linked.filled, Trail()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    forward_targets.add(filled.index, forward_targets.folder("viewer", inbox, "契約7", "abe"))
    images = [ct_image("handed", number) for number in range(1, 4)]
    send(linked, tmp_path, images[:2])
    newest = send(linked, tmp_path, images[2:])
    (row,) = rows(linked)
    key = row["key"]
    made = Forwarding(filled.index).ask(key, SATO, "viewer")
    forwarder = Forwarder(filled.index, {"folder": ByFolder(filled.store)}, str, trail.note)
    forwarder.look()
    assert rows(linked)[0]["recalled_at_targets"] == []
    recall(linked, newest)
    forwarder.look()
    forwarder.look()
    alarms = [facts for event, facts in trail.said if event == "alarm"]
    assert [(one["of"], one["study"], one["target"], one["instances"]) for one in alarms] == [
        ("recalled-after-hand-off", key, "viewer", 1)
    ]
    (row,) = rows(linked)
    assert [(one["target"], one["instances"]) for one in row["recalled_at_targets"]] == [
        ("viewer", 1)
    ]
    recall(linked, next(one for one in transfers_of(linked) if one != newest))
    forwarder.look()
    (row,) = rows(linked)  # listed though nothing of it stands: somebody has to see to it
    assert (row["state_ja"], row["arrived"]) == ("取消", 0)
    with pytest.raises(NotFound):
        shown(linked, key)
    assert forwarding.of_study(filled.index, key)[0]["to_settle"] == 3
    with pytest.raises(NotFound):
        forward_recalls.settle(filled.index, made, ABE, trail.note, study="0" * 32)
    forward_recalls.settle(filled.index, made, ABE, trail.note)
    assert rows(linked) == []
    (told,) = forwarding.every(filled.index)
    assert (told["recalled"], told["settled"][0]) == (3, "abe")
    assert trail.said[-1][1]["what"] == "recall-settled"


def transfers_of(linked: Linked) -> list[str]:
    with linked.filled.index.read() as db:
        return list(db.execute(select(index.transfers.c.id)).scalars())
