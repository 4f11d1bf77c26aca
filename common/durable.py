"""The only caller of fsync, rename, positioned read and write, preallocation and locks.

Each has a portable form inside, because Windows has no ``pread``,
``posix_fallocate`` or folder fsync, and refuses to rename an open file.

**The order**, at both ends and in every path.  Nothing to the right of an arrow
begins before what is left of it is on the disk::

    instance by C-STORE  bytes in incoming/KEY.part -> fdatasync -> rename to SERIES/KEY.dcm
                         -> fsync SERIES -> commit of the index (a group) -> 0000H
    slide level          KEY.part laid out -> fdatasync -> fsync SERIES -> commit -> 204
    frames               written where they belong -> fdatasync -> commit of their rows -> 200
    receipt              bytes read back, equal -> KEY.part renamed to KEY.dcm -> fsync SERIES
                         -> commit of receipt and state -> the receipt goes out
    modality's instance  bytes in spool/incoming -> fdatasync -> rename to spool/arriving/STUDY
                         -> fsync STUDY -> 0000H; the study: rename to spool/taken -> fsync
                         -> commit of its job
    outbox               commit of opening, closing or coding -> the same goes out;
                         an acknowledgement or receipt comes -> commit -> shown as such
    audit                line -> fdatasync -> what it tells of goes on
    settings, keys       file under another name -> fsync -> rename -> fsync folder

A folder that is made has its own name synced before anything is put into it.  Every
database is in WAL with synchronous FULL (:func:`safe_sqlite`), so a commit is a sync.
What lies there without the last step is swept or mended before a door opens; nobody
was told that it is safe.

**A failed sync is never tried again**: the page cache may have dropped the bytes
already, so a second success would be a lie.  It is :class:`~common.errors.SyncFailed`,
and ends every process that asked for it (:func:`end_on_failure`): nothing is
acknowledged after it, and a clean start reads from the disk what is there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common.errors import DatabaseUnsafe, DataInUse, DiskFull, StorageError, SyncFailed

log = logging.getLogger("todoke.disk")
_seek_lock = threading.Lock()  # one for the portable forms, which share a file position
_MOST_PLACES = 512  # of one call; IOV_MAX is 1024 on Linux and macOS
_DIRECT = getattr(os, "O_DIRECT", 0)
BLOCK = 4096  # bytes; what a write past the page cache is a multiple of
BUSY = 10.0  # seconds that a connection waits for another's transaction
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_endings: list[Callable[[StorageError], None]] = []  # of this process, see end_on_failure


def end_on_failure(last: Callable[[StorageError], None] = lambda _failure: None) -> None:
    """Let this process end at once when the disk breaks its word.

    What runs for long says so before it opens a door; a verb ends with the error anyway.

    Parameters
    ----------
    last : callable
        Called with the failure when it has been logged; need not return.
    """

    def end(failure: StorageError) -> None:
        log.critical("%s / %s", failure.words("ja"), failure.words("en"))
        last(failure)
        os._exit(failure.exit_code)

    _endings[:] = [end]


def broken(failure: StorageError) -> StorageError:
    """Return a failure of the disk that no process may outlive; where one runs for long, end it."""
    for end in _endings:
        end(failure)
    return failure


@contextlib.contextmanager
def _syncing(path: object) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        cause = f"{path}: {failure.strerror or failure}"
        raise broken(SyncFailed(cause=cause)) from failure


@contextlib.contextmanager
def _named(path: object) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        if failure.errno in _NO_SPACE:
            raise DiskFull(path=path) from failure
        raise StorageError(cause=f"{path}: {failure.strerror or failure}") from failure


def write_at(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `data` at byte `offset` of an open file.

    Raises
    ------
    DiskFull, StorageError
        The bytes are not written.
    """
    view = memoryview(data).cast("B")
    with _named(f"fd {fd}"):
        while view:
            if hasattr(os, "pwrite"):
                written = os.pwrite(fd, view, offset)
            else:
                with _seek_lock:
                    os.lseek(fd, offset, os.SEEK_SET)
                    written = os.write(fd, view)
            view = view[written:]
            offset += written


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Read `size` bytes at byte `offset`; fewer only at the end of the file."""
    parts: list[bytes] = []
    with _named(f"fd {fd}"):
        while size:
            if hasattr(os, "pread"):
                part = os.pread(fd, size, offset)
            else:
                with _seek_lock:
                    os.lseek(fd, offset, os.SEEK_SET)
                    part = os.read(fd, size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
            offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_cached(fd: int, size: int, offset: int) -> bytes | None:
    """Read `size` bytes at byte `offset` if memory holds them all.

    Returns
    -------
    bytes or None
        None where the disk would have to be waited for, where there are fewer, and
        where the system cannot say: then :func:`read_at` reads them, in a thread.
    """
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    place = bytearray(size)
    try:
        read = os.preadv(fd, [place], offset, os.RWF_NOWAIT)
    except OSError:  # EAGAIN, or a file system that has no such reads
        return None
    return bytes(place) if read == size else None


def read_into(fd: int, places: Sequence[memoryview], offset: int) -> int:
    """Fill the places, one after the other, with the bytes from `offset` on.

    Returns
    -------
    int
        Bytes read; fewer than there is room for only at the end of the file.
    """
    done = 0
    with _named(f"fd {fd}"):
        if hasattr(os, "preadv"):
            room = sum(map(len, places))
            while done < room:
                count = os.preadv(fd, _behind(places, done)[:_MOST_PLACES], offset + done)
                if not count:
                    break
                done += count
            return done
        for place in places:
            piece = read_at(fd, len(place), offset + done)
            place[: len(piece)] = piece
            done += len(piece)
    return done


def _behind(places: Sequence[memoryview], done: int) -> list[memoryview]:
    """Return what is left to be filled."""
    left = []
    for place in places:
        if done < len(place):
            left.append(place[done:])
        done = max(0, done - len(place))
    return left


def preallocate(fd: int, size: int) -> None:
    """Give an open file its final length, taking the disk space where the system can.

    Raises
    ------
    DiskFull
        There is no room; nothing was promised yet.
    """
    with _named(f"fd {fd}"):
        if hasattr(os, "posix_fallocate") and size:
            try:
                os.posix_fallocate(fd, 0, size)
                return
            except OSError as failure:  # tmpfs and others cannot
                if failure.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
                    raise
        os.ftruncate(fd, size)


def sync_data(fd: int) -> None:
    """Return only when the file's bytes are on the disk.

    Raises
    ------
    SyncFailed
        They may be lost, whatever a later sync says.
    """
    with _syncing(f"fd {fd}"):
        getattr(os, "fdatasync", os.fsync)(fd)


def sync_folder(folder: Path) -> None:
    """Return only when the names in `folder` are on the disk (no-op on Windows).

    Raises
    ------
    SyncFailed
        They may be lost, whatever a later sync says.
    """
    if os.name == "nt":
        return
    with _named(folder):
        fd = os.open(folder, os.O_RDONLY)
    try:
        with _syncing(folder):
            os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents, each name made durable."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for name in reversed(missing):
        with _named(name):
            name.mkdir(exist_ok=True)
        sync_folder(name.parent)


def create(path: Path | str, *, direct: bool = False) -> int:
    """Open a new file for reading and writing; it must not exist yet.

    Parameters
    ----------
    direct : bool
        For :func:`write_direct` alone.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _named(path):
        return os.open(path, flags | (_DIRECT if direct else 0), 0o600)


