"""Transfers are read back by turns in processes apart; what fails there is never called equal."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from common.dicom import digest
from common.errors import IntegrityError, StorageError
from common.link import Closing, Digest
from common.proof import merkle
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.states import InstanceState, TransferState
from receiver import held, index, statements, transfers, verifier
from receiver.held import Held
from receiver.receipts import Receipts
from receiver.turns import Job, Task, Turns
from receiver.verifying import Verifiers
from tests.receiver import bad_verifier
from tests.receiver.filled import RECEIVER, Filled, ct_image, uid

_instances = index.instances
DEADLINE = 50.0  # seconds


def rows_of(filled: Filled, name: str) -> list[Held]:
    study = _instances.c.study_uid == uid(f"{name}/study")
    with filled.index.read() as db:
        return held.rows(db, study)


def transfer_of(filled: Filled, name: str) -> Row[Any]:
    with filled.index.read() as db:
        study = index.transfers.c.id == index.studies.c.transfer
        query = select(index.transfers).join(index.studies, study)
        return db.execute(query.where(index.studies.c.study_uid == uid(f"{name}/study"))).one()


def expected(filled: Filled, row: Held) -> Digest:
    """What the sender of an instance would claim."""
    path = filled.store.path(row.path)
    of = digest.of_file(path, row.prefix_length, row.transfer_syntax)
    return Digest(row.sop_uid, row.length, of.d1, of.d2, of.d3)


def arrived(filled: Filled, name: str, count: int) -> list[Held]:
    images = [ct_image(name, number) for number in range(count)]
    filled.open(images)
    filled.arrive(images)
    return rows_of(filled, name)


@pytest.fixture
def verifiers(filled: Filled) -> Iterator[Verifiers]:
    made = Verifiers(filled.index, filled.store)
    yield made
    made.close()


@pytest.fixture
def receipts(filled: Filled, tmp_path: Path) -> Iterator[Receipts]:
    institution = Institution(*RECEIVER, "北海道")
    node = Node.create(tmp_path / "node", institution, Role.SUPPORTER, hosts=["localhost"])
    made = Receipts(filled.index, filled.store, node, {})
    yield made
    made.close()


def job(rank: int, count: int) -> Job:
    return Job(rank, deque(Task(number) for number in range(count)))  # type: ignore[arg-type]


def test_transfers_of_one_urgency_have_turns_and_urgent_ones_come_first() -> None:
    turns = Turns()
    large, small, urgent = job(2, 1000), job(2, 3), job(0, 2)
    turns.add(large)
    turns.add(small)
    order = [turns.take(0) for _ in range(3)]
    turns.add(urgent)
    order += [turns.take(number % 2) for number in range(7)]
    names = {id(large): "large", id(small): "small", id(urgent): "urgent"}
    assert [names[id(turn[0])] for turn in order if turn] == [
        "large", "small", "large", "urgent", "urgent", "small", "large", "small", "large", "large",
    ]  # fmt: skip


def test_a_level_that_is_begun_stays_with_its_worker_and_shares_it() -> None:
    turns = Turns()
    slide, other = job(2, 1), job(2, 4)
    turns.add(slide)
    turns.add(other)
    (taken, level) = turns.take(0) or (None, None)
    assert taken is slide
    assert level is not None
    level.begun = True
    turns.put_back(slide, level, 0)
    for _ in range(2):
        order = [turns.take(number) for number in (1, 1, 0)]
        assert [turn and turn[0] for turn in order] == [other, other, slide]
        turns.put_back(slide, level, 0)
    turns.close()
    assert turns.take(0) is None


def test_a_small_transfer_does_not_wait_for_a_large_one(
    filled: Filled, verifiers: Verifiers
) -> None:
    large, small = arrived(filled, "大", 150), arrived(filled, "小", 5)
    first = verifiers.read_back("routine", large, slide=False)
    [reading] = [one for one in verifiers._readings.values() if one.result is first]
    second = verifiers.read_back("routine", small, slide=False)
    read: list[int] = []
    second.add_done_callback(lambda _: read.append(len(reading.found)))
    found = second.result(DEADLINE) | first.result(DEADLINE)
    assert found == {row.id: expected(filled, row) for row in (*large, *small)}
    assert read[0] < len(large)  # how the turns go, exactly: test_turns.py


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_worker_killed_in_the_middle_changes_nothing(
    filled: Filled, verifiers: Verifiers
) -> None:
    rows = arrived(filled, "殺", 200)
    result = verifiers.read_back("routine", rows, slide=False)
    [reading] = verifiers._readings.values()
    deadline = time.monotonic() + DEADLINE
    while not reading.found:
        assert time.monotonic() < deadline
    killed = [worker.pid for worker in verifiers._workers]
    for pid in killed:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
    assert not result.done()
    assert result.result(DEADLINE) == {row.id: expected(filled, row) for row in rows}
    assert {worker.pid for worker in verifiers._workers}.isdisjoint(killed)


@pytest.mark.requirement("DIR-07")
@pytest.mark.parametrize("hostile", [bad_verifier.HANGS, bad_verifier.DIES])
def test_pixels_that_end_a_worker_take_their_own_d3_along_and_nothing_else(
    filled: Filled, hostile: bytes
) -> None:
    images = [ct_image("敵", number) for number in range(4)]
    images[1].PixelData = hostile.ljust(len(images[1].PixelData), b"\0")
    filled.open(images)
    filled.arrive(images)
    verifiers = Verifiers(filled.index, filled.store, seconds=10)
    for worker in verifiers._workers:
        worker.module = bad_verifier.__name__
    rows = rows_of(filled, "敵")
    claimed = [expected(filled, row) for row in rows]
    try:
        found = verifiers.read_back("routine", rows, slide=False).result(DEADLINE)
    finally:
        verifiers.close()
    assert [found[row.id] for row in rows[:1] + rows[2:]] == claimed[:1] + claimed[2:]
    alone = found[rows[1].id]
    assert alone == Digest(alone.uid, claimed[1].length, claimed[1].d1)


def test_where_no_worker_lives_nothing_is_said_and_nothing_given_up(
    filled: Filled, receipts: Receipts
) -> None:
    rows = arrived(filled, "無", 2)
    for worker in receipts.verifiers._workers:
        worker.module = "tests.receiver.no_such_module"
    transfer = transfer_of(filled, "無").id
    with pytest.raises(StorageError) as failure:
        receipts.begin(transfer, Closing(transfer, ()), "said").result(DEADLINE)
    assert not isinstance(failure.value, IntegrityError)
    assert transfer_of(filled, "無").state == TransferState.DELIVERED
    assert rows_of(filled, "無") == rows


def test_what_cannot_be_parsed_is_known_by_its_bytes(filled: Filled, verifiers: Verifiers) -> None:
    """D1 alone says whether it is what came; a file that is not there says nothing."""
    rows = arrived(filled, "読", 3)
    strange, gone = (filled.store.path(row.path) for row in rows[:2])
    base = rows[0].prefix_length
    data = b"\x08\x00\x05\x00ZZ\xff\xff" * 300
    strange.write_bytes(strange.read_bytes()[:base] + data)
    gone.unlink()
    found = verifiers.read_back("routine", rows, slide=False).result(DEADLINE)
    own = Digest(rows[0].sop_uid, len(data), hashlib.sha256(data).hexdigest())
    assert found == {rows[0].id: own, rows[2].id: expected(filled, rows[2])}


def test_a_level_is_read_in_pieces(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = filled.slide()
    slide.lay_out(2)
    slide.send(2)
    row = slide._row(2)
    path = filled.store.where(row.path)
    table = base64.b64encode(row.frame_table).decode()
    where = {"path": str(path), "base": row.prefix_length, "number": row.id}
    monkeypatch.setattr(verifier, "PIECE", 2000)
    found = verifier._level({"do": "level", "table": table, **where})
    pieces = 1
    while "more" in found:
        found = verifier._level({"do": "more", "number": row.id})
        pieces += 1
    assert pieces > 5
    data = path.read_bytes()[row.prefix_length :]
    leaves = [hashlib.sha256(tile).digest() for tile in slide.tiles[2]]
    digests = {"d1": hashlib.sha256(data).hexdigest(), "root": merkle.root(leaves)}
    assert found == {"length": len(data), "digests": digests}
    assert verifier._level({"do": "more", "number": row.id}) == {"gone": True}


@pytest.mark.requirement("DIR-07")
def test_receipts_of_two_transfers_at_once(filled: Filled, receipts: Receipts) -> None:
    closings: dict[str, Closing] = {}
    for name, count in {"大": 100, "小": 3}.items():
        rows = arrived(filled, name, count)
        transfer = transfer_of(filled, name).id
        closings[name] = Closing(transfer, tuple(expected(filled, row) for row in rows))
    running: dict[str, Future[str]] = {}
    ended: list[str] = []
    for name, closing in closings.items():
        running[name] = receipts.begin(closing.transfer, closing, f"closing of {name}")
        assert not running[name].cancel(), "others wait for it"
        running[name].add_done_callback(partial(_note, ended, name))
    assert all(one.result(DEADLINE) for one in running.values())
    assert ended == ["小", "大"]
    receipts.close()
    for name in closings:
        assert transfer_of(filled, name).state == TransferState.RECEIPTED
        assert {row.state for row in rows_of(filled, name)} == {InstanceState.VERIFIED}


def _note(ended: list[str], name: str, _: Future[str]) -> None:
    ended.append(name)


@pytest.mark.requirement("DIR-07")
def test_nothing_is_countersigned_that_another_transfer_took_away(
    filled: Filled, receipts: Receipts
) -> None:
    rows = arrived(filled, "取", 2)
    found = [expected(filled, row) for row in rows]
    known = transfer_of(filled, "取")
    with filled.index.write() as db:
        transfers.set_state(db, known, TransferState.DELIVERED)
    receipts._give_up(known.id, rows[:1])
    with filled.index.write() as db:
        transfers.set_state(db, transfers.known(db, known.id), TransferState.DELIVERED)
    with pytest.raises(StorageError, match="changed"):
        receipts._countersign(known, "said", rows, found)
    with filled.index.read() as db:
        assert statements.read(db, known.id, "receipt") is None
    states = [row.state for row in rows_of(filled, "取")]
    assert states == [InstanceState.EXPECTED, InstanceState.STORED]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_closing_does_not_wait_for_what_hangs(filled: Filled) -> None:
    rows = arrived(filled, "止", 2)
    path = filled.store.path(rows[0].path)
    path.unlink()
    os.mkfifo(path)
    verifiers = Verifiers(filled.index, filled.store)
    result = verifiers.read_back("urgent", rows, slide=False)
    [reading] = verifiers._readings.values()
    deadline = time.monotonic() + DEADLINE
    while not reading.found:  # the other worker is at what hangs, or is about to be
        assert time.monotonic() < deadline
    verifiers.close()
    assert isinstance(result.exception(0), StorageError)
    late = verifiers.read_back("urgent", rows, slide=False)
    assert isinstance(late.exception(0), StorageError)
