"""An index made again of files: what readers did, and what was taken back, is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from receiver import forward_targets, index, recalls
from receiver.facts import KnownFacts
from receiver.forward_ways import ByFolder
from receiver.forwarder import Forwarder
from receiver.forwarding import Forwarding
from receiver.marks import ReaderMarks
from receiver.queries import Queries
from receiver.records import Records
from receiver.standings import Standings
from receiver.tidings import since
from receiver.worklist import Worklist
from tests.receiver.filled import NORTH, ct_image
from tests.receiver.linking import Linked
from tests.receiver.test_recalls import recall, rows, send, shown, uids
from tests.receiver.test_reindex import again, lose
from tests.receiver.test_requests import opened, opening_of
from tests.receiver.test_standings import ABE, SATO, Trail

#: Everything that is not made again of images, openings and receipts.
OF_READERS = (
    index.standings,
    index.reading_steps,
    index.messages,
    index.calls,
    index.alarms,
    index.reader_marks,
    index.slide_marks,
    index.rescans,
    index.label_checks,
    index.recalls,
    index.forwards,
    index.forward_targets,
    index.forward_receipts,
    index.recalled_forwards,
    index.monitor_checks,
    index.requests,
    index.prior_links,
)


def contents(linked: Linked) -> dict[str, list[Any]]:
    asked = index.requests  # which is made again of the opening, whose time is not that of its row
    with linked.filled.index.read() as db:
        return {
            table.name: sorted(
                map(tuple, db.execute(select(*(c for c in table.c if c is not asked.c.at)))),
                key=repr,
            )
            for table in OF_READERS
        }


def news(linked: Linked, last: int = 0) -> list[dict[str, Any]]:
    with linked.filled.index.read() as db:
        return since(db, NORTH[1], last)


def _read(linked: Linked, folder: Path) -> str:
    """A study that one has read, marked, asked about and done with; return its key."""
    images = [ct_image("read", number) for number in range(1, 3)]
    send(linked, folder, images, request={"reason": "頭痛"}, priority="urgent")
    (row,) = rows(linked)
    key = str(row["key"])
    steps = Standings(linked.filled.index)
    steps.claim(key, SATO)
    steps.take_over(key, ABE, "交代")
    Queries(linked.filled.index).send(key, ABE, "query", "造影しましたか")
    steps.done(key, ABE, accept=2, told=False)
    known = Worklist(linked.filled.index, KnownFacts(linked.filled.store.root))
    image = {"sop": str(images[0].SOPInstanceUID), "frame": 1}
    mark = {"id": "m1", "kind": "length", "points": [[1, 1], [2, 2]], **image}
    given = {"marks": [mark], "keys": [image], "layout": None}
    ReaderMarks(known).keep("abe", key, given)
    at = index.now()
    with linked.filled.index.write() as db:
        said = {"study": key, "series_uid": "2.25.1", "user": "abe", "at": at}
        db.execute(insert(index.slide_marks).values(**said, body="{}"))
        db.execute(insert(index.rescans).values(**said, reason="focus"))
        db.execute(insert(index.label_checks).values(**said, same=True))
        alarm = {"study": key, "step": 1, "since": at, "at": at, "minutes": 5, "owed": "[]"}
        db.execute(insert(index.alarms).values(**alarm))
    return key


@pytest.mark.requirement("DAT-08", "UX-01")
@pytest.mark.badinput(92, "lost")
def test_what_readers_did_is_as_it_was(linked: Linked, tmp_path: Path) -> None:
    key = _read(linked, tmp_path)
    before, listed, heard = contents(linked), rows(linked), news(linked)
    lose(linked.filled)
    again(linked.filled)
    assert contents(linked) == before
    assert rows(linked) == listed
    assert listed[0]["reading"]["state"] == "done"
    told = news(linked)
    assert told[: len(heard)] == heard, "what a sender has not heard yet it still hears"
    assert told[-1]["state"] == "done"
    assert told[-1]["id"] > heard[-1]["id"] + 1000, "no number of news is given twice"
    linked.filled.arrive([ct_image("read", 3)])
    (row,) = rows(linked)
    assert (row["key"], row["reading"]["state"], row["reading"]["late"]) == (key, "unopened", 1)


@pytest.mark.slow
@pytest.mark.requirement("UX-01")
def test_what_a_sender_took_back_hides_nothing_of_what_stands(
    linked: Linked, tmp_path: Path
) -> None:
    """Sent twice and the second time taken back: the first stands in the new index as well."""
    images = [ct_image("twice", number) for number in range(1, 4)]
    send(linked, tmp_path, images[:2])
    second = send(linked, tmp_path, images)
    recall(linked, second)
    listed = rows(linked)
    assert listed[0]["recalled"]["reason"] == "患者違い"
    lose(linked.filled)
    again(linked.filled)
    assert rows(linked) == listed
    assert shown(linked, listed[0]["key"]) == uids(images[:2])


@pytest.mark.slow
def test_images_that_followed_an_announcement_have_their_places(
    linked: Linked, tmp_path: Path
) -> None:
    images = [ct_image("told", number) for number in range(1, 4)]
    first = opening_of([images[0]], instances=(), request={"reason": "頭痛"}, priority="urgent")
    assert opened(linked, first).status_code == 201
    kept = Records(linked.filled.index, linked.filled.data)
    kept.keep()
    whole = opening_of(images, transfer=first.transfer, request=first.request, priority="urgent")
    assert opened(linked, whole).status_code == 201
    linked.filled.arrive(images[:1])
    (row,) = rows(linked)
    assert (row["arrived"], row["expected"]) == (1, 3)
    kept.keep()
    lose(linked.filled)
    again(linked.filled)
    (after,) = rows(linked)
    assert (after["arrived"], after["expected"]) == (1, 3)
    assert shown(linked, row["key"]) == uids(images)


@pytest.mark.slow
@pytest.mark.requirement("REG-02", "PRI-06")
def test_what_was_handed_on_is_known_and_alarmed_when_it_is_taken_back(
    linked: Linked, tmp_path: Path
) -> None:
    filled, trail, inbox = linked.filled, Trail(), tmp_path / "inbox"
    inbox.mkdir()
    forward_targets.add(filled.index, forward_targets.folder("viewer", inbox, "契約7", "abe"))
    images = [ct_image("handed", number) for number in range(1, 4)]
    send(linked, tmp_path, images)
    (row,) = rows(linked)
    Forwarding(filled.index).ask(row["key"], ABE, "viewer")
    Forwarder(filled.index, {"folder": ByFolder(filled.store)}, str, trail.note).look()
    lose(filled)
    again(filled)
    (after,) = rows(linked)
    assert after["forward"]["state"] == "done"
    with filled.index.write() as db:
        sent = db.execute(select(index.transfers)).one()
        recalls.recall(db, sent, "鈴木", "患者違い")
    Forwarder(filled.index, {"folder": ByFolder(filled.store)}, str, trail.note).look()
    assert "alarm" in trail.events()
    assert rows(linked)[0]["recalled_at_targets"][0]["instances"] == 3


@pytest.mark.slow
def test_records_that_do_not_say_who_read_let_late_images_come_to_light(
    linked: Linked, tmp_path: Path
) -> None:
    """Of an older version, or lost: what was done stays done, and what comes then is late."""
    _read(linked, tmp_path)
    Records(linked.filled.index, linked.filled.data).keep()
    lose(linked.filled)
    for path in (linked.filled.data / "records" / "readings").iterdir():
        path.unlink()
    again(linked.filled)
    (row,) = rows(linked)
    assert (row["reading"]["state"], row["reading"]["display"]) == ("done", "")
    linked.filled.arrive([ct_image("read", 3)])
    assert rows(linked)[0]["reading"]["late"] == 1


@pytest.mark.slow
def test_a_record_is_written_when_its_study_changes_and_goes_with_its_rows(
    linked: Linked, tmp_path: Path
) -> None:
    key = _read(linked, tmp_path)
    kept = Records(linked.filled.index, linked.filled.data)
    kept.keep()
    assert kept.keep() == 0
    with linked.filled.index.write() as db:
        db.execute(index.alarms.update().values(owed='["mail"]'))
    assert kept.keep() == 1
    path = linked.filled.data / "records" / "readings" / f"{key}.json"
    assert path.stat().st_mode & 0o077 == 0
    with linked.filled.index.write() as db:
        for table in OF_READERS[:9]:
            db.execute(delete(table))
        db.execute(delete(index.tidings))
    kept.keep()
    assert not path.exists()
    assert list((linked.filled.data / "records" / "news").iterdir()) == []
    with linked.filled.index.read() as db:
        assert db.execute(select(func.count()).select_from(index.standings)).scalar() == 0
