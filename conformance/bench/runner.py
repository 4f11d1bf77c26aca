"""Alternating rounds: every entrant of a group sends a series, again and again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import TodokeError
from conformance.bench import caches
from conformance.bench import series as series_of
from conformance.bench import site as sites
from conformance.bench.line import Quality
from conformance.bench.pairing import Pair
from conformance.bench.processes import Sample
from conformance.bench.series import Series
from conformance.bench.site import Site

Entrant = Callable[[Site, Series], Sample]


@dataclass(frozen=True, slots=True)
class Group:
    """Entrants that share a line and a number of slices, and so can be compared.

    Attributes
    ----------
    slices, quick : int
        Of a full and of a quick run.
    rounds : int
        Fewest of a full run.
    disk : bool
        On a disk rather than on the folder of the run.
    """

    name: str
    entrants: tuple[str, ...]
    slices: int
    quick: int
    quality: Quality | None = None
    rounds: int = 5
    disk: bool = False


@dataclass(slots=True)
class Outcome:
    """What an entrant did with a series of so many slices: its runs, or why there are none."""

    runs: list[Sample] = field(default_factory=list)
    failure: TodokeError | None = None
    slices: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run, and where.

    Attributes
    ----------
    rounds, slices : int or None
        In place of a group's own.
    command : str
        As a person types it to run the same.
    """

    folder: Path
    disk: Path
    quick: bool = False
    rounds: int | None = None
    slices: int | None = None
    command: str = ""

    def rounds_of(self, group: Group) -> int:
        """Return the rounds of a group."""
        return self.rounds or (1 if self.quick else group.rounds)

    def slices_of(self, group: Group) -> int:
        """Return the slices of a series."""
        return self.slices or (group.quick if self.quick else group.slices)


def run(
    group: Group,
    pair: Pair,
    entrants: Mapping[str, Entrant],
    plan: Plan,
    tell: Callable[[str, int, Sample], None],
) -> dict[str, Outcome]:
    """Run a group's entrants in alternation; one that fails once is left out from then on.

    Parameters
    ----------
    tell : callable
        Told the entrant, the round and the run.
    """
    names = group.entrants
    count = plan.slices_of(group)
    outcomes = {name: Outcome(slices=count) for name in names}
    folder = (plan.disk if group.disk else plan.folder) / group.name.replace("/", " ")
    with sites.opened(folder, pair, group.quality) as site:
        for number in range(plan.rounds_of(group)):
            # no entrant always comes first
            turn = [*names[number % len(names) :], *names[: number % len(names)]]
            for name in [n for n in turn if outcomes[n].failure is None]:
                # of its own: an instance that a receiver knows already would cost it less
                seed = f"{group.name}/{number}/{name}"
                made = series_of.make(folder / "series", count, seed)
                if group.disk:
                    caches.settle(folder, made.files)
                else:
                    os.sync()
                try:
                    sample = entrants[name](site, made)
                except TodokeError as error:
                    outcomes[name].failure = error
                else:
                    outcomes[name].runs.append(sample)
                    tell(name, number + 1, sample)
                finally:
                    shutil.rmtree(made.folder)
    return outcomes
