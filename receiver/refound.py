"""A stored file, and all that the index says of it, read from the file and its place."""

from __future__ import annotations

import array
import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import durable
from common.dicom import dataset, digest, elements
from common.errors import NotDicom, TodokeError
from receiver import attributes
from receiver.arrival import Arrival
from receiver.buffers import SIZE
from receiver.store import Store, series_name


@dataclass(frozen=True, slots=True)
class Refound:
    """One instance.

    Attributes
    ----------
    values : dict
        Columns of the index, but for what was receipted.
    """

    institution: str
    path: Path
    values: dict[str, Any]

    def study_model(self) -> dict[str, Any]:
        """Return patient and study level."""
        return attributes.study_attributes(dataset.open_header(self.path)[0])

    def as_level(self) -> tuple[dict[str, Any], list[bytes]]:
        """Return what else is kept of a level that came frame by frame, and its frames' SHA-256.

        Frames are without their padding: what follows the end of a codestream.
        """
        table: array.array[int] = array.array("Q")
        table.frombytes(self.values["frame_table"] or b"")
        _swap(table)
        base, leaves = self.values["prefix_length"], []
        fd = durable.open_file(self.path)
        try:
            for at in range(0, len(table), 2):
                frame = durable.read_at(fd, table[at + 1], base + table[at])
                frame = frame[:-1] if frame.endswith(b"\xff\xd9\0") else frame
                table[at + 1] = len(frame)
                leaves.append(hashlib.sha256(frame).digest())
        finally:
            os.close(fd)
        first = table[0] - 8 if table else None
        _swap(table)
        return {"frame_table": table.tobytes(), "pixel_offset": first}, leaves


class _Stored(Arrival):
    """An instance as if it had just arrived, but for where it lies."""

    place: Path

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.place

    def look(self) -> None:
        """Read all of it, as it was read when it arrived."""
        base = len(self.prefix)
        self._written = SIZE + 1  # nothing of it is in a buffer
        self.d1 = digest.sha256(digest.pieces(self.fd, base, self.length))
        self._read(self._scanned(base) if base + self.length <= SIZE else None)

    def _scanned(self, base: int) -> elements.Elements | None:
        whole = memoryview(durable.read_at(self.fd, base + self.length, 0))
        return self.complete(elements.scan(whole, base, self.transfer_syntax_uid, whole=True))


def refind(store: Store, name: str, codes: Iterable[str]) -> Refound:
    """Read a file of the store.

    Raises
    ------
    NotDicom
        It is no instance, or of none of the institutions `codes`.
    StorageError
        It cannot be read.
    """
    path = store.path(name)
    try:
        part = dataset.read_part10(path)
        one = _Stored(
            store, "", part.sop_class_uid, part.sop_instance_uid, part.transfer_syntax_uid,
            key=path.stem,
        )  # fmt: skip
        one.place, one.prefix, one.length = path, bytes(part.offset), part.length
        one.fd = durable.open_file(path)
        try:
            one.look()
        finally:
            os.close(one.fd)
    except (TodokeError, OSError):
        raise
    except Exception as failure:  # pydicom raises anything on hostile bytes
        raise NotDicom(cause=type(failure).__name__) from failure
    series = str(one.values["series_uid"])
    for code in codes:
        if series_name(code, series) == path.parent.name:
            arrived = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            more = {
                "path": name,
                "sop_uid": part.sop_instance_uid,
                "stored_at": arrived.isoformat(timespec="milliseconds"),
            }
            return Refound(code, path, one.values | more)
    raise NotDicom(cause="institution")


def _swap(table: array.array[int]) -> None:
    if sys.byteorder == "big":
        table.byteswap()
