"""The low-water mark: asked of the real disk, said once, and not to and fro."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from common import space
from common.errors import DiskFull
from common.space import MIB, Free, Space


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Free]:
    """What the disk says that it has left; a test changes it."""
    said = [Free(100 * MIB, None)]
    monkeypatch.setattr(space, "free", lambda _folder: said[-1])
    return said


def test_the_disk_itself_is_asked(tmp_path: Path) -> None:
    found = space.free(tmp_path)
    assert found.size > 0
    Space(tmp_path, 0).check()
    for mark, needed in ((1 << 60, 0), (0, 1 << 60)):
        with pytest.raises(DiskFull):
            Space(tmp_path, mark).check(needed)


def test_what_ends_a_transfer_may_use_what_stays_free(tmp_path: Path, left: list[Free]) -> None:
    mark = Space(tmp_path, 64 * MIB)
    left.append(Free(40 * MIB, None))
    mark.check(ending=True)
    with pytest.raises(DiskFull):
        mark.check()
    left.append(Free(10 * MIB, None))
    with pytest.raises(DiskFull):
        mark.check(ending=True)


def test_names_that_run_out_count_too(tmp_path: Path, left: list[Free]) -> None:
    mark = Space(tmp_path, 64 * MIB)
    left.append(Free(100 * MIB, space.NAMES))
    mark.check()
    left.append(Free(100 * MIB, space.NAMES - 1))
    with pytest.raises(DiskFull):
        mark.check()
    left.append(Free(100 * MIB, 0))
    assert not Space(tmp_path, 0).low(), "without a mark only what does not fit is refused"


def test_a_disk_at_its_mark_is_said_once_and_waits_for_real_room(
    tmp_path: Path, left: list[Free], caplog: pytest.LogCaptureFixture
) -> None:
    mark = Space(tmp_path, 64 * MIB)
    for size in (63, 64, 65, 71):  # MiB; what came is removed, a little is free again
        left.append(Free(size * MIB, None))
        with pytest.raises(DiskFull):
            mark.check()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    left.append(Free(73 * MIB, None))
    mark.check()
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
