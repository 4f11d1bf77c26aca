"""Levels of slides that were made here: where they lie, and how they are read.

A slide file may have one level alone, or steps of 16 between two: then zooming jumps
from a postage stamp to single cells.  The missing steps are made at the receiver
(:mod:`receiver.deriving`), for the eye alone.  They are no instances: they lie apart from the
store, no row, digest, receipt or evidence knows of them, DICOMweb does not serve them,
and the pages say 作成レベル where they are shown.  Whoever deletes the folder loses
nothing: it is filled again.

::

    derived/ab/KEY-4.tiles     of the instance KEY, reduced by 4
    derived/progress.json      what ``status`` says of it

A file is a head, the offset and length of each tile (uint64 LE pairs), then the tiles:
JPEG, as many and as large as those of a level of this size, in rows.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import durable
from common.errors import NotFound, StorageError

STEP = 4  # between two levels; scanners make steps of 2 or 4
LARGEST_GAP = 4.5  # ratio of two neighbours that needs nothing between them
SMALLEST = 2048  # pixels of the longer side that a screen shows as it is
FOLDER = "derived"
_HEAD = struct.Struct("<8sIIIII")
_MAGIC = b"TDKDRV01"
_NAME = re.compile(r"([0-9a-f]{32})-(\d{1,7})\.tiles")


@dataclass(frozen=True, slots=True)
class Shape:
    """A derived level.

    Attributes
    ----------
    factor : int
        Pixels of the instance per pixel, along one side.
    columns, rows : int
        Pixels of the picture; tiles at its edges are padded beyond it.
    tile_columns, tile_rows : int
        Pixels of a tile.
    """

    factor: int
    columns: int
    rows: int
    tile_columns: int
    tile_rows: int

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.columns // self.tile_columns)

    @property
    def down(self) -> int:
        """Rows of tiles."""
        return -(-self.rows // self.tile_rows)

    @property
    def frames(self) -> int:
        """Tiles."""
        return self.across * self.down

    def smaller(self) -> Shape:
        """Return the next level."""
        columns, rows = -(-self.columns // STEP), -(-self.rows // STEP)
        return Shape(self.factor * STEP, columns, rows, self.tile_columns, self.tile_rows)


def wanted(shapes: list[Shape]) -> list[list[Shape]]:
    """Return what is to be made of each level of a slide: nothing of most.

    Parameters
    ----------
    shapes : list of Shape
        The levels that came, largest first, each with factor 1.
    """
    found: list[list[Shape]] = []
    for number, shape in enumerate(shapes):
        below = shapes[number + 1] if number + 1 < len(shapes) else None
        made, last = [], shape
        while _step_is_missing(last, below):
            last = last.smaller()
            made.append(last)
        found.append(made)
    return found


def _step_is_missing(one: Shape, below: Shape | None) -> bool:
    if below is None:
        return max(one.columns, one.rows) > SMALLEST
    return one.columns / below.columns > LARGEST_GAP


class Shelf:
    """The folder of derived levels.

    Parameters
    ----------
    store : Path
        Folder of the stored instances; the shelf stands beside it.
    """

    def __init__(self, store: Path) -> None:
        self.folder = store.parent / FOLDER

    def path(self, key: str, factor: int) -> Path:
        """Return where a level lies, made or not."""
        return self.folder / key[:2] / f"{key}-{factor}.tiles"

    def of(self, key: str) -> list[Shape]:
        """Return the levels that were made of an instance, the largest first."""
        found = []
        for path in (self.folder / key[:2]).glob(f"{key}-*.tiles"):
            with contextlib.suppress(NotFound):
                found.append(self._read_at(path, 0)[0])
        return sorted(found, key=lambda shape: shape.factor)

    def tile(self, key: str, factor: int, number: int) -> bytes:
        """Return one tile, 0-based.

        Raises
        ------
        NotFound
            There is no such tile, or what is there is damaged.
        """
        return self._read_at(self.path(key, factor), number)[1]

    def spans(self, key: str, factor: int) -> bytes:
        """Return offset and length of every tile, uint64 LE pairs.

        Raises
        ------
        NotFound
        """
        try:
            fd = durable.open_file(self.path(key, factor))
        except StorageError:
            raise NotFound(thing="derived") from None
        try:
            shape = _shape(durable.read_at(fd, _HEAD.size, 0))
            table = durable.read_at(fd, 16 * (shape.frames if shape else 0), _HEAD.size)
        finally:
            os.close(fd)
        if shape is None or len(table) != 16 * shape.frames:
            raise NotFound(thing="derived")
        return table

    def _read_at(self, path: Path, number: int) -> tuple[Shape, bytes]:
        try:
            fd = durable.open_file(path)
        except StorageError:
            raise NotFound(thing="derived") from None
        try:
            shape = _shape(durable.read_at(fd, _HEAD.size, 0))
            pair = durable.read_at(fd, 16, _HEAD.size + 16 * number)
            if shape is None or not 0 <= number < shape.frames or len(pair) < 16:
                raise NotFound(thing="derived")
            offset, size = struct.unpack("<QQ", pair)
            tile = durable.read_at(fd, min(size, 1 << 26), offset)
        finally:
            os.close(fd)
        if len(tile) != size or tile[:2] != b"\xff\xd8":
            raise NotFound(thing="derived")
        return shape, tile

    def names(self) -> Iterator[tuple[str, Path]]:
        """Yield the instance's key and the file of every level."""
        for path in self.folder.glob("??/*.tiles"):
            if found := _NAME.fullmatch(path.name):
                yield found[1], path

    def forget(self, key: str) -> None:
        """Delete what was made of an instance."""
        for path in (self.folder / key[:2]).glob(f"{key}-*"):
            durable.discard(path)

    def clear_unfinished(self) -> None:
        """Delete what a process that was ended left half made."""
        for path in self.folder.glob("??/*.part"):
            durable.discard(path)

    def say(self, standing: Standing) -> None:
        """Write down how far the work has come."""
        if self.folder.is_dir():
            durable.save(self.folder / "progress.json", json.dumps(asdict(standing)).encode())

    def standing(self) -> dict[str, Any]:
        """Return how far the work has come, and what it takes on the disk."""
        said = Standing()
        with contextlib.suppress(OSError, ValueError, TypeError):
            said = Standing(**json.loads((self.folder / "progress.json").read_bytes()))
        levels = size = 0
        for _, path in self.names():
            with contextlib.suppress(OSError):
                size += path.stat().st_size
                levels += 1
        return {"levels": levels, "bytes": size, **asdict(said)}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the work has come.

    Attributes
    ----------
    waiting : int
        Levels that are still to be made, the present one among them.
    percent : int
        Of the present one.
    held : str
        Why nothing is made now: ``disk``, or nothing.
    """

    waiting: int = 0
    percent: int = 0
    held: str = ""


class Making:
    """The file of a level while its tiles come, in their order; nobody sees it before its end."""

    def __init__(self, path: Path, shape: Shape) -> None:
        durable.make_folder(path.parent)
        self.path = path
        self._shape = shape
        self._part = path.with_suffix(".part")
        durable.discard(self._part)
        self._fd = durable.create(self._part)
        self._table = bytearray()
        self._end = _HEAD.size + 16 * shape.frames

    def add(self, tile: bytes) -> None:
        """Append the next tile."""
        durable.write_at(self._fd, tile, self._end)
        self._table += struct.pack("<QQ", self._end, len(tile))
        self._end += len(tile)

    def finish(self) -> None:
        """Make the level one."""
        one = self._shape
        head = (one.factor, one.columns, one.rows, one.tile_columns, one.tile_rows)
        durable.write_at(self._fd, _HEAD.pack(_MAGIC, *head) + self._table, 0)
        durable.sync_data(self._fd)
        os.close(self._fd)
        self._fd = -1
        durable.publish(self._part, self.path)

    def give_up(self) -> None:
        """Leave nothing behind."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            durable.discard(self._part)


def _shape(head: bytes) -> Shape | None:
    if len(head) < _HEAD.size:
        return None
    magic, *values = _HEAD.unpack(head)
    return Shape(*values) if magic == _MAGIC and all(values) else None
