"""A disk whose power can be cut: three file systems, one in a file of the other.

::

    base     XFS on a loop device   the block device below; clones of it are free (reflink)
      middle.img
    middle   XFS on a loop device   what it has not yet written is the disk's own cache
      inner.img
    inner    ext4 on a loop device  the service's data lie here

``FICLONE`` of an image is atomic: the clone is what the device held at one instant,
and mounting it, which replays the journal, is the start after the cut.

A clone of ``inner.img`` keeps all that the service's kernel had handed to the disk
(cache kept).  A clone of ``middle.img`` keeps of that only what was flushed, because
the loop driver hands a flush on as an fsync of ``inner.img`` and everything else
waits in memory (cache lost).  The second is what a disk with a volatile cache does,
and the only one in which O_DIRECT without a flush shows.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

FICLONE = 0x40049409  # linux/fs.h
CLONE_NEWNS = 0x00020000  # linux/sched.h
PROGRAMS = ("mkfs.xfs", "mkfs.ext4", "mount", "umount")
MEMORY = Path("/dev/shm")
SIZES = {"base": 4 << 30, "middle": 3 << 30, "inner": 1 << 30}  # bytes, sparse
KEPT, LOST = "cache kept", "cache lost"
KINDS = (KEPT, LOST)
PATIENCE = 10.0  # seconds that a file system may stay busy after its last process ended


class NoDisk(Exception):
    """The machine cannot make such a disk; the words say why."""


@dataclass(frozen=True)
class Cut:
    """What a disk held when its power was cut."""

    kind: str
    image: Path


class Disk:
    """A context manager; the service's file system is mounted at :attr:`inner`.

    Parameters
    ----------
    folder : Path
        Where the mount points lie; empty of mounts afterwards, whatever happened.

    Raises
    ------
    NoDisk
        Not root, or no loop devices, XFS or ext4 here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inner = folder / "inner"
        self._mounted: list[Path] = []
        self._cuts = 0

    def __enter__(self) -> Self:
        if why := cannot():
            raise NoDisk(why)
        middle = self.folder / "base" / "middle.img"
        try:
            _mount_for_ourselves()
            self._below()
            self._make(middle, "xfs", "-m", "reflink=1")
            self._mount(middle, self.folder / "middle")
            self._make(self._image, "ext4")
            self._mount(self._image, self.inner)
            (self.inner / "lost+found").rmdir()
        except subprocess.CalledProcessError as failure:
            self._clean()
            raise NoDisk(f"{failure.cmd}: {failure.stderr.strip()}") from failure
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._clean()

    def _below(self) -> None:
        """Make the lowest file system, in memory where there is some.

        What a machine's real disk does with a flush is not what is tested, and it is
        shared with everything else that runs.
        """
        roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > SIZES["base"]
        with tempfile.TemporaryDirectory(dir=MEMORY if roomy else self.folder) as short:
            image = Path(short) / "base.img"
            self._make(image, "xfs", "-m", "reflink=1")
            self._mount(image, self.folder / "base")  # which keeps the file, its name goes

    @property
    def _image(self) -> Path:
        return self.folder / "middle" / "inner.img"

    def cut(self, kind: str) -> Cut:
        """Keep what the disk holds now; the service goes on and does not notice."""
        self._cuts += 1
        source = self._image if kind == KEPT else self.folder / "base" / "middle.img"
        image = source.with_name(f"cut{self._cuts:03}.img")
        whole = os.open(source, os.O_RDONLY)
        clone = os.open(image, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.ioctl(clone, FICLONE, whole)
        finally:
            os.close(whole)
            os.close(clone)
        return Cut(kind, image)

    def off(self) -> None:
        """Take the service's file system away; its processes have been killed."""
        self._unmount(self.inner)

    @contextlib.contextmanager
    def after(self, cut: Cut) -> Iterator[Path]:
        """Start again after a cut: the clone is mounted where the service's data were."""
        above = self.folder / "again"
        if cut.kind == LOST:
            # the clone bears the UUID of the one that is mounted
            self._mount(cut.image, above, "nouuid")
        try:
            image = above / self._image.name if cut.kind == LOST else cut.image
            self._mount(image, self.inner)
            try:
                yield self.inner
            finally:
                self._unmount(self.inner)
        finally:
            if cut.kind == LOST:
                self._unmount(above)
            cut.image.unlink()

    def _make(self, image: Path, kind: str, *options: str) -> None:
        with image.open("xb") as file:
            file.truncate(SIZES[image.stem])
        _run(f"mkfs.{kind}", "-q", *options, str(image))

    def _mount(self, image: Path, at: Path, *options: str) -> None:
        at.mkdir(exist_ok=True)
        # by mount's own loop device: it goes with the mount, however that ends
        _run("mount", "-o", ",".join(("loop", *options)), str(image), str(at))
        self._mounted.append(at)

    def _unmount(self, at: Path) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                _run("umount", str(at))
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)  # the kernel tells nobody when the last file is closed
        self._mounted.remove(at)

    def _clean(self) -> None:
        """Unmount all, the innermost first, in any case."""
        with contextlib.ExitStack() as left:  # calls all, the last first, whatever one of them does
            for at in self._mounted:
                left.callback(_away, at)
        self._mounted.clear()


def _away(at: Path) -> None:
    try:
        _run("umount", str(at))
    except subprocess.CalledProcessError:
        _run("umount", "--lazy", str(at))  # it goes when its last process has gone


def cannot() -> str:
    """Return why no such disk can be made here; empty where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "power cuts need Linux and root, for loop devices"
    if missing := [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]:
        return f"power cuts need {', '.join(missing)}"
    return "" if Path("/dev/loop-control").exists() else "power cuts need loop devices"


def _mount_for_ourselves() -> None:
    """Leave the machine's mounts: what this process mounts goes with it, however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise NoDisk(f"power cuts need mounts of their own: {os.strerror(ctypes.get_errno())}")
    _run("mount", "--make-rslave", "/")


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _run(*line: str) -> None:
    environment = {**os.environ, "PATH": _path(), "LC_ALL": "C"}
    subprocess.run(line, check=True, capture_output=True, text=True, timeout=60, env=environment)
