"""Makes the levels that a slide's file lacks, when nothing else is to do.

Only of slides all of whose levels are verified, a few tiles at a time, in a process
with limits (:mod:`receiver.deriver`): what arrives, and who reads, comes first.
What is made is no instance, see :mod:`receiver.derived`.
"""

from __future__ import annotations

import logging
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from common.errors import NotFound, StorageError
from common.space import Space
from common.states import InstanceState
from common.workers import Worker, WorkerLost
from receiver import deriver, index, transfers
from receiver.changes import Changes
from receiver.derived import STEP, Making, Shape, Shelf, Standing, wanted
from receiver.facts import LIGHT, Facts, KnownFacts
from receiver.index import Index
from receiver.stored import Stored

log = logging.getLogger("todoke.deriving")
TOGETHER = 8  # tiles of one request to the process
SECONDS = 30.0  # that such a request may take
TURN = 1.0  # seconds of one turn
QUIET = 1.0  # seconds without a change, after which nobody else is at work
LATEST = 60.0  # seconds that it waits for that at most
LOOK = 10.0  # seconds between two looks for what lacks levels
AGAIN = 600.0  # seconds until the disk is asked again whether there is room
TILE_ROOM = 1 << 16  # bytes that a tile may need

WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
JPEG = "1.2.840.10008.1.2.4.50"

