"""Evidence records over a real line: made, countersigned, numbered, anchored, kept, checked."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common import audit
from common.errors import ClockOff, IntegrityError, RecordDiffers
from common.proof import jws, record
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Sender
from receiver import evidence_files, index, record_watch
from receiver.index import Index
from receiver.record_watch import RecordWatch
from receiver.worklist import Worklist
from sender import sending
from sender.delivery import Delivery
from sender.outbox import Outbox
from sender.partners import find_partner
from sender.record_checking import ledger
from sender.record_making import Maker
from sender.record_sending import Recorder, path_of
from sender.recorded import today
from tests.system.ends import Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(120)]
FUTURE = "2999-01-01"


def send(ends: Ends, folder: Path, number: int) -> str:
    """Send a small study in this process; return its transfer."""
    write_series(folder, number, slices=2, side=16)
    options: dict[str, Any] = {"priority": "routine", "purpose": "diagnosis", "request": {}}
    partner = find_partner(ends.sender, None).key
    job = sending.submit(ends.sender, partner, [folder], {**options, "slide": {}, "stills": {}})
    sending.work(ends.sender, job, lambda _: None, threading.Event())
    with ends.outbox() as box:
        (one,) = box.transfers(job)
    assert str(one.state) == "receipted", one.error
    return one.id


@contextlib.contextmanager
def recorder(ends: Ends, day: str = "") -> Iterator[Recorder]:
    """Give what sends records, beside no daemon; days before `day`, else today, are over."""
    with contextlib.closing(Outbox(ends.sender)) as box:
        own = Sender.load(ends.sender)
        node = Node.load(ends.sender, Role.REQUESTER)
        partner = find_partner(ends.sender, None)
        yield Recorder(Delivery(box, node, own, partner, threading.Event()), lambda: day or today())


def kinds(ends: Ends) -> tuple[list[str], list[str]]:
    """Return what the daily checks of both ends find, as kind:number."""
    with ends.outbox() as box, ends.index() as known:
        key = find_partner(ends.sender, None).key
        ours = ledger(ends.sender, box, key).check()
        theirs = [
            one for kept in evidence_files.ledgers(known, ends.receiver) for one in kept.check()
        ]
    return [f"{f.kind}:{f.number}" for f in ours], [f"{f.kind}:{f.number}" for f in theirs]


@pytest.mark.requirement("EVD-01", "EVD-03", "EVD-09", "DIR-06", "DIR-15", "AUD-03", "DAT-12")
def test_a_transfer_ends_with_a_record_that_both_ends_signed(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 1, slices=3, side=32)
    data = ("--data", ends.sender)
    (sent,) = must("sender", "send", tmp_path / "ct", *data)["transfers"]
    path = tmp_path / "record.json"
    must("sender", "show", sent["id"], "--record", path, *data)
    file = json.loads(path.read_text("utf-8"))
    said = record.read_record(jws.verify(file["record"], file["certificates"]["sender"]))
    below = record.read_countersignature(
        jws.verify(file["countersignature"], file["certificates"]["receiver"])
    )
    assert (said.number, said.before, said.state) == (1, "", "receipted")
    assert below.record == record.name(file["record"])
    assert (below.count, below.root) == (3, record.root(file["instances"]))
    assert said.instances["root"] == below.root
    assert {part: said.established[part]["is"] for part in ("P3", "P4", "P5")} == {
        "P3": "yes", "P4": "yes", "P5": "yes"}  # fmt: skip
    assert said.clock is not None
    assert abs(said.clock["offset_ms"]) <= said.clock["bound_ms"]
    for line in said.tls.values():
        assert line is not None
        assert line["version"] == "TLSv1.3"
        assert all(len(one) == 64 for one in line["certificates"].values())
    assert said.software["sender"]["version"] == said.software["receiver"]["version"] != ""
    subject = file["subject"]
    key = bytes.fromhex(subject["key"])
    assert record.subject(key, subject["patient"], subject["study"]) == said.subject
    uid = file["instances"][1]["uid"]
    outside = tmp_path / "outside.json"
    must("receiver", "record", sent["id"][:8], outside, "--view", "outside", "--instance", uid,
         "--data", ends.receiver)  # fmt: skip
    text = outside.read_text("utf-8")
    shown = json.loads(text)
    assert (shown["record"], shown["countersignature"]) == (
        file["record"],
        file["countersignature"],
    )
    assert [one["leaf"] for one in shown["proofs"]] == [file["instances"][1]]
    for member in ("record", "countersignature"):  # random letters may spell anything
        text = text.replace(file[member], json.dumps(jws.payload(file[member])))
    for word in (subject["patient"]["PatientID"], subject["study"], file["instances"][0]["uid"]):
        assert f'"{word}"' not in text.replace("\\", "")
    checked = must("receiver", "records", "check", "--data", ends.receiver)
    assert checked == {"records": 1, "findings": []}
    assert kinds(ends) == ([], [])


@pytest.mark.requirement("AUD-03")
def test_nothing_is_signed_while_the_clocks_differ(ends: Ends, tmp_path: Path) -> None:
    with recorder(ends) as work:
        count = len(work.outbox.records())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TODOKE_SENDER_CLOCK_BOUND_MS", "1")  # no round trip takes less than 2 ms
        patch.setattr("sender.links.http.LinkClient.hello", _late)
        send(ends, tmp_path / "ct", 2)
        with recorder(ends) as work, pytest.raises(ClockOff) as off:
            work.work()
        assert "NTP" in off.value.words("ja")
        assert len(work_records(ends)) == count, "the receipt is there, the record waits"
    with recorder(ends) as work:
        work.work()
    assert len(work_records(ends)) == count + 1, "and is made once the clocks agree"


def _late(client: Any) -> dict[str, Any]:
    return {**client.ask("GET", "/hello"), "time": "2001-01-01T00:00:00+00:00"}


def work_records(ends: Ends) -> list[Any]:
    with ends.outbox() as box:
        return box.records()


@pytest.mark.requirement("EVD-01", "DIR-06")
def test_a_record_of_other_facts_is_refused_in_words_and_audited(
    ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = Maker._values

    def other(self: Maker, *args: Any) -> dict[str, Any]:
        made = values(self, *args)
        return {**made, "instances": {**made["instances"], "root": "ab" * 32}}

    monkeypatch.setattr(Maker, "_values", other)
    name = send(ends, tmp_path / "ct", 3)
    monkeypatch.undo()
    with ends.outbox() as box:
        (row,) = box.records_of(name)
    assert row.countersignature is None
    assert row.refused is not None
    assert row.refused["number"] == RecordDiffers.number
    trail = (ends.receiver / "audit" / "web.jsonl").read_text("utf-8")
    assert '"record-differs"' in trail
    send(ends, tmp_path / "next", 4)
    with ends.outbox() as box:
        last = box.records()[-1]
    assert last.number == row.number + 1
    assert last.countersignature is not None, "one that is refused holds up no other"
    found = f"refused:{row.number}"
    assert kinds(ends) == ([found], [found])


@pytest.mark.requirement("EVD-01")
def test_what_is_recalled_is_hidden_and_keeps_its_number(ends: Ends, tmp_path: Path) -> None:
    name = send(ends, tmp_path / "ct", 5)
    words = must("sender", "recall", name, "--by", "佐藤", "--reason", "患者 山田太郎 の取り違え",
                 "--data", ends.sender)  # fmt: skip
    assert words["state"] == "recalled"
    with recorder(ends) as work:
        work.work()
        row = work.outbox.records_of(name)[-1]
    said = record.read_record(jws.verify(row.statement, row.certificate))
    assert (said.state, said.person) == ("recalled", "佐藤")
    assert "山田" not in json.dumps(record.words(said), ensure_ascii=False)
    assert row.countersignature is not None
    with ends.index() as known:
        shown = Worklist(known, _facts(ends)).rows()
    study = said_study(ends, name)
    assert study not in {one["study_uid"] for one in shown}
    assert '"recalled"' in (ends.receiver / "audit" / "web.jsonl").read_text("utf-8")
    again = verb("sender", "recall", name, "--by", "佐藤", "--reason", "x", "--data", ends.sender)
    assert again.code == 2


def _facts(ends: Ends) -> Any:
    from receiver.facts import KnownFacts

    return KnownFacts(ends.receiver / "store")


def said_study(ends: Ends, name: str) -> str:
    with ends.outbox() as box:
        return box.transfer(name).study


def alarmed(ends: Ends, folder: Path, looks: int) -> list[int]:
    """Return the records that a receiver's daily check alarms, on a day after all others."""
    where, day = folder / f"audit{looks}", datetime(3000, 1, looks, tzinfo=UTC)
    with (
        contextlib.closing(audit.Trail(where, "keeper")) as trail,
        contextlib.closing(Index.at(ends.receiver)) as known,
    ):
        watch = RecordWatch(known, ends.receiver, trail)
        for _ in range(looks):
            watch.daily(day)
        with known.write() as db:
            index.mark(db, record_watch.CHECKED, "")
    return [one["record"] for one in audit.last(where, "alarm", 9)]


