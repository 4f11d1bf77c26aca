"""The rows of `todoke bench viewer`."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from common import console
from common.errors import TodokeError
from conformance.bench import machine, site
from conformance.bench.cases import MBIT
from conformance.bench.groups import chosen
from conformance.bench.line import Quality
from conformance.bench.pairing import Pair
from conformance.bench.runner import Plan
from conformance.bench.slides import mosaic, run
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.ours import shown_by_https
from conformance.bench.slides.push import tell
from conformance.bench.slides.rows import Case, rows
from conformance.bench.slides.run import Outcome, Run
from conformance.bench.viewer import ohif, screen
from conformance.bench.viewer.ours import PANNED, PICTURES, Reading, Slides
from conformance.bench.viewer.room import Room, behind

ROUNDS = 5
SLICES, QUICK_SLICES = 500, 60
LONG, QUICK_LONG = 1000, 100  # slices of the series that memory is looked at with
READER_LINE = Quality(0.010, 50 * MBIT)  # between reader and receiver
SENDER_LINE = Quality(0.010, 100 * MBIT)  # between the hospitals
#: Of the two slides of a case, in pixels.
SIZES, QUICK_SIZES = ((40_000, 30_000), (38_000, 28_000)), ((14_000, 10_000), (12_000, 9_000))

DRAWN = "drawn"  # folder of the slides

CT, MEMORY, SLIDES, LINE, JOB = "ct", "memory", "slides", "line", "job"
GROUPS = (CT, MEMORY, SLIDES, LINE, JOB)  # of which some may be asked for alone

OURS = "todoke"
OURS_SLIDES = "todoke, slides"
OHIF = "OHIF"

Entrants = dict[str, Callable[[], Run]]


def cases() -> dict[str, tuple[Case, ...]]:
    """Return the rows by group."""
    line = "50 Mbit/s, 20 ms to the reader: "
    return {
        CT: (
            Case("CT: first image after Enter, cold", OURS, "cold", 1.2, 1.0),
            Case("CT: first image after Enter, warm", OURS, "warm", 0.3, 1.0),
            Case(f"CT: {PICTURES} pictures under the wheel", OURS, "scroll", 1.0, 1.0),
            Case("CT: MPR of slices that are here", OURS, "mpr", 0.150, 1.0),
            Case("CT: first image, cold", OURS, "cold", OHIF, None),
            Case("CT: first image, warm", OURS, "warm", OHIF, None),
            Case(f"CT: {PICTURES} pictures under the wheel", OURS, "scroll", OHIF, None),
        ),
        MEMORY: (
            Case("CT, long: memory of the browser", OURS, "memory", 1500.0, 1.0, "MB"),
            Case("CT, long: memory of the browser", OURS, "memory", OHIF, None, "MB"),
        ),
        SLIDES: (
            Case("slide: opens", OURS_SLIDES, "open", 0.5, 1.0),
            Case("slide: the next of its case", OURS_SLIDES, "next", 0.3, 1.0),
            Case("slide: sharp after a jump, 95th percentile", OURS_SLIDES, "jump", 0.25, 1.0),
            Case(f"slide: {PANNED} pictures under the hand", OURS_SLIDES, "pan", 1.0, 1.0),
        ),
        LINE: (
            Case(f"{line}CT, cold", OURS, "cold", 2.0, 1.0),
            Case(f"{line}CT, warm", OURS, "warm", 2.0, 1.0),
            Case(f"{line}slide opens", OURS_SLIDES, "open", 2.0, 1.0),
            Case(f"{line}CT, cold", OURS, "cold", OHIF, None),
            Case(f"{line}CT, warm", OURS, "warm", OHIF, None),
        ),
        JOB: (Case("100 Mbit/s, 20 ms: from the job to an image of a CT", OURS, "job", 1.5, 1.0),),
    }


groups_of = partial(chosen, GROUPS)


class Bench:
    """One run of the bench: its two ends, its slides, and how large everything is."""

    def __init__(self, plan: Plan, groups: Collection[str]) -> None:
        self.plan = plan
        self.slices = plan.slices or (QUICK_SLICES if plan.quick else SLICES)
        self.long = QUICK_LONG if plan.quick else LONG
        self.rounds = plan.rounds or (1 if plan.quick else ROUNDS)
        self.slides = self._draw() if {SLIDES, LINE} & set(groups) else []
        self.pair = Pair.make(plan.folder / "pair")

    def _draw(self) -> list[Slide]:
        console.say("スライドを作っています", "making the slides")
        log = self.plan.folder / "make.log"
        sizes = QUICK_SIZES if self.plan.quick else SIZES
        folder = self.plan.folder / DRAWN
        return mosaic.make_several(folder, log, sizes, quick=self.plan.quick)

    def count(self, group: str) -> Callable[[Case], int]:
        """Return how many images, of a slide tiles, a row is about."""

        def of(case: Case) -> int:
            if case.ours == OURS_SLIDES:
                return self.slides[0].tiles
            return self.long if group == MEMORY else self.slices

        return of

    def outcomes(self, group: str) -> dict[str, Outcome]:
        """Run the entrants of a group in alternation."""
        named = {name for case in cases()[group] for name in (case.ours, case.peer)}
        quality = SENDER_LINE if group == JOB else None
        folder = self.plan.folder / group
        try:
            with site.opened(folder, self.pair, quality, shown_by_https(self.pair)) as here:
                to_reader = READER_LINE if group == LINE else None
                port = int(here.ends.viewer.rpartition(":")[2].strip("/"))
                with behind(port, folder, to_reader) as near:
                    room = Room(here, self.pair, f"https://localhost:{near}/")
                    with self._entrants(group, room, to_reader) as every:
                        wanted = {name: one for name, one in every.items() if name in named}
                        said = partial(tell, unit="MB" if group == MEMORY else "s")
                        return run.alternate(wanted, self.rounds, said)
        except TodokeError as error:  # its ends did not start: the other groups are run
            return {name: Outcome(failure=error) for name in named if isinstance(name, str)}

    @contextlib.contextmanager
    def _entrants(self, group: str, room: Room, quality: Quality | None) -> Iterator[Entrants]:
        reading = Reading(room, self.slices)
        if group == SLIDES:
            yield {OURS_SLIDES: Slides(room, room.case(self.slides)).read}
            return
        if group == JOB:
            yield {OURS: reading.arriving}
            return
        with ohif.served(room, quality) as other:
            if group == MEMORY:
                yield {
                    OURS: partial(reading.memory, self.long),
                    OHIF: partial(other.memory, self.long),
                }
            elif group == CT:
                yield {OURS: reading.ct, OHIF: partial(other.ct, self.slices)}
            else:
                yield {
                    OURS: reading.first_images,
                    OHIF: partial(other.first_images, self.slices),
                    OURS_SLIDES: Slides(room, room.case(self.slides)).opened,
                }


def measure(plan: Plan, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run everything and return the bench's JSON object.

    Parameters
    ----------
    only : sequence of str
        Groups, see :func:`groups_of`.

    Raises
    ------
    NotFound
        There is no such group, or no browser.
    """
    groups = groups_of(only)
    described = machine.describe(plan) | {"bench": "viewer", "browser": screen.facts()}
    described["peers"] = ohif.versions()
    bench = Bench(plan, groups)
    if bench.slides:
        described["slide"] = mosaic.describe(bench.slides[0])
    found: dict[str, list[dict[str, Any]]] = {"cases": [], "left_out": []}
    for group in groups:
        console.say(f"{group}: {bench.rounds} 回", f"{group}: {bench.rounds} rounds")
        for name, made in rows(cases()[group], bench.outcomes(group), bench.count(group)).items():
            found[name] += made
    described["load"]["after"] = machine.load()
    if bench.slides:
        shutil.rmtree(plan.folder / DRAWN)
    return {"machine": described, **found}
