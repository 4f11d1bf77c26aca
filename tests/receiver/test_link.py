"""The link's door over real TLS: what came first stays, and no question blocks another."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import struct
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, select

from common import durable, link, space
from common.errors import DiskFull, PeerBusy, SameUidOtherContent
from common.link import Opening
from common.proof import jws
from common.states import InstanceState
from receiver import index, statements
from tests.receiver.filled import NORTH, RECEIVER, Filled, client, ct_image
from tests.receiver.linking import Linked


@pytest.mark.requirement("DAT-01", "DAT-05")
@pytest.mark.parametrize("verified", [True, False])
def test_another_content_never_takes_the_place_of_what_came_first(
    linked: Linked, tmp_path: Path, verified: bool
) -> None:
    first, later = ct_image("same", 1), ct_image("same", 1, StudyDescription="altered")
    before = linked.open([first])
    linked.filled.arrive([first])
    if verified:
        answer = linked.close(before, [first], tmp_path)
        assert answer.status_code == 200
        assert answer.json()["receipt"]
    kept = linked.bytes_of(first)

    after = linked.open([later])
    with pytest.raises(SameUidOtherContent):
        linked.filled.arrive([later])
    answer = linked.close(after, [later], tmp_path)
    assert answer.status_code == 422
    assert answer.json()["unequal"] == [str(first.SOPInstanceUID)]
    assert linked.bytes_of(first) == kept
    assert linked.row(first).state != InstanceState.EXPECTED


@pytest.mark.requirement("DIR-07")
def test_what_is_damaged_here_is_missing_again(linked: Linked, tmp_path: Path) -> None:
    """Also for a sender that asks for its receipt only after the verification has failed."""
    images = [ct_image("bitrot", 1), ct_image("bitrot", 2)]
    transfer = linked.open(images)
    linked.filled.arrive(images)
    path = linked.filled.store.path(linked.row(images[1]).path)
    damaged = bytearray(path.read_bytes())
    damaged[-9] ^= 1
    path.write_bytes(damaged)
    answer = linked.close(transfer, images, tmp_path)
    assert (answer.status_code, len(answer.json()["unequal"])) == (422, 1)
    answer = linked.client.get(f"/transfers/{transfer}/receipt")
    assert answer.status_code == 409
    assert answer.json()["missing"] == [str(images[1].SOPInstanceUID)]
    linked.filled.arrive([images[1]])
    assert linked.close(transfer, images, tmp_path).json()["receipt"]


def test_waiting_for_receipts_holds_no_thread(linked: Linked, tmp_path: Path) -> None:
    """More questions under way than the server has threads; another is answered at once."""
    image = ct_image("wait", 1)
    transfer = linked.open([image])
    linked.filled.arrive([image])
    let_go = threading.Event()
    entered = threading.Event()

    def busy() -> None:
        entered.set()
        let_go.wait(30)

    linked.receipts._pool.submit(busy)
    assert entered.wait(10)
    with ThreadPoolExecutor(60) as asking:
        first = asking.submit(linked.close, transfer, [image], tmp_path)
        deadline = time.monotonic() + 10
        while not linked.receipts._running:
            assert time.monotonic() < deadline
        assert not first.done()
        address = f"/transfers/{transfer}/receipt"
        others: list[Future[httpx.Response]] = [
            asking.submit(linked.client.get, address) for _ in range(50)
        ]
        try:
            # the questions are under way once as many connections are open as there are askers
            for _ in range(5):
                assert linked.client.get("/hello", timeout=8).status_code == 200
        finally:
            let_go.set()
        assert first.result(30).json()["receipt"]
        assert {one.result(30).status_code for one in others} == {200}


def test_a_level_that_is_larger_than_the_setting_says_is_refused_before_it_is_laid_out(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = linked.filled.slide()
    monkeypatch.setattr(space, "GB", 8)
    with linked.filled.index.read() as db:
        transfer = db.execute(select(index.transfers.c.id)).scalar_one()
    opening = Opening(
        transfer, "slide", NORTH[1], RECEIVER[1], slide.study_uid, {}, tuple(slide.slots)
    )
    with linked.filled.index.write() as db:
        db.execute(delete(index.statements))
        statements.write(db, transfer, "opening", jws.sign(link.words(opening), linked.sender))
    lengths = struct.pack(f"<{len(slide.tiles[1])}I", *map(len, slide.tiles[1]))
    address = f"/transfers/{transfer}/lengths/1"
    answer = linked.client.put(address, content=lengths)
    assert (answer.status_code, answer.json()["error"]["number"]) == (413, "E-6100")
    assert "64" in answer.json()["error"]["ja"]
    assert [path for path in linked.filled.store.root.rglob("*") if path.is_file()] == []
    assert slide._row(1).state == InstanceState.EXPECTED
    monkeypatch.setattr(space, "GB", 1 << 20)
    assert linked.client.put(address, content=lengths).status_code == 204


@pytest.mark.requirement("DIR-11")
def test_a_frame_that_is_held_is_never_written_again(filled: Filled) -> None:
    slide = filled.slide()
    slide.lay_out(0)
    slide.send(0, [0])
    path = filled.store.path(slide._row(0).path)
    kept = path.read_bytes()
    slide.send(0, [0])  # the same again
    other = bytearray(slide.tiles[0][0])
    other[-3] ^= 1
    slide.tiles[0][0] = bytes(other)
    with pytest.raises(SameUidOtherContent):
        slide.send(0, [0])
    assert path.read_bytes() == kept
    with filled.index.read() as db:
        [row] = db.execute(select(index.frames)).all()
    assert row.digest != hashlib.sha256(other).digest()
    with slide.frames._claimed({(slide._row(0).id, 1)}), pytest.raises(PeerBusy):
        slide.send(0, [1])
    slide.send(0, [1])


def test_a_peer_is_told_no_path_of_ours(
    linked: Linked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = [ct_image("full", 1)]
    transfer = linked.open(images)
    linked.filled.arrive(images)
    linked.filled.store.space.low_water = 1 << 60
    answer = linked.close(transfer, images, tmp_path)
    assert answer.status_code == DiskFull.http_status
    assert answer.json()["error"]["number"] == DiskFull.number
    assert str(tmp_path) not in answer.text
    assert str(linked.filled.data) in caplog.text, "who looks after it must know which disk"


def test_a_reader_is_told_no_path_of_ours(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = filled.ct(count=1)
    monkeypatch.setattr(durable, "BUSY", 0.1)
    with filled.serve() as url, client(url) as asking:
        filled.index.engine.dispose()  # its connections wait as long as they were made to
        with contextlib.closing(sqlite3.connect(filled.data / "index.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = asking.post(f"/api/studies/{key}/done", json={})
    assert (answer.status_code, answer.json()["error"]["number"]) == (507, "E-4000")
    assert str(filled.data) not in answer.text
    assert "index: busy" in caplog.text
