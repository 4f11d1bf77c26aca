"""A disk near its end, full, failing or read-only: refused in time, held honestly, nothing lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.dicom import dataset
from common.space import MIB, NAMES
from common.states import InstanceState
from receiver import index
from sender import sending
from tests.sender.slides.vendor_files import Svs
from tests.system.crashes import hand_over, with_doors
from tests.system.ends import Ends, must, until
from tests.system.series import write_series
from tests.system.small_disk import NoDisk, SmallDisk

pytestmark = [pytest.mark.system, pytest.mark.diskfull, pytest.mark.timeout(300)]
MARK = 12  # MiB that stay free
SIZE = 64  # MiB of a disk
LONG = 120.0  # seconds, on a busy machine
ENV = {
    **os.environ,
    "TODOKE_RECEIVER_KEEP_FREE_MB": str(MARK),
    "TODOKE_SENDER_KEEP_FREE_MB": str(MARK),
    "TODOKE_SENDER_SETTLE_SECONDS": "1",
}
Small = Callable[..., tuple[Ends, SmallDisk]]


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """Two ends that are paired and do not run; each test has a copy."""
    pair = Ends(Path(tmp_path_factory.mktemp("paired")))
    pair.pair()
    pair.stop_receiver()
    return pair


@pytest.fixture
def small(paired: Ends, tmp_path: Path) -> Iterator[Small]:
    """Gives a pair of ends, one of which lies on a small disk."""
    with contextlib.ExitStack() as opened:

        def make(kind: str, *, room: str = "receiver", names: int = 0) -> tuple[Ends, SmallDisk]:
            try:
                disk = opened.enter_context(SmallDisk(tmp_path / room, kind, SIZE, names))
            except NoDisk as failure:
                pytest.skip(str(failure))
            for name in ("sender", "receiver"):
                shutil.copytree(paired.folder / name, tmp_path / name, dirs_exist_ok=True)
            subprocess.run(["sync", "-f", disk.at], check=True)  # what we wrote is no test of it
            ends = Ends(tmp_path, dict(paired.ports))
            opened.callback(ends.stop_receiver)
            return ends, disk

        yield make


def _submit(ends: Ends, path: Path) -> str:
    """Put a folder or slide into the outbox; return the id of its transfer."""
    (partner,) = (ends.sender / "partners").glob("*.json")
    options = {"priority": "routine", "purpose": "advice", "request": {}, "slide": {}}
    job = sending.submit(ends.sender, partner.stem, [path], options)

    def known() -> bool:
        with ends.outbox() as box:
            return box.job(job).scanned

    until(known, "the paths are read", LONG)
    with ends.outbox() as box:
        return box.transfers(job)[0].id


def _status(ends: Ends, name: str) -> dict[str, Any]:
    rows = must("sender", "status", "--data", ends.sender)["transfers"]
    return next(row for row in rows if row["id"] == name)


def _waiting(ends: Ends, name: str) -> dict[str, Any]:
    """Return the status of a transfer once it waits, and says why."""
    seen: list[dict[str, Any]] = []

    def waits() -> bool:
        row = _status(ends, name)
        seen[:] = [row] if row["state"] == "queued" and row["error"] else []
        return bool(seen)

    until(waits, "the transfer waits", LONG)
    return seen[0]


def _receipted(ends: Ends, name: str) -> bool:
    with ends.outbox() as box:
        return box.transfer(name).state == "receipted"


def _kept_up(ends: Ends) -> None:
    """Start the receiver again if it ended, as a service manager does."""
    if ends.running is not None and ends.running.poll() is None:
        return
    if ends.running is not None:
        ends.kill_receiver()
    with contextlib.suppress(AssertionError):  # the disk is still as it was
        ends.start_receiver(ENV)


def _all_there(ends: Ends, name: str, source: Path | None) -> None:
    """Each instance is verified, and its bytes are those of the source."""
    with ends.outbox() as box:
        owed = {one.sop_uid: one.d1 for one in box.instances(name)}
    if source is not None:
        for path in source.iterdir():
            part = dataset.read_part10(path)
            d1 = hashlib.sha256(path.read_bytes()[part.offset :]).hexdigest()
            assert owed[part.sop_instance_uid] == d1
    with ends.index() as known, known.read() as db:
        query = select(index.instances).where(index.instances.c.sop_uid.in_(owed))
        rows = db.execute(query).all()
    assert {row.sop_uid for row in rows} == set(owed)
    for row in rows:
        assert row.state == InstanceState.VERIFIED
        data = (ends.receiver / "store" / row.path).read_bytes()[row.prefix_length :]
        assert hashlib.sha256(data).hexdigest() == row.d1 == owed[row.sop_uid]


def _images(folder: Path, slices: int = 24) -> Path:
    write_series(folder, 1, slices, 512)  # half a megabyte each
    return folder


@pytest.mark.badinput(91, "disk full")
@pytest.mark.requirement("UX-06", "DAT-05")
@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("tmpfs", "ct"),
        pytest.param("ext4", "slide", marks=pytest.mark.slow),
        pytest.param("ext4", "ct", marks=pytest.mark.slow),
        pytest.param("tmpfs", "slide", marks=pytest.mark.slow),
    ],
)
def test_a_receiver_refuses_before_it_is_full_and_the_sender_goes_on_by_itself(
    small: Small, tmp_path: Path, kind: str, what: str
) -> None:
    ends, disk = small(kind)
    images = _images(tmp_path / "ct") if what == "ct" else None
    path = images or Svs(width=2048, height=2048, tile=256).write(tmp_path / "case.svs")
    ends.start_receiver(ENV)
    disk.fill((MARK + 3) * MIB if what == "ct" else MARK * MIB)
    with disk.watched(), ends.daemon(ENV):
        name = _submit(ends, path)
        row = _waiting(ends, name)
        assert row["error"]["number"] == "E-4012"
        assert "空き" in row["error"]["ja"]
        assert row["held"] < row["of"]
        assert disk.least > MARK // 2 * MIB, "the mark is kept, but for what was on its way"
        disk.release()
        until(lambda: _receipted(ends, name), "it goes on by itself", LONG)
        assert _status(ends, name)["error"] is None
    _all_there(ends, name, images)
    log = (ends.folder / "receiver.log").read_text("utf-8")
    assert "E-4005" in log
    assert "there is room again" in log


@pytest.mark.badinput(91, "inodes full")
def test_names_that_run_out_are_a_disk_without_room(small: Small, tmp_path: Path) -> None:
    ends, disk = small("ext4", names=2048)
    images = _images(tmp_path / "ct", 6)
    ends.start_receiver(ENV)
    disk.fill_names(NAMES - 8)
    with ends.daemon(ENV):
        name = _submit(ends, images)
        assert _waiting(ends, name)["error"]["number"] == "E-4012"
        disk.release()
        until(lambda: _receipted(ends, name), "it goes on by itself", LONG)
    _all_there(ends, name, images)


@pytest.mark.badinput(91, "disk full")
@pytest.mark.slow
def test_a_disk_that_others_fill_to_the_last_byte_loses_nothing(
    small: Small, tmp_path: Path
) -> None:
    ends, disk = small("tmpfs")
    images = _images(tmp_path / "ct")
    ends.start_receiver({**ENV, "TODOKE_RECEIVER_KEEP_FREE_MB": "0"})
    disk.fill(4 * MIB)
    with ends.daemon(ENV):
        name = _submit(ends, images)
        until(lambda: _status(ends, name)["attempts"] > 1, "it is tried again", LONG)
        assert not _receipted(ends, name)
        disk.release()

        def there() -> bool:
            _kept_up(ends)
            return _receipted(ends, name)

        until(there, "it goes on by itself", LONG)
    _all_there(ends, name, images)


@pytest.mark.badinput(91, "disk full")
def test_a_senders_own_doors_refuse_before_its_disk_is_full(small: Small, tmp_path: Path) -> None:
    ends, disk = small("tmpfs", room="sender")
    device, folder = _images(tmp_path / "device", 4), tmp_path / "watched"
    folder.mkdir()
    port = with_doors(ends, folder)
    ends.start_receiver(ENV)
    disk.fill(MARK * MIB - 1)
    with ends.daemon(ENV):
        assert hand_over(port, device) == {0xA700}
        shutil.move(_images(tmp_path / "export", 4), folder / "study")
        status = must("sender", "status", "--data", ends.sender)
        assert status["disk"]["low"]
        assert status["transfers"] == []
        assert disk.free() > MARK // 2 * MIB
        disk.release()
        assert hand_over(port, device) == {0x0000}

        def both() -> bool:
            with ends.outbox() as box:
                return [one.state for one in box.transfers()] == ["receipted"] * 2

        until(both, "both go on by themselves", LONG)
    with ends.outbox() as box:
        for one in box.transfers():
            _all_there(ends, one.id, None)
    log = (ends.folder / "sender.log").read_text("utf-8")
    said = [line for line in log.splitlines() if "todoke.disk" in line and "E-4005" in line]
    assert len(said) <= 2, "said once a door, not at every look"


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("fail", marks=[pytest.mark.badinput(91, "EIO"), pytest.mark.slow]),
        pytest.param("read_only", marks=pytest.mark.badinput(91, "read-only remount")),
    ],
)
def test_a_disk_that_fails_ends_the_receiver_in_words(
    small: Small, tmp_path: Path, how: str
) -> None:
    ends, disk = small("ext4")
    first, second = _images(tmp_path / "before", 4), _images(tmp_path / "after", 4)
    ends.start_receiver(ENV)
    with ends.daemon(ENV):
        before = _submit(ends, first)
        until(lambda: _receipted(ends, before), "the disk is good", LONG)
        getattr(disk, how)()
        after = _submit(ends, second)
        until(lambda: _status(ends, after)["attempts"] > 1, "it is tried again", LONG)
        assert not _receipted(ends, after)
        log = (ends.folder / "receiver.log").read_text("utf-8")
        assert any(number in log for number in ("E-4010", "E-4000", "E-4011"))
        ends.stop_receiver()
        disk.repair()
        ends.start_receiver(ENV)
        until(lambda: _receipted(ends, after), "it goes on by itself", LONG)
    _all_there(ends, before, first)
    _all_there(ends, after, second)


@pytest.mark.badinput(92, "deleted WAL")
def test_a_wal_that_somebody_deleted_takes_no_image_with_it(paired: Ends, tmp_path: Path) -> None:
    for name in ("sender", "receiver"):
        shutil.copytree(paired.folder / name, tmp_path / name)
    ends = Ends(tmp_path, dict(paired.ports))
    images = _images(tmp_path / "ct", 3)
    ends.start_receiver(ENV)
    with ends.daemon(ENV):
        first = _submit(ends, images)
        until(lambda: _receipted(ends, first), "all is well", LONG)
        ends.kill_receiver()
        (ends.receiver / "index.sqlite-wal").unlink()
        (ends.receiver / "index.sqlite-shm").unlink()
        ends.start_receiver(ENV)
        try:
            kept = {path.read_bytes() for path in (ends.receiver / "store").rglob("*.dcm")}
            for path in images.iterdir():
                data = path.read_bytes()[dataset.read_part10(path).offset :]
                assert any(one.endswith(data) for one in kept), "what was acknowledged is there"
            assert "set aside" in (ends.folder / "receiver.log").read_text("utf-8")
            again = _submit(ends, images)
            until(lambda: _receipted(ends, again), "it can be sent again", LONG)
        finally:
            ends.stop_receiver()
    _all_there(ends, again, images)