_instances = index.instances


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the tiles of a level are, and how they are coded."""

    path: Path
    syntax: str
    photometric: str
    table: bytes
    base: int  # added to its offsets


@dataclass(frozen=True, slots=True)
class _Missing:
    """A slide's level, and what is to be made of it.

    Attributes
    ----------
    chain : list of Shape
        All that belongs between it and the next, each made of the one before.
    left : set of int
        Factors of those that are not there.
    """

    row: Row[Any]
    whole: Shape
    photometric: str
    chain: list[Shape]
    left: set[int]


class Deriving:
    """Works by turns.

    Parameters
    ----------
    store : Path
        Folder of the stored instances.
    low_water : int
        Bytes that stay free on the disk.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        database: Index,
        store: Path,
        low_water: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shelf = Shelf(store)
        self._index = database
        self._stored = Stored(database, store)
        self._known = KnownFacts(store)
        self._space = Space(store, low_water)
        self._clock = clock
        self._changes = Changes(database)
        self._worker = Worker("receiver.deriver")
        self._cannot: set[str] = set()  # keys of instances; tried again after a start
        self._job: Iterator[None] | None = None
        self._stale, self._look, self._asleep = True, 0.0, 0.0
        self._changed = self._since = clock()
        self._waiting = 0
        self._begin()

    def _begin(self) -> None:
        self.shelf.clear_unfinished()
        with self._index.read() as db:
            keys = set(db.execute(select(_instances.c.key)).scalars())
        for key, _ in list(self.shelf.names()):
            if key not in keys:
                self.shelf.forget(key)

    def close(self) -> None:
        """End the process; what it was at is begun anew after a start."""
        if self._job is not None:
            self._job = None
            self.shelf.clear_unfinished()
        self._worker.stop()
        self._changes.close()

    def some(self) -> bool:
        """Do as much as one turn has time for; False where there is nothing to do now.

        Raises
        ------
        StorageError
            The index cannot be had.
        """
        now = self._clock()
        if self._changes.seen():
            self._stale, self._changed = True, now
        if now < self._asleep or (self._job is None and not self._next(now)):
            return False
        if now - self._changed < QUIET and now - self._since < LATEST:
            return False
        self._since = now
        try:
            for _ in self._job or ():
                if self._clock() - now >= TURN:
                    break
            else:
                self._job = None
        except StorageError as error:  # no room: what was begun goes again
            log.error("%s", error)
            self._job, self._asleep = None, now + AGAIN
            self.shelf.clear_unfinished()
            self.shelf.say(Standing(self._waiting, 0, "disk"))
        if self._job is None:
            self._worker.stop()
            self._stale, self._look = True, 0.0
        return True

    # --- what is missing ----------------------------------------------------------------------

    def _next(self, now: float) -> bool:
        """Begin the next slide that lacks something, if there is one."""
        if not self._stale or now < self._look:
            return False
        self._stale, self._look = False, now + LOOK
        missing = self.missing()
        self._waiting = sum(len(one.left) for one in missing)
        if not missing:
            if (self.shelf.folder / "progress.json").exists():
                self.shelf.say(Standing())
            return False
        self._job, self._since = self._make(missing[0]), now
        return True

    def missing(self) -> list[_Missing]:
        """Return what is to be made, the newest slide first."""
        of_slides = (_instances.c.sop_class == WSI) & _instances.c.path.is_not(None)
        with self._index.read() as db:
            rows: list[Any] = list(db.execute(select(*LIGHT).where(of_slides)))
            facts = self._known.of(db, rows)
        series: defaultdict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
        for row in rows:
            if facts[row.id].flavor == "VOLUME":
                series[row.institution, row.series_uid].append(row)
        found: list[_Missing] = []
        for levels in series.values():
            if all(row.state == InstanceState.VERIFIED for row in levels):
                found += self._lacking([(row, facts[row.id]) for row in levels])
        return sorted(found, key=lambda one: one.row.id, reverse=True)

    def _lacking(self, levels: list[tuple[Row[Any], Facts]]) -> list[_Missing]:
        shaped = [(row, facts, shape) for row, facts in levels if (shape := _of(facts))]
        if len(shaped) != len(levels):
            return []
        shaped.sort(key=lambda one: -one[2].columns)
        found = []
        for (row, facts, whole), shapes in zip(
            shaped, wanted([shape for *_, shape in shaped]), strict=True
        ):
            if not shapes or row.key in self._cannot or row.transfer_syntax not in deriver.CAN:
                continue
            left = {shape.factor for shape in shapes}
            left -= {shape.factor for shape in self.shelf.of(row.key)}
            if left:
                found.append(_Missing(row, whole, facts.photometric or "", shapes, left))
        return found

    # --- making it ----------------------------------------------------------------------------

    def _make(self, what: _Missing) -> Iterator[None]:
        """Make all that lacks of one level, the largest first: the next is made of it."""
        row, below = what.row, what.whole
        table = self._stored.table(row)
        if len(table) < 16 * below.frames:
            self._cannot.add(row.key)
            return
        path, base = self._stored.path(row), int(row.prefix_length)
        source = _Source(path, str(row.transfer_syntax), what.photometric, table, base)
        for shape in what.chain:
            place = self.shelf.path(row.key, shape.factor)
            if shape.factor in what.left:
                making = Making(place, shape)
                try:
                    yield from self._fill(making, source, below, shape)
                    making.finish()
                except WorkerLost as failure:
                    log.error("%s cannot be reduced: %s", row.path, failure)
                    self._cannot.add(row.key)
                    return
                finally:
                    making.give_up()
                self._waiting -= 1
                self._announce(row)
            try:
                table = self.shelf.spans(row.key, shape.factor)
            except NotFound:  # somebody deleted it: it is seen to be missing the next time
                return
            below, source = shape, _Source(place, JPEG, "", table, 0)

    def _fill(self, making: Making, source: _Source, below: Shape, shape: Shape) -> Iterator[None]:
        said = 0.0
        for first in range(0, shape.frames, TOGETHER):
            numbers = range(first, min(first + TOGETHER, shape.frames))
            self._space.check(len(numbers) * TILE_ROOM)
            request = {
                "path": str(source.path),
                "syntax": source.syntax,
                "photometric": source.photometric,
                "tile": (below.tile_columns, below.tile_rows),
                "step": STEP,
                "tiles": [_parts(source, below, n % shape.across, n // shape.across)
                          for n in numbers],
            }  # fmt: skip
            good, body = self._worker.ask(request, SECONDS)
            if not good:
                raise WorkerLost(late=False)
            at = 0
            while at < len(body):
                (size,) = struct.unpack_from("<Q", body, at)
                making.add(body[at + 8 : at + 8 + size])
                at += 8 + size
            if self._clock() - said > 2:
                said = self._clock()
                self.shelf.say(Standing(self._waiting, 100 * first // shape.frames))
            yield

    def _announce(self, row: Row[Any]) -> None:
        with self._index.write() as db:
            index.announce(db, "study", transfers.study_key(db, row.institution, row.study_uid))
        self._changes.seen()  # our own


def _of(facts: Facts) -> Shape | None:
    """Return the shape of a level that came; None where it does not say."""
    values = (facts.total_columns, facts.total_rows, facts.columns, facts.rows)
    if facts.sparse or facts.concatenation or not all(values):
        return None
    return Shape(1, *(int(value or 0) for value in values))


def _parts(source: _Source, below: Shape, x: int, y: int) -> dict[str, Any]:
    """Return what one tile is made of: STEP x STEP tiles of the level below, fewer at the edges."""
    parts = []
    for row in range(min(STEP, below.down - y * STEP)):
        for column in range(min(STEP, below.across - x * STEP)):
            number = (y * STEP + row) * below.across + x * STEP + column
            offset, size = struct.unpack_from("<QQ", source.table, 16 * number)
            parts.append((column, row, source.base + offset, size))
    width = min(STEP * below.tile_columns, below.columns - x * STEP * below.tile_columns)
    height = min(STEP * below.tile_rows, below.rows - y * STEP * below.tile_rows)
    return {"size": (width, height), "parts": parts}
