"""The rows of `todoke bench slide`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import console
from common.errors import TodokeError
from conformance.bench import machine, site
from conformance.bench.cases import MBIT
from conformance.bench.groups import chosen
from conformance.bench.line import Quality
from conformance.bench.pairing import Pair
from conformance.bench.runner import Plan
from conformance.bench.slides import mosaic, others, run
from conformance.bench.slides.mosaic import Slide
from conformance.bench.slides.ours import Pushes, shown_by_https
from conformance.bench.slides.rows import Case, rows
from conformance.bench.slides.run import Outcome, Run

LINE = Quality(0.010, 100 * MBIT)
ROUNDS = 5
OVER = 1.06  # of the time that the line needs at least

PUSH, ZOOM, URGENT = "push", "zoom", "urgent-beside-ct"
GROUPS = (PUSH, ZOOM, URGENT)  # of which some may be asked for alone

ZOOMED, BESIDE = "todoke, Chromium, zooming in", "todoke, beside a CT series"
OURS, SEEN = "todoke", "todoke, Chromium"
COPIED = "HTTPS copy, OpenSlide"
CONVERTED = "wsidicomizer, DCMTK"
DICOMIZED = "OrthancWSIDicomizer"


def cases(slide: Slide, groups: Collection[str] = GROUPS) -> tuple[Case, ...]:
    """Return the rows of groups; the line's own time depends on how long the file is."""
    limit = slide.bytes / LINE.rate
    made = {
        PUSH: (
            Case("first overview at the viewer's tile address", OURS, "view", 0.4, 1.0),
            Case("Chromium: from the job to a canvas with tissue", SEEN, "tissue", 1.2, 1.0),
            Case("a viewport of 48 tiles in mid-push", OURS, "viewport", 0.2, 1.0),
            Case("total, against the line's own time", OURS, "total", limit, 1 / OVER),
            Case("last byte to receipt", OURS, "receipt", 2.0, 1.0),
            Case("processor time of the sender", OURS, "sender", 5.0, 1.0),
            Case("first overview", OURS, "view", COPIED, None),
            *(Case("total", OURS, "total", name, None) for name in (COPIED, CONVERTED, DICOMIZED)),
        ),
        ZOOM: (Case("Chromium: zoom into what is not here", ZOOMED, "zoom", 0.5, 1.0),),
        URGENT: (
            Case("urgent beside a CT series: first overview", BESIDE, "view", 0.4, 1.0),
            Case("urgent beside a CT series: a viewport", BESIDE, "viewport", 0.2, 1.0),
            Case("urgent beside a CT series: total", BESIDE, "total", limit, 1 / OVER),
        ),
    }
    return tuple(case for group in GROUPS if group in groups for case in made[group])


groups_of = partial(chosen, GROUPS)


def measure(plan: Plan, given: Path | None = None, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run everything and return the bench's JSON object.

    Parameters
    ----------
    given : Path, optional
        A slide in Aperio form, in place of one that is made.
    only : sequence of str
        Groups, see :func:`groups_of`.
    """
    groups = groups_of(only)
    described = machine.describe(plan) | {"bench": "slide"}
    described["peers"] |= others.versions()
    log = plan.folder / "make.log"
    console.say("スライドを作っています", "making the slide")
    small = mosaic.make(plan.folder / "small", log, quick=True)
    if given is not None:
        slide = mosaic.of_file(given)
    else:
        slide = small if plan.quick else mosaic.make(plan.folder / "slide", log)
    described["slide"] = mosaic.describe(slide)
    pair = Pair.make(plan.folder / "pair")
    rows_of = cases(slide, groups)
    outcomes = _run(plan, pair, slide, small.path, rows_of)
    described["load"]["after"] = machine.load()
    shutil.rmtree(plan.folder / "small")
    return {"machine": described, **rows(rows_of, outcomes, slide.tiles)}


def _run(
    plan: Plan, pair: Pair, slide: Slide, small: Path, wanted: Sequence[Case]
) -> dict[str, Outcome]:
    named = {one.ours for one in wanted} | {one.peer for one in wanted}
    with site.opened(plan.folder / "line", pair, LINE, shown_by_https(pair)) as here:
        ours = Pushes(here.ends, small)
        entrants: dict[str, Callable[[], Run]] = {
            OURS: partial(ours.read, slide),
            SEEN: partial(ours.seen, slide),
            COPIED: partial(others.copied, here, slide),
            CONVERTED: partial(others.converted, here, slide),
            DICOMIZED: partial(others.dicomized, here, slide),
            ZOOMED: partial(ours.zoomed, slide),
            BESIDE: partial(ours.beside_ct, slide, plan.folder / "series"),
        }
        entrants = {name: run for name, run in entrants.items() if name in named}
        try:
            ours.ready()
        except TodokeError as error:
            return {name: Outcome(failure=error) for name in entrants}
        return run.alternate(entrants, plan.rounds or (1 if plan.quick else ROUNDS), tell)


def tell(entrant: str, number: int, done: Run, unit: str = "s") -> None:
    """Say what a run took, while the bench goes on."""
    times = ", ".join(f"{name} {figure:.3f} {unit}" for name, figure in done.times.items())
    line = f"  {number}  {entrant}: {times}"
    console.say(line, line)
