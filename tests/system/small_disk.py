"""A small disk that a test may fill, break or take away: tmpfs, or ext4 in a file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from common.space import MIB, free

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, linux/fs/ext4/ext4.h
NO_FLUSH = 2  # ... without writing what waits in memory
STEP = 1 << 16  # bytes


def cannot(kind: str) -> str | None:
    """Say why such a disk cannot be made here, None when it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "mounting a small disk needs root"
    programs = ["mount", "umount", *(["mkfs.ext4", "e2fsck"] if kind == "ext4" else [])]
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    if kind == "ext4" and not Path("/dev/loop-control").exists():
        return "this system has no loop devices"
    return None


class NoDisk(Exception):
    """The machine cannot make such a disk; the words say why."""


@dataclass
class SmallDisk:
    """A context manager; mounted at :attr:`at`.

    Parameters
    ----------
    kind : {'tmpfs', 'ext4'}
    size : int
        MiB.
    names : int
        Files that an ext4 can hold; 0 for its default.
    """

    at: Path
    kind: str
    size: int
    names: int = 0
    least: int = field(default=1 << 62, init=False)  # bytes free, the least seen

    def __enter__(self) -> Self:
        if why := cannot(self.kind):
            raise NoDisk(why)
        self.at.mkdir(parents=True, exist_ok=True)
        try:
            if self.kind == "tmpfs":
                _do("mount", "-t", "tmpfs", "-o", f"size={self.size}m", "tmpfs", self.at)
            else:
                with self._image.open("wb") as file:
                    file.truncate(self.size * MIB)
                names = ["-N", self.names] if self.names else []
                _do("mkfs.ext4", "-q", "-m", 0, *names, self._image)
                self.mount()
        except subprocess.CalledProcessError as failure:
            raise NoDisk(f"{failure.cmd}: {failure.stderr.strip()}") from failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.unmount()

    @property
    def _image(self) -> Path:
        return self.at.with_name(f"{self.at.name}.img")

    @property
    def _ballast(self) -> Path:
        return self.at / "ballast"

    def mount(self) -> None:
        """Mount an ext4; its journal is replayed."""
        _do("mount", "-o", "loop", self._image, self.at)

    def unmount(self) -> None:
        """Take the disk away, as soon as the last process has left it."""
        end = time.monotonic() + 20
        while True:
            done = subprocess.run(["umount", self.at], capture_output=True, check=False)
            if done.returncode == 0 or not os.path.ismount(self.at):
                return
            if time.monotonic() > end:
                _do("umount", "-l", self.at)
                raise AssertionError(f"busy: {done.stderr!r}")
            time.sleep(0.05)

    def free(self) -> int:
        """Return the bytes that are free, and remember the least."""
        found = free(self.at).size
        self.least = min(self.least, found)
        return found

    def fill(self, left: int) -> None:
        """Take room until so many bytes are free."""
        with self._ballast.open("ab") as file:
            while (over := self.free() - left) >= STEP or (left == 0 and over > 0):
                try:
                    file.write(bytes(min(MIB, over) if left else 4096))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError as failure:
                    if failure.errno != errno.ENOSPC:
                        raise
                    return

    def fill_names(self, left: int) -> None:
        """Make files until so many more can be made."""
        folder = self.at / "names"
        folder.mkdir()
        for number in range((free(self.at).names or 0) - left):
            (folder / str(number)).touch()

    def release(self) -> None:
        """Give back all that was taken."""
        self._ballast.unlink(missing_ok=True)
        shutil.rmtree(self.at / "names", ignore_errors=True)

    def fail(self) -> None:
        """Let every later access fail, as of a disk that is gone (ext4)."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(fd)

    def read_only(self) -> None:
        """Make the disk read-only under whoever writes there, as ext4 does after an error."""
        _do("mount", "-o", "remount,abort", self.at)

    def repair(self) -> None:
        """Mount the disk again after it failed, as an administrator does."""
        self.unmount()
        subprocess.run(["e2fsck", "-fy", self._image], capture_output=True, check=False)
        self.mount()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look all the while how little is free."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.02):
                with contextlib.suppress(OSError):
                    self.free()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _do(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
