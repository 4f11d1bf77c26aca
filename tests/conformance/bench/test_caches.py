"""The page cache before a run on disk: what is read after it is known to be in memory or not."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.bench import caches, machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SIZE = 8 << 20


def from_disk() -> int:
    """Bytes that this process has had read from disks (proc(5), io)."""
    rows = Path("/proc/self/io").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("read_bytes"))


@pytest.fixture
def disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        if machine.file_system(Path(folder)) not in {"ext4", "xfs", "btrfs"}:
            pytest.skip("no disk here")
        yield Path(folder)


def test_old_files_are_dropped_and_the_series_is_in_memory(disk: Path) -> None:
    old, new = disk / "old" / "received", disk / "series"
    old.parent.mkdir()
    for path in (old, new):
        path.write_bytes(bytes(SIZE))
    caches.settle(disk, [new])
    before = from_disk()
    new.read_bytes()
    assert from_disk() - before < SIZE / 2
    old.read_bytes()
    assert from_disk() - before >= SIZE
