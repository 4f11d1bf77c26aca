"""A scanner's output folder: slides that are whole, each with what was asked for it.

Scanners write slowly, pause, rename at the end and write a TIFF's directory last; so a
slide is taken once its files have been still for the time set and it opens with every
tile inside its file.  What lacks a patient is held, and taken up again when a request
file says whose it is; a slide that changed while it was sent is taken anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import (
    RequestUnreadable,
    SourceChanged,
    SourceGone,
    StorageError,
    TakenAgain,
    TodokeError,
)
from common.states import TransferState
from sender import completing, slide_request
from sender.declaring import NOBODY, House
from sender.doors import whole
from sender.doors.still import Still
from sender.doors.way import Way
from sender.doors.whole import Known
from sender.file_names import printable
from sender.outbox import fault, now
from sender.requests import files as request_files
from sender.requests.matching import merged, speaking

if TYPE_CHECKING:
    from sender.outbox import Outbox
    from sender.requests.files import Row
    from sender.routing import Rule
    from sender.watched import HeldSlide

log = logging.getLogger("todoke.scanner")
PATIENCE = 600.0  # seconds at least that a slide that cannot be read is waited for
TRIES = 3  # times that one path is taken again after it changed while it was sent
_NAMELESS = frozenset({"E-2106", RequestUnreadable.number})
_CHANGED = frozenset({SourceChanged.number, SourceGone.number})


@dataclass
class Seen:
    """What one look found, for who watches.

    Attributes
    ----------
    jobs : list of int
        Jobs that were made.
    owned : set of Path
        Files that are slides', or requests for them.
    waiting : dict
        Slides and request files not taken yet: ``growing``, ``unreadable`` or ``request``.
    """

    jobs: list[int] = field(default_factory=list)
    owned: set[Path] = field(default_factory=set)
    waiting: dict[Path, str] = field(default_factory=dict)


class ScannerFolder:
    """The slides of one watched folder.

    Parameters
    ----------
    taken : dict
        Size and mtime of what was taken, by printable path; shared with the door.
    house : House
        By which a slide that is completed later is judged.
    """

    def __init__(
        self,
        outbox: Outbox,
        way: Way,
        still: Still,
        taken: dict[str, Known],
        house: House = NOBODY,
    ) -> None:
        self.outbox = outbox
        self.way = way
        self.still = still
        self.taken = taken
        self.house = house
        #: Request files as they were read, with what is wrong in them.
        self.requests: dict[Path, tuple[Known, list[Row], list[RequestUnreadable]]] = {}
        self._tried: dict[Path, tuple[Any, float]] = {}
        self._completed: dict[str, Any] = {}
        self._again: dict[str, int] = {}

    def look(self, files: Mapping[Path, Known], rules: Sequence[Rule] = ()) -> Seen:
        """Look once at the files of the folder."""
        seen = Seen()
        slides = whole.sets(files)
        seen.owned = {path for known in slides.values() for path in known}
        unread = self._read_requests(files, seen)
        for slide, parts in slides.items():
            if all(self.taken.get(printable(str(p))) == known for p, known in parts.items()):
                continue
            if reason := self._waits(slide, parts, unread):
                seen.waiting[slide] = reason
            elif (job := self._take(slide, parts)) is not None:
                seen.jobs.append(job)
        self._look_at_held(slides, rules)
        return seen

    # -- request files --------------------------------------------------------

    def _read_requests(self, files: Mapping[Path, Known], seen: Seen) -> list[Path]:
        """Read request files that lie still; return those that do not yet."""
        unread: list[Path] = []
        found = [p for p in files if request_files.is_request_name(p) and p not in seen.owned]
        for gone in set(self.requests) - set(found):
            del self.requests[gone]
        for path in found:
            known = files[path]
            if path in self.requests and self.requests[path][0] == known:
                seen.owned |= {path} if any(self.requests[path][1:]) else set()
                continue
            if self.still.seconds(path, known) < self.way.settle or not whole.fresh(
                [(path, known)]
            ):
                seen.owned.add(path)
                seen.waiting[path] = "request"
                unread.append(path)
                continue
            self.requests[path] = self._load(path, known)
            if any(self.requests[path][1:]):
                seen.owned.add(path)
                self._tell(path, known, seen)
        return unread

    @staticmethod
    def _load(path: Path, known: Known) -> tuple[Known, list[Row], list[RequestUnreadable]]:
        try:
            rows = request_files.load(path)
        except RequestUnreadable as failure:
            return known, [], [failure]
        except StorageError as failure:
            return known, [], [RequestUnreadable(place=path.name, cause=failure.facts["cause"])]
        return known, rows, [row.wrong for row in rows if row.wrong is not None]

    def _tell(self, path: Path, known: Known, seen: Seen) -> None:
        """Keep in the outbox what is wrong in a request file, once for each of its versions."""
        _, _, wrong = self.requests[path]
        if self.taken.get(printable(str(path))) == known:
            return
        job = self.outbox.submit_watched({path: known}, self.way.options(), self.way.partner)
        self.taken[printable(str(path))] = known
        if job is None:
            return
        refused: list[tuple[str, TodokeError]] = [(printable(str(path)), one) for one in wrong]
        self.outbox.scanned(self.outbox.job(job), [], refused, 1)
        if wrong:
            seen.jobs.append(job)
            log.error("request file: %s rows are wrong (%s)", len(wrong), wrong[0].number)

    def _said(self, slide: Path) -> dict[str, Any]:
        """Return what the request files say of a slide; raises RequestUnreadable."""
        rows = [row for _, rows, _ in self.requests.values() for row in rows]
        return merged(speaking(rows, slide, self.way.root, self.way.case_of(slide)))

    # -- slides ---------------------------------------------------------------

    def _waits(self, slide: Path, parts: Mapping[Path, Known], unread: list[Path]) -> str:
        """Say why a slide is not taken yet, or nothing."""
        looks = tuple(sorted(parts.items()))
        still = self.still.seconds(slide, looks)
        if still < self.way.settle:
            return "growing"
        if any(path.parent in slide.parents for path in unread):
            return "request"
        tried, at = self._tried.get(slide, (None, 0.0))
        if tried == looks and still - at < max(self.way.settle, 1.0):
            return "unreadable"
        if not whole.fresh(parts.items()):
            return "growing"
        if whole.whole(slide):
            return ""
        self._tried[slide] = looks, still
        patience = 0.0 if self.way.hurried else max(PATIENCE, 20 * self.way.settle)
        return "unreadable" if still < patience else ""

    def _take(self, slide: Path, parts: Mapping[Path, Known]) -> int | None:
        options = self._options(slide)
        job = self.outbox.submit_watched(parts, options, self.way.partner, [slide])
        self.taken |= {printable(str(path)): known for path, known in parts.items()}
        self.still.forget(slide)
        self._tried.pop(slide, None)
        return job

    def _options(self, slide: Path) -> dict[str, Any]:
        way = self.way
        base = way.options()
        if way.spacing is not None:
            base["slide"] |= {"spacing_um": way.spacing[0], "spacing_by": way.spacing[1]}
        case = way.case_of(slide)
        try:
            said = self._said(slide)
        except RequestUnreadable as failure:
            return slide_request.wrong(base, failure, root=str(way.root), case=case, words={})
        return slide_request.options(self.outbox, way.root, case, said, base)

    # -- what is held ---------------------------------------------------------

    def _look_at_held(
        self, slides: Mapping[Path, Mapping[Path, Known]], rules: Sequence[Rule]
    ) -> None:
        for held in self.outbox.held_slides():
            path = Path(held.path)
            if self.way.root not in path.parents:
                continue
            if held.fault in _NAMELESS:
                self._complete(held, path, rules)
            elif held.fault in _CHANGED and held.newer:
                error = TakenAgain(transfer=held.newer[:8])
                self.outbox.set_state(
                    held.id, TransferState.FAILED, error=fault(error), finished=now()
                )
            elif held.fault in _CHANGED and path in slides:
                self._take_again(held, path, slides[path])

    def _complete(self, held: HeldSlide, path: Path, rules: Sequence[Rule]) -> None:
        """Complete a slide that lacked its patient, if a request file says more by now."""
        try:
            said = self._said(path)
        except RequestUnreadable:
            return  # it is held for that already
        if "patient_id" not in said or self._completed.get(held.id) == said:
            return
        self._completed[held.id] = said
        try:
            completing.complete(self.outbox, held.id, said, rules, self.house)
        except TodokeError as failure:
            self.outbox.keep(held.id, error=fault(failure))
            log.error("transfer %s: not completed (%s)", held.id, failure.number)

    def _take_again(self, held: HeldSlide, path: Path, parts: Mapping[Path, Known]) -> None:
        """Go on with a slide that came back as it was; one that differs is taken anew."""
        if parts[path] != (held.size, held.mtime_ns):
            return  # it is not what was taken, and will be taken once it is whole
        if self.still.seconds(path, tuple(sorted(parts.items()))) < self.way.settle:
            return
        self._again[held.path] = self._again.get(held.path, 0) + 1
        if self._again[held.path] > TRIES or not whole.whole(path):
            return
        if held.fault == SourceGone.number:
            self.still.forget(path)
            self.outbox.set_state(held.id, TransferState.QUEUED, error=None, finished=None)
            return
        names = [printable(str(part)) for part in parts]  # its date tells nothing: read it anew
        self.outbox.forget(names)
        for name in names:
            self.taken.pop(name, None)
