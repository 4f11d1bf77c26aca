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

import hashlib
import os
import secrets
from collections.abc import Collection
from pathlib import Path

from common import durable
from common.errors import DatabaseUnsafe
from common.settings import Receiver
from common.space import MIB, Space
from receiver.buffers import Buffers

FOLDERS = 4096  # of series, known to be there
LEFT_BEHIND = 256  # instances that cuts may leave without a row, each one group at most


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
        self.direct = durable.direct_works(self.incoming)

    @classmethod
    def at(cls, data: Path, settings: Receiver) -> Store:
        """Open the store of a data directory."""
        return cls(data / "store", settings.keep_free_mb * MIB)

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
        name = hashlib.sha256(f"{institution}\0{series_uid}".encode()).hexdigest()[:32]
        folder = self.root / name[:2] / name
        durable.make_folder(folder)
        if len(self._folders) >= FOLDERS:
            self._folders.clear()
        self._folders[institution, series_uid] = folder
        return folder

    def place(self, institution: str, series_uid: str, key: str) -> tuple[Path, str]:
        """Return the folder of a series and the path in the store of one of its instances."""
        folder = self.series_folder(institution, series_uid)
        return folder, f"{folder.parent.name}/{folder.name}/{key}.dcm"

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

    def sweep(self, indexed: Collection[str], *, aside: bool = False) -> int:
        """Remove what no acknowledgement stands for; called before any door opens.

        Parameters
        ----------
        indexed : collection of str
            Relative paths that the index knows.
        aside : bool
            Keep whole instances aside instead: the index may have lost their rows.

        Returns
        -------
        int
            Files removed.

        Raises
        ------
        DatabaseUnsafe
            More whole instances are unknown than a cut can leave: the index is
            another one, or older, and what it does not know may be acknowledged.
        """
        here = (Path(folder) / name for folder, _, names in os.walk(self.root) for name in names)
        unknown = [
            path
            for path in here
            if path.parent != self.set_aside and self.relative(path) not in indexed
        ]
        whole = sum(path.suffix == ".dcm" for path in unknown)
        if whole > LEFT_BEHIND:
            raise DatabaseUnsafe(cause=f"{self.root}: {whole} unknown, {len(indexed)} known")
        for path in unknown:
            if aside and path.suffix == ".dcm":
                self.keep_aside(path)
            else:
                durable.remove(path)
        return len(unknown)
