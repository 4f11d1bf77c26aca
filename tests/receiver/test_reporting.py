"""What a receiver reports of a month, and what it tells its senders of its readers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from common import news, usage
from common.states import TransferState
from receiver import index, record_page, reporting, transfers
from tests.receiver.filled import EAST, NORTH, Filled, ct_image
from tests.receiver.linking import Linked

pytestmark = pytest.mark.evidence


def key(filled: Filled, images: list[Any], institution: str = NORTH[1]) -> str:
    with filled.index.read() as db:
        return transfers.study_key(db, institution, str(images[0].StudyInstanceUID))


def told(linked: Linked, since: str = "") -> news.News:
    return news.read(linked.client.get("/wanted", params={"since": since}).json())


def sent(linked: Linked, tmp_path: Path, name: str, *, receipted: bool = True) -> tuple[str, str]:
    """Send a study of two images; return its transfer and its key."""
    images = [ct_image(name, 1), ct_image(name, 2)]
    transfer = linked.open(images)
    linked.filled.arrive(images)
    if receipted:
        assert linked.close(transfer, images, tmp_path).json()["receipt"]
    return transfer, key(linked.filled, images)


@pytest.mark.requirement("UX-01")
def test_a_sender_hears_what_readers_did_and_each_word_once(linked: Linked, tmp_path: Path) -> None:
    first, of_first = sent(linked, tmp_path, "first", receipted=False)
    second, _ = sent(linked, tmp_path, "second", receipted=False)
    assert told(linked).states == ()
    list_ = linked.filled
    list_.look(of_first)
    (opened,) = told(linked).states
    assert (opened.transfer, opened.state) == (first, TransferState.OPENED)
    list_.done(of_first)
    answer = told(linked)
    assert [(one.transfer, one.state) for one in answer.states] == [(first, TransferState.DONE)]
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
    assert told(linked, later.isoformat(timespec="milliseconds")).states == ()
    assert told(linked, "' OR 1=1 --").states == answer.states  # no moment: from the beginning
    assert answer.until < index.now()
    assert second not in {one.transfer for one in answer.states}


@pytest.mark.requirement("NET-06")
def test_another_institutions_readings_are_not_told(linked: Linked) -> None:
    filled = linked.filled
    images = [ct_image("theirs", 1)]
    study = filled.open(images, EAST[1])
    filled.arrive(images, EAST[1])
    filled.look(study)
    assert told(linked).states == ()
    with filled.index.read() as db:
        of = index.instances.c.sop_uid == str(images[0].SOPInstanceUID)
        transfer = db.execute(index.instances.select().where(of)).one().transfer
    name = record_page.model(filled.index, transfer)["00100010"]["Value"][0]
    assert name["Ideographic"] == images[0].PatientName.ideographic
    assert record_page.model(filled.index, "0" * 32) == {}


@pytest.mark.requirement("SUB-10", "EVD-04", "DIR-12", "DIR-07")
def test_its_month_counts_what_came_was_receipted_and_was_read(
    linked: Linked, tmp_path: Path
) -> None:
    _, read = sent(linked, tmp_path, "read")
    sent(linked, tmp_path, "receipted")
    _, looked_at = sent(linked, tmp_path, "looked at", receipted=False)
    linked.filled.done(read)
    linked.filled.look(looked_at)
    data = _data(linked, tmp_path)
    report = reporting.month(data, index.now()[:7], UTC).as_json()
    (line,) = report["lines"]
    assert (line["partner_code"], line["modality"], line["purpose"]) == (
        NORTH[1],
        "CT",
        "diagnosis",
    )
    assert {name: line[name] for name in ("transfers", *usage.COLUMNS, "images")} == {
        "transfers": 3, "sent": 2, "countersigned": 2, "opened": 2, "done": 1, "images": 4,
    }  # fmt: skip
    assert line["bytes"] > 4 * 512
    assert report["test"] == 0
    assert reporting.month(data, "2020-01", UTC).empty
    _purged(linked.filled, read)
    (after,) = reporting.month(data, index.now()[:7], UTC).as_json()["lines"]
    assert after == line, "a purge changed the past"
    with linked.filled.index.write() as db:
        db.execute(update(index.transfers).values(test=True))
    tests = reporting.month(data, index.now()[:7], UTC)
    assert (tests.empty, tests.test) == (True, 3)


def _data(linked: Linked, tmp_path: Path) -> Path:
    """Return a data directory with the node's keys and the index of `linked`."""
    (tmp_path / "node" / "index.sqlite").symlink_to(linked.filled.data / "index.sqlite")
    return tmp_path / "node"


def _purged(filled: Filled, study: str) -> None:
    """Take a study's rows as a purge does, and keep its note."""
    with filled.index.write() as db:
        row = db.execute(index.studies.select().where(index.studies.c.key == study)).one()
        mine = index.instances.c.study_uid == row.study_uid
        db.execute(index.instances.delete().where(mine))
        db.execute(index.studies.delete().where(index.studies.c.key == study))
        note = {"at": index.now(), "by": "policy", "institution": NORTH[1], "study": study}
        of = {"instances": 2, "bytes": 1, "root": "0" * 64, "transfers": json.dumps([row.transfer])}
        db.execute(insert(index.purges).values(**note, **of))
