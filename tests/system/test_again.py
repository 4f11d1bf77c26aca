"""What the receiver's disk loses comes again from the sender by itself, or people are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.states import InstanceState, TransferState
from receiver import index, repairs
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must, until
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
LONG = 200.0  # seconds, of a machine that does much else
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """A pair of its own: no other test's receiver has damaged images."""
    pair = Ends(Path(tmp_path_factory.mktemp("again")))
    pair.pair()
    yield pair
    pair.stop_receiver()


def rows(ends: Ends, transfer: str) -> list[Any]:
    with ends.index() as known, known.read() as db:
        mine = index.instances.c.transfer == transfer
        return list(db.execute(select(index.instances).where(mine).order_by(index.instances.c.id)))


def states(ends: Ends, transfer: str) -> set[str]:
    return {row.state for row in rows(ends, transfer)}


def damaged(ends: Ends) -> list[dict[str, Any]]:
    with ends.index() as known, known.read() as db:
        return repairs.listed(db)


def flip(path: Path, at: int) -> None:
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)


def send(ends: Ends, path: Path, *options: object) -> str:
    said = must("sender", "send", path, *options, "--data", ends.sender)
    (sent,) = said["transfers"]
    assert sent["state"] == "receipted"
    return str(sent["id"])


@pytest.mark.requirement("DAT-01", "DAT-05")
def test_damaged_images_and_tiles_come_again_by_themselves(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 1, slices=4, side=32)
    Svs().write(tmp_path / "slide.svs")
    images = send(ends, tmp_path / "ct")
    slide = send(ends, tmp_path / "slide.svs", *WHO)
    store = ends.receiver / "store"
    before = {row.sop_uid: (store / row.path).read_bytes() for row in rows(ends, images)}
    levels = {row.sop_uid: (store / row.path).read_bytes() for row in rows(ends, slide)}
    first, second = rows(ends, images)[:2]
    flip(store / first.path, len(before[first.sop_uid]) - 30)
    (store / second.path).unlink()
    level = max(rows(ends, slide), key=lambda row: row.length)
    flip(store / level.path, len(levels[level.sop_uid]) // 2)
    # the running receiver's first pass goes on while rows come: it may find one before us
    said = must("receiver", "scrub", "--data", ends.receiver)
    assert said["damaged"] <= 2
    assert said["vanished"] <= 1
    shown = must("receiver", "status", "--data", ends.receiver)
    found = sorted((one["transfer"], one["cause"]) for one in shown["damaged"])
    assert found == sorted(
        [
            (images, repairs.CHANGED),
            (images, repairs.VANISHED),
            (slide, repairs.FRAMES),
        ]
    )
    assert {one["refused"] for one in shown["damaged"]} == {None}
    assert shown["aside"] == 1
    with ends.daemon():
        until(lambda: not damaged(ends), "all is mended", LONG)
    assert states(ends, images) == states(ends, slide) == {InstanceState.VERIFIED}
    after = {row.sop_uid: (store / row.path).read_bytes() for row in rows(ends, images)}
    assert after == before
    assert {row.sop_uid: (store / row.path).read_bytes() for row in rows(ends, slide)} == levels
    with ends.outbox() as box:
        assert {one.state for one in box.transfers()} == {TransferState.RECEIPTED}


@pytest.mark.requirement("DAT-01")
def test_where_the_source_changed_both_ends_say_so(ends: Ends, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 2, slices=2, side=32)
    transfer = send(ends, tmp_path / "ct")
    row = next(r for r in rows(ends, transfer) if r.number == 1)
    flip(ends.receiver / "store" / row.path, row.prefix_length + 9)
    must("receiver", "scrub", "--data", ends.receiver)
    flip(files[0], 2000)  # the same length; its time and its bytes tell
    with ends.daemon():
        until(lambda: bool(damaged(ends)[0]["refused"]), "it is refused", LONG)
        with ends.outbox() as box:
            until(lambda: box.transfer(transfer).state is TransferState.QUERY, "inquiry", LONG)
            error = box.transfer(transfer).error
    assert error is not None
    assert error["number"] == "E-4022"
    [listed] = [one for one in must("receiver", "status", "--data", ends.receiver)["transfers"]
                if one["id"] == transfer]  # fmt: skip
    assert listed["state"] == TransferState.QUERY
    assert states(ends, transfer) == {InstanceState.VERIFIED, InstanceState.DAMAGED}
