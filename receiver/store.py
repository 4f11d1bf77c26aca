"""Where the receiver's files lie, and under which names.

::

    store/incoming/KEY.part        an instance that is arriving by C-STORE
    store/ab/SERIES/KEY.part       a slide level whose frames are arriving
    store/ab/SERIES/KEY.dcm        an instance, whole
    store/aside/KEY.dcm            refused under a known UID, or found damaged

A name is never made from what a peer says: KEY is random, SERIES a keyed digest
of institution and series, so all levels of a slide lie in one folder (OpenSlide
joins them by folder) and no UID can climb out of it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from common import durable
from common.errors import IndexLost, StorageError
from common.settings import Receiver
from common.space import MIB, Space
from receiver.buffers import Buffers

FOLDERS = 4096  # of series, known to be there
LEFT_BEHIND = 256  # instances that cuts may leave without a row, each one group at most
TRIES = 5  # times that a folder is made again which a purge takes away
T = TypeVar("T")
_NONE: Mapping[str, str] = MappingProxyType({})


def series_name(institution: str, series_uid: str) -> str:
    """Return the name of a series' folder: it names the institution to who has a list of them."""
    return hashlib.sha256(f"{institution}\0{series_uid}".encode()).hexdigest()[:32]


class Store:
    """The folder of stored instances.

    Parameters
    ----------
    root : Path
    low_water : int
        Bytes that must stay free on the disk.
    """

    def __init__(self, root: Path, low_water: int = 0) -> None:
        self.root = root
        self.space = Space(root, low_water)
        self.buffers = Buffers()
        self._folders: dict[tuple[str, str], Path] = {}
        for folder in (self.incoming, self.set_aside):
            durable.make_folder(folder)

    @classmethod
    def at(cls, data: Path, settings: Receiver) -> Store:
        """Open the store of a data directory."""
        return cls(data / "store", settings.keep_free_mb * MIB)

    @functools.cached_property
    def direct(self) -> bool:
        """Whether writes past the page cache work here; tried once, by who makes them."""
        return durable.direct_works(self.incoming)

    @property
    def incoming(self) -> Path:
        """Folder of instances that are arriving by C-STORE."""
        return self.root / "incoming"

    @property
    def set_aside(self) -> Path:
        """Folder of what is kept but never served."""
        return self.root / "aside"

    @staticmethod
    def new_key() -> str:
        """Return a random file name."""
        return secrets.token_hex(16)

    def series_folder(self, institution: str, series_uid: str) -> Path:
        """Return the folder of a series of an institution, made if it is new."""
        known = self._folders.get((institution, series_uid))
        if known is not None:
            return known
        name = series_name(institution, series_uid)
        folder = self.root / name[:2] / name
        durable.make_folder(folder)
        if len(self._folders) >= FOLDERS:
            self._folders.clear()
        self._folders[institution, series_uid] = folder
        return folder

    def move_in(
        self, arrived: Path, institution: str, series_uid: str, key: str
    ) -> tuple[Path, str]:
        """Give a closed file its name among its series; safe with the next fsync of the folder.

        Returns
        -------
        (Path, str)
            The folder, and the file's relative path.
        """

        def move(folder: Path) -> tuple[Path, str]:
            place = f"{folder.parent.name}/{folder.name}/{key}.dcm"
            durable.rename(arrived, f"{self.root}/{place}")
            return folder, place

        return self.within(institution, series_uid, move)

    def relative(self, path: Path) -> str:
        """Return a path as the index keeps it."""
        return path.relative_to(self.root).as_posix()

    def path(self, relative: str) -> Path:
        """Return where a path of the index lies."""
        return self.root / relative

    def where(self, relative: str) -> Path:
        """Return where a file of the index lies now.

        A level gets its final name just before the index says so: either may be there.
        """
        path = self.path(relative)
        final = path.with_suffix(".dcm")
        return final if path.suffix == ".part" and not path.exists() else path

    def keep_aside(self, path: Path) -> Path:
        """Move a file out of the way without losing it."""
        kept = self.set_aside / f"{self.new_key()}.dcm"
        durable.publish(path, kept)
        return kept

    def sweep(
        self,
        keys: Collection[str],
        exact: Mapping[str, str] = _NONE,
        purged: Collection[str] = (),
        most: int = LEFT_BEHIND,
        *,
        aside: bool = False,
    ) -> int:
        """Remove what no acknowledgement stands for; called before any door opens.

        Parameters
        ----------
        keys : collection of str
            Keys that the index knows: names of whole instances without their suffix.
        exact : mapping
            Relative path by key of levels that are being filled.
        purged : collection of str
            Relative paths that the index has given up by itself.
        most : int
            Whole instances that a cut can have left behind.
        aside : bool
            Keep whole instances aside instead: the index may have lost their rows.

        Returns
        -------
        int
            Files removed, but for the purged.

        Raises
        ------
        IndexLost
            More whole instances are unknown than a cut can leave: the index is
            another one, or older, and what it does not know may be acknowledged.
        """
        unknown = []
        for name in self.names():
            key, suffix = os.path.splitext(os.path.basename(name))  # noqa: PTH119, PTH122 - many
            known = exact[key] == name if key in exact else suffix == ".dcm" and key in keys
            if not known:
                unknown.append(name)
        lost = [name for name in unknown if name not in purged]
        whole = sum(name.endswith(".dcm") for name in lost)
        if whole > most:
            raise IndexLost(cause=f"{self.root}: {whole} unknown, {len(keys)} known")
        for name in unknown:
            if aside and name.endswith(".dcm") and name not in purged:
                self.keep_aside(self.path(name))
            else:
                durable.remove(self.path(name))
        return len(lost)

    def names(self) -> Iterator[str]:
        """Yield the relative path of every file but of those set aside."""
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    name = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        if name != self.set_aside.name:
                            folders.append(f"{name}/")
                    else:
                        yield name

    def within(self, institution: str, series_uid: str, work: Callable[[Path], T]) -> T:
        """Do something in the folder of a series, which a purge may be taking away meanwhile."""
        tries = TRIES
        while True:
            tries -= 1
            folder = self.series_folder(institution, series_uid)
            try:
                return work(folder)
            except StorageError as failure:
                # gone, or made again since by who came at the same time
                gone = isinstance(failure.__cause__, FileNotFoundError) or not folder.is_dir()
                if not gone or not tries:
                    raise
                self._folders.pop((institution, series_uid), None)

    def drop(self, names: Iterable[str]) -> None:
        """Remove files for good, and the folders of series that are empty then."""
        folders = set()
        for name in names:
            path = self.path(name)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            folders.add(path.parent)
        for folder in folders:
            if folder.is_dir():
                durable.sync_folder(folder)
            with contextlib.suppress(OSError):  # other instances are in it, or come just now
                folder.rmdir()
                durable.sync_folder(folder.parent)