@pytest.mark.requirement("EVD-06")
def test_what_the_receiver_lost_it_asks_for_again(ends: Ends, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(ends.receiver / "index.sqlite")) as db, db:
        (number,) = db.execute("SELECT MAX(number) FROM evidence").fetchone()
        db.execute("DELETE FROM evidence WHERE number>=?", (number - 1,))
    told = verb("sender", "records", "check", "--data", ends.sender)
    assert "partner-lacks" in {one["kind"] for one in told.words["findings"]}
    send(ends, tmp_path / "ct", 8)
    with ends.index() as known, known.read() as db_index:
        rows = db_index.execute(evidence_files._records.select()).all()
    assert [row.number for row in rows] == list(range(1, number + 2))


@pytest.mark.requirement("EVD-06")
def test_days_are_anchored_and_what_is_missing_or_edited_is_named(
    ends: Ends, tmp_path: Path
) -> None:
    first, _second = send(ends, tmp_path / "a", 6), send(ends, tmp_path / "b", 7)
    with recorder(ends, FUTURE) as work:
        work.work()
        (anchor,) = work.outbox.anchors()
        rows = work.outbox.records()
        key = work.partner.key
    assert anchor.countersignature is not None
    assert (anchor.first, anchor.last) == (1, len(rows))
    path = tmp_path / "record.json"
    must("sender", "show", first, "--record", path, "--data", ends.sender)
    entry = json.loads(path.read_text("utf-8"))["anchors"]
    assert [one["place"] for one in entry] == [rows[-2].number - 1]
    sound = kinds(ends)
    last, place = rows[-1].number, path_of(ends.sender, rows[-1])
    with contextlib.closing(sqlite3.connect(ends.sender / "outbox.sqlite")) as db, db:
        db.execute("DELETE FROM records WHERE partner=? AND number=?", (key, last))
    kept = place.read_bytes()
    place.unlink()
    ours, _ = kinds(ends)
    assert f"deleted:{last}" in ours, "the newest, of which no other record speaks"
    told = verb("sender", "records", "check", "--data", ends.sender)
    assert told.code == IntegrityError.exit_code
    assert "partner-has-more" in {one["kind"] for one in told.words["findings"]}
    with contextlib.closing(sqlite3.connect(ends.sender / "outbox.sqlite")) as db, db:
        row = {k: v for k, v in vars_of(rows[-1]).items() if v is not None}
        names = ",".join(row)
        db.execute(f"INSERT INTO records({names}) VALUES({','.join('?' * len(row))})",
                   tuple(row.values()))  # fmt: skip
    place.write_bytes(kept)
    assert kinds(ends) == sound
    theirs = ends.receiver / "evidence"
    (file,) = theirs.glob(f"*/{last:08d}.json")
    edited = file.read_bytes()
    file.write_bytes(edited.replace(b'"acquired"', b'"accessory"', 1))
    assert f"file-edited:{last}" in kinds(ends)[1]
    assert alarmed(ends, tmp_path, looks=1) == [], "it may just be written"
    assert last in alarmed(ends, tmp_path, looks=2)
    file.write_bytes(edited)
    with contextlib.closing(sqlite3.connect(ends.receiver / "index.sqlite")) as db, db:
        db.execute("DELETE FROM evidence WHERE number=2")
    assert {"deleted:2", "chain:3"} & set(kinds(ends)[1])
    with recorder(ends) as work:
        recalled = sending.recall(ends.sender, first, by="佐藤", reason="x")
        with pytest.raises(ClockOff):  # its day is over: as after a clock that was set back
            Maker(work.outbox, work.delivery.node, work.partner).make(
                recalled, str(recalled.finished), None
            )


def vars_of(row: Any) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in row.__dataclass_fields__}
    found["refused"] = json.dumps(found["refused"]) if found["refused"] else None
    return found


@pytest.mark.requirement("EVD-06", "DAT-01")
def test_an_index_made_again_of_files_has_every_record(ends: Ends) -> None:
    with ends.index() as known, known.read() as db:
        before = {
            r.number: r.countersignature for r in db.execute(evidence_files._records.select())
        }
    ends.stop_receiver()
    (ends.receiver / "index.sqlite").unlink()
    for more in ends.receiver.glob("index.sqlite-*"):
        more.unlink()
    made = must("receiver", "reindex", "--data", ends.receiver)
    with ends.index() as known, known.read() as db:
        after = {r.number: r.countersignature for r in db.execute(evidence_files._records.select())}
    assert {n: s for n, s in after.items() if n != 2} == {n: s for n, s in before.items() if n != 2}
    assert made["records"] == len(after)
    assert 2 in after, "its row was deleted, its file was not"