def write_direct(fd: int, buffer: memoryview, length: int) -> None:
    """Write the first `length` bytes of a buffer as a whole file, past the page cache.

    Parameters
    ----------
    buffer : memoryview
        Begins at a page and has room up to the end of the last block of `length`;
        what lies there is set to zero.
    """
    end = -(-length // BLOCK) * BLOCK
    buffer[length:end] = bytes(end - length)
    write_at(fd, buffer[:end], 0)
    with _named(f"fd {fd}"):
        os.ftruncate(fd, length)


def direct_works(folder: Path) -> bool:
    """Try whether :func:`write_direct` gives back what it was given, in a folder that is there."""
    if not _DIRECT:
        return False
    path = folder / f".direct.{secrets.token_hex(8)}"
    length = BLOCK + 1
    with contextlib.suppress(OSError, StorageError), mmap.mmap(-1, 2 * BLOCK) as block:
        block[:length] = bytes(range(256)) * (BLOCK // 256) + b"x"
        fd = create(path, direct=True)
        try:
            with memoryview(block) as view:
                write_direct(fd, view, length)
            sync_data(fd)
            return path.read_bytes() == block[:length]
        finally:
            os.close(fd)
            path.unlink()
    return False


def open_file(path: Path, *, writable: bool = False) -> int:
    """Open an existing file for positioned access."""
    with _named(path):
        mode = os.O_RDWR if writable else os.O_RDONLY
        return os.open(path, mode | getattr(os, "O_BINARY", 0))


def drop_cached(fd: int) -> None:
    """Let the system forget what it holds of an open file: the next read is of the disk.

    It keeps memory for others too.  Where the system has no such call nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def forget(path: Path) -> None:
    """Let what memory holds of a file go: after a failed sync the disk may hold something else."""
    fd = open_file(path)
    try:
        drop_cached(fd)
    finally:
        os.close(fd)


def rename(old: Path | str, new: Path | str) -> None:
    """Rename a closed file; the name is safe only after :func:`sync_folder` (group commit)."""
    with _named(new):
        os.replace(old, new)  # noqa: PTH105 - as text, for every instance


def publish(temporary: Path, final: Path) -> None:
    """Rename a file whose bytes are safe to its final name, and make the name safe.

    The file must be closed: Windows refuses otherwise.
    """
    rename(temporary, final)
    sync_folder(final.parent)


def save(path: Path, data: bytes | bytearray, *, private: bool = False) -> None:
    """Replace `path` with `data`, whole or not at all.

    Parameters
    ----------
    private : bool
        Readable by the owner alone (keys).
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        fd = create(temporary)
        try:
            write_at(fd, data, 0)
            if not private and os.name != "nt":
                os.fchmod(fd, 0o644)
            with _syncing(path):
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        discard(temporary)  # closed by now: Windows removes no open file
        raise
    publish(temporary, path)


def remove(path: Path) -> None:
    """Remove a file if it is there, durably."""
    with _named(path):
        path.unlink(missing_ok=True)
    sync_folder(path.parent)


def discard(path: Path | str) -> None:
    """Remove a file that nothing stands for; where that fails, it is left to the next start."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - as text, for every instance


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the one lock of a data directory.

    Raises
    ------
    DataInUse
        Another process holds it.
    """
    make_folder(path.parent)
    with _named(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _take(fd, path)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path) -> None:
    try:
        try:
            import fcntl
        except ImportError:
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as failure:
        raise DataInUse(path=path.parent) from failure


def safe_sqlite(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Put a connection in WAL with synchronous FULL and check that SQLite obeyed.

    SQLite stays silently in another journal mode after an I/O error, so each
    answer is compared.

    Raises
    ------
    DatabaseUnsafe
        An answer is not the one asked for.
    """
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for pragma, value in wanted.items():
        connection.execute(f"PRAGMA {pragma}={value}")
        row = connection.execute(f"PRAGMA {pragma}").fetchone()
        if row is None or row[0] != value:
            raise DatabaseUnsafe(cause=f"{pragma}={row and row[0]}")
    connection.execute(f"PRAGMA busy_timeout={round(BUSY * 1000)}")
    return connection
