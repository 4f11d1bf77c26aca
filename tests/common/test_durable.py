"""common/durable.py: written bytes are where they belong, and names change whole or not at all."""

from __future__ import annotations

import errno
import mmap
import os
import random
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import durable
from common.errors import DatabaseUnsafe, DataInUse, DiskFull, StorageError, SyncFailed


@pytest.fixture
def fd(tmp_path: Path) -> int:
    return durable.create(tmp_path / "file")


@settings(deadline=None)  # it waits for the disk
@given(
    writes=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=300)), max_size=12),
    read=st.tuples(st.integers(0, 6000), st.integers(0, 400)),
)
def test_positioned_writes_and_reads_agree_with_a_bytearray(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[int, bytes]],
    read: tuple[int, int],
) -> None:
    wanted = bytearray(5000)
    handle = durable.create(tmp_path_factory.mktemp("durable") / "file")
    try:
        durable.preallocate(handle, 5000)
        for offset, data in writes:
            durable.write_at(handle, data, offset)
            if data and offset + len(data) > len(wanted):
                wanted.extend(bytes(offset + len(data) - len(wanted)))
            wanted[offset : offset + len(data)] = data
        offset, size = read
        assert durable.read_at(handle, size, offset) == wanted[offset : offset + size]
        assert durable.read_at(handle, len(wanted) + 1, 0) == wanted
    finally:
        os.close(handle)


def test_memoryviews_of_wider_items_are_written_whole(fd: int) -> None:
    durable.write_at(fd, memoryview(bytearray(range(64))).cast("I"), 8)
    assert durable.read_at(fd, 100, 8) == bytes(range(64))


def test_preallocation_takes_the_length_and_keeps_what_is_written(fd: int) -> None:
    durable.write_at(fd, b"here", 0)
    durable.preallocate(fd, 10_000)
    assert os.fstat(fd).st_size == 10_000
    assert durable.read_at(fd, 6, 0) == b"here\0\0"


def test_a_full_disk_is_its_own_error(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with pytest.raises(DiskFull):
        durable.preallocate(fd, 1)


def test_any_other_failure_of_the_disk_is_a_storage_error(fd: int) -> None:
    os.close(fd)
    with pytest.raises(StorageError) as caught:
        durable.write_at(fd, b"x", 0)
    assert not isinstance(caught.value, DiskFull)


def test_a_file_is_created_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"
    os.close(durable.create(path))
    with pytest.raises(StorageError):
        durable.create(path)
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_saving_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "settings"
    durable.save(path, b"one")
    durable.save(path, b"two and more")
    assert path.read_bytes() == b"two and more"
    assert [entry.name for entry in path.parent.iterdir()] == ["settings"]


@pytest.mark.requirement("AUT-08")
def test_a_private_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    durable.save(tmp_path / "key", b"secret", private=True)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_bytes_are_synced_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def spied(*args: object) -> object:
            what = name
            if name == "fsync" and isinstance(args[0], int):
                is_folder = stat.S_ISDIR(os.fstat(args[0]).st_mode)
                what = "fsync folder" if is_folder else "fsync file"
            calls.append(what)
            return real(*args)

        monkeypatch.setattr(os, name, spied)

    spy("fsync")
    spy("replace")
    durable.save(tmp_path / "file", b"bytes")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_a_failed_sync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def broken(_: int) -> None:
        nonlocal tries
        tries += 1
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageError):
        durable.save(tmp_path / "file", b"bytes")
    assert tries == 1
    assert not (tmp_path / "file").exists()


def test_removing_is_the_same_twice(tmp_path: Path) -> None:
    durable.save(tmp_path / "file", b"bytes")
    durable.remove(tmp_path / "file")
    durable.remove(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_the_lock_is_held_by_one_and_freed_after(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with durable.lock(path), pytest.raises(DataInUse), durable.lock(path):
        pass
    with durable.lock(path):
        pass


HOLD = """
import sys; from pathlib import Path; from common import durable
with durable.lock(Path(sys.argv[1])):
    print("held", flush=True); sys.stdin.read()
"""


def test_the_lock_holds_between_processes_and_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataInUse), durable.lock(path):
            pass
        holder.kill()
    with durable.lock(path):
        pass


def test_sqlite_obeys_or_is_refused(tmp_path: Path) -> None:
    good = durable.safe_sqlite(sqlite3.connect(tmp_path / "index"))
    assert good.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert good.execute("PRAGMA synchronous").fetchone() == (2,)
    good.close()
    memory = sqlite3.connect(":memory:")  # has no WAL, and says so only in the answer
    with pytest.raises(DatabaseUnsafe):
        durable.safe_sqlite(memory)
    memory.close()


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, 8191, 8192, 100_001])
def test_what_goes_past_the_cache_is_what_was_given(tmp_path: Path, length: int) -> None:
    if not durable.direct_works(tmp_path):
        pytest.skip("the file system of the tests takes no O_DIRECT")
    wanted = random.Random(length).randbytes(length)
    with mmap.mmap(-1, 1 << 17) as buffer:
        buffer[:] = b"\xaa" * len(buffer)  # of an instance before
        buffer[:length] = wanted
        fd = durable.create(tmp_path / "one", direct=True)
        with memoryview(buffer) as view:
            durable.write_direct(fd, view, length)
        durable.sync_data(fd)
        os.close(fd)
        assert (tmp_path / "one").read_bytes() == wanted
        rest = buffer[length : -(-length // durable.BLOCK) * durable.BLOCK]
        assert set(rest) <= {0}, "nothing of another instance goes to the disk behind this one"


def test_a_folder_that_cannot_be_written_takes_nothing_past_the_cache(tmp_path: Path) -> None:
    assert not durable.direct_works(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []
    durable.direct_works(tmp_path)
    assert list(tmp_path.iterdir()) == [], "the trial leaves nothing"


def test_places_are_filled_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_bytes(bytes(range(100)))
    room = memoryview(bytearray(100))
    fd = durable.open_file(path)
    try:
        assert durable.read_into(fd, [room[10:20], room[40:40], room[50:75]], 5) == 35
        assert bytes(room[10:20]) + bytes(room[50:75]) == bytes(range(5, 40))
        assert durable.read_into(fd, [room[:50], room[50:60]], 95) == 5
    finally:
        os.close(fd)


ENDS = """
import errno, logging, os, sys
from pathlib import Path
from common import durable
logging.basicConfig(level=logging.INFO)
durable.end_on_failure(lambda failure: print(failure.number, flush=True))
def broken(_fd): raise OSError(errno.EIO, "Input/output error")
os.fsync = broken
try:
    durable.save(Path(sys.argv[1]) / "file", b"bytes")
finally:
    print("went on", flush=True)
"""


def test_a_process_that_runs_for_long_ends_with_its_first_failed_sync(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDS, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == SyncFailed.exit_code
    assert done.stdout == "E-4010\n", "nothing after it"
    assert "ディスクに確実に書けません" in done.stderr
    assert "Nothing more is acknowledged" in done.stderr


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_failed_sync_has_its_own_name(
    fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # network file systems say it late

    monkeypatch.setattr(os, call, broken, raising=False)
    with pytest.raises(SyncFailed):
        durable.sync_data(fd) if call == "fdatasync" else durable.sync_folder(tmp_path)


def test_what_could_not_be_saved_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull(path=tmp_path)

    monkeypatch.setattr(durable, "write_at", full)
    with pytest.raises(DiskFull):
        durable.save(tmp_path / "file", b"bytes")
    assert list(tmp_path.iterdir()) == []
