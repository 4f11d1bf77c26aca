"""The rows of `todoke bench tiles`."""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from common import console
from common.errors import TodokeError, VerbFailed
from conformance.bench import machine
from conformance.bench.pairing import Pair
from conformance.bench.processes import cpu_seconds, peaks
from conformance.bench.runner import Plan
from conformance.bench.slides import mosaic, others, run
from conformance.bench.slides.push import tell
from conformance.bench.slides.rows import Case, rows
from conformance.bench.slides.run import Outcome, Run
from conformance.bench.tiles import sites
from conformance.bench.tiles.load import Load
from conformance.bench.tiles.sites import PLACES, Room, Served, Server

ROUNDS = 5
CONNECTIONS = 8
SECONDS, QUICK_SECONDS = 5.0, 1.0  # of one run
WARM = 1.0  # seconds before it that do not count
TILES = 1000  # a row tells the time of so many
SEED = 11

OURS = "todoke"
SHIPPED = "OpenSlide DeepZoom, as shipped"
ALIGNED = "OpenSlide DeepZoom, aligned"
LARGE_IMAGE = "large_image"
ORTHANC = "Orthanc-WSI"
CEILING = "same bytes from memory"

CASES = (
    Case(f"{TILES} random tiles, 8 connections", OURS, "tiles", SHIPPED, 20.0),
    *(
        Case(f"{TILES} random tiles, 8 connections", OURS, "tiles", peer, None)
        for peer in (ALIGNED, LARGE_IMAGE, ORTHANC)
    ),
    Case("99th percentile of the answers, 8 connections", OURS, "p99", 0.020, 1.0),
    Case(f"{TILES} tiles: what the load can take at most", OURS, "tiles", CEILING, None),
)


def servers(body: int) -> dict[str, Server]:
    """Return who serves.

    Parameters
    ----------
    body : int
        Bytes of each answer of the ceiling.
    """
    return {
        OURS: sites.todoke,
        SHIPPED: sites.script("deepzoom", size=254),
        ALIGNED: sites.script("deepzoom", "aligned", size=256),
        LARGE_IMAGE: sites.script("large_image", size=256),
        ORTHANC: sites.orthanc,
        CEILING: sites.script("ceiling", str(body), size=256, own=True),
    }


def measure(plan: Plan, given: Path | None = None) -> dict[str, Any]:
    """Run everything and return the bench's JSON object.

    Parameters
    ----------
    given : Path, optional
        A slide in Aperio form, in place of one that is made.
    """
    described = machine.describe(plan) | {"bench": "tiles"}
    described["peers"] |= others.versions()
    console.say("スライドを作っています", "making the slide")
    slide = (
        mosaic.of_file(given)
        if given is not None
        else mosaic.make(plan.folder / "slide", plan.folder / "make.log", quick=plan.quick)
    )
    serving, loading = cores()
    described |= {
        "slide": mosaic.describe(slide),
        "cores_of": {"server": list(serving), "load": list(loading)},
    }
    chance = random.Random(SEED)  # noqa: S311 - places on a slide
    places = [(chance.random(), chance.random()) for _ in range(PLACES)]
    room = Room(plan.folder, Pair.make(plan.folder / "pair"), slide, places, serving)
    outcomes = _run(plan, room, loading)
    described["load"]["after"] = machine.load()
    return {"machine": described, **rows(CASES, outcomes, TILES)}


def cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the cores of the servers and that of the load; of a single one, none are kept."""
    have = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (tuple(have[:-1]), (have[-1],)) if len(have) > 1 else ((), ())


def _run(plan: Plan, room: Room, loading: tuple[int, ...]) -> dict[str, Outcome]:
    missing: dict[str, Outcome] = {}
    entrants: dict[str, Callable[[], Run]] = {}
    seconds = QUICK_SECONDS if plan.quick else SECONDS
    with contextlib.ExitStack() as stack:
        for name, server in servers(int(room.slide.lengths.mean())).items():
            console.say(f"{name} を始めます", f"starting {name}")
            try:
                served = stack.enter_context(server(room))
            except TodokeError as error:
                missing[name] = Outcome(failure=error)
            else:
                entrants[name] = partial(one, room, served, loading, seconds)
        rounds = plan.rounds or (1 if plan.quick else ROUNDS)
        return run.alternate(entrants, rounds, tell) | missing


def one(room: Room, served: Served, loading: tuple[int, ...], seconds: float) -> Run:
    """Load one server for a while, after a while that does not count.

    Raises
    ------
    VerbFailed
        An answer was no tile.
    """
    load = Load(
        served.url, str(room.pair.identity.ca), served.paths, CONNECTIONS, WARM,
        served.headers, loading,
    )  # fmt: skip
    _load(room, load)
    before = cpu_seconds(served.pid)
    said = _load(room, Load(**(asdict(load) | {"seconds": seconds})))
    return as_run(said, cpu_seconds(served.pid) - before, peaks(served.pid, "server"))


def as_run(said: dict[str, Any], cpu: float, memory: dict[str, int]) -> Run:
    """Return what a load printed as a run; the processor's time is that of `TILES` tiles."""
    taken = said["taken"]
    share = TILES / said["tiles"]
    times = {
        "tiles": said["seconds"] * share,
        "p99": percentile(taken, 99),
        "median": statistics.median(taken),
        "load": said["cpu"] * share,
    }
    return Run(times, cpu * share, memory)


def percentile(taken: list[float], share: int) -> float:
    """Return the smallest value that at least `share` per cent of all do not exceed."""
    ordered = sorted(taken)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def _load(room: Room, load: Load) -> dict[str, Any]:
    path = room.folder / "load.json"
    path.write_text(json.dumps(asdict(load)))
    line = [sys.executable, "-m", "conformance.bench.tiles.load", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VerbFailed(verb="load", cause=done.stderr.strip().splitlines()[-1:])
    said: dict[str, Any] = json.loads(done.stdout)
    return said
