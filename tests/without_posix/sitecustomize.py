"""Takes away what Windows does not have, before anything of todoke is imported.

A folder with this file first on PYTHONPATH makes every Python started with it
run without positioned reads and writes, preallocation, sendfile, fork, fcntl,
AF_UNIX, TCP_QUICKACK and uvloop; ``socket.socketpair`` is the standard
library's own form for Windows, over loopback; ``msvcrt`` has its one call that
todoke uses; and a file that this process holds open is neither renamed, nor
replaced, nor removed.  Linux only (it looks at ``/proc/self/fd``).

Where TODOKE_WITHOUT_POSIX names a folder, each process leaves its command line
there, so that a test can tell that it really ran so.
"""

import _socket
import errno
import fcntl
import os
import sys
import types
from typing import Any

GONE_FROM_OS = (
    *("pread", "preadv", "pwrite", "pwritev", "posix_fallocate", "posix_fadvise", "sendfile"),
    *("fork", "forkpty", "fdatasync", "eventfd", "memfd_create", "copy_file_range", "splice"),
)
GONE_FROM_SOCKET = ("AF_UNIX", "TCP_QUICKACK", "socketpair", "send_fds", "recv_fds")


def _take_names_away() -> None:
    if "socket" in sys.modules:
        raise RuntimeError("socket was imported before sitecustomize: nothing is proved")
    for name in GONE_FROM_OS:
        if hasattr(os, name):
            delattr(os, name)
    for name in GONE_FROM_SOCKET:
        if hasattr(_socket, name):
            delattr(_socket, name)
    import subprocess  # noqa: F401 - decides by msvcrt whether this is Windows, so it goes first

    for module in ("fcntl", "uvloop"):
        sys.modules[module] = None  # type: ignore[assignment]  # makes the import fail


def _put_msvcrt_there() -> None:
    msvcrt: Any = types.ModuleType("msvcrt")
    msvcrt.LK_UNLCK, msvcrt.LK_LOCK, msvcrt.LK_NBLCK = 0, 1, 2
    how = {0: fcntl.LOCK_UN, 1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB}
    flock = fcntl.flock

    def locking(fd: int, mode: int, nbytes: int) -> None:
        del nbytes
        try:
            flock(fd, how[mode])
        except OSError as failure:
            raise OSError(errno.EACCES, "Permission denied") from failure

    msvcrt.locking = locking
    sys.modules["msvcrt"] = msvcrt


def _open_here() -> set[str]:
    paths = set()
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is not imported this early
        try:
            paths.add(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115
        except OSError:  # the listing's own handle
            continue
    return paths


def _refuse_open_files(name: str) -> None:
    real = getattr(os, name)

    def guarded(*paths: Any, **options: Any) -> None:
        if not options:  # a path relative to an open folder is shutil's business
            named = {os.path.realpath(os.fsdecode(path)) for path in paths}
            if busy := named & _open_here():
                raise PermissionError(errno.EACCES, "used by this process (WinError 32)", *busy)
        real(*paths, **options)

    setattr(os, name, guarded)


def _sign() -> None:
    if folder := os.environ.get("TODOKE_WITHOUT_POSIX"):
        with open(f"{folder}/{os.getpid()}", "w", encoding="utf-8") as signed:  # noqa: PTH123
            signed.write(" ".join(sys.orig_argv))


if sys.platform == "linux":
    _take_names_away()
    _put_msvcrt_there()
    for _name in ("rename", "replace", "remove", "unlink"):
        _refuse_open_files(_name)
    _sign()
