"""Alternating rounds: every entrant of a group sends a series, again and again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import TodokeError
from conformance.bench import series as series_of
from conformance.bench import site as sites
from conformance.bench.line import Quality
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
    """What an entrant did: its runs, or why there are none."""

    runs: list[Sample] = field(default_factory=list)
    failure: TodokeError | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run, and where.

    Attributes
    ----------
    rounds, slices : int or None
        In place of a group's own.
    """

    folder: Path
    disk: Path
    quick: bool = False
    rounds: int | None = None
    slices: int | None = None

    def rounds_of(self, group: Group) -> int:
        """Return the rounds of a group."""
        return self.rounds or (1 if self.quick else group.rounds)

    def slices_of(self, group: Group) -> int:
        """Return the slices of a series."""
        return self.slices or (group.quick if self.quick else group.slices)


def run(
    group: Group,
    names: Sequence[str],
    entrants: dict[str, Entrant],
    plan: Plan,
    tell: Callable[[str, int, Sample], None],
) -> dict[str, Outcome]:
    """Run some entrants of a group in alternation; one that fails once is left out from then on.

    Parameters
    ----------
    names : sequence of str
        Those of the group's entrants that are asked for.
    tell : callable
        Told the entrant, the round and the run.
    """
    outcomes = {name: Outcome() for name in names}
    folder = (plan.disk if group.disk else plan.folder) / group.name
    with sites.opened(folder, group.quality) as site:
        for number in range(plan.rounds_of(group)):
            # no entrant always comes first, or always after the same other
            turn = [*names[number % len(names) :], *names[: number % len(names)]]
            for name in [n for n in turn if outcomes[n].failure is None]:
                # of its own: an instance that a receiver knows already would cost it less
                seed = f"{group.name}/{number}/{name}"
                made = series_of.make(folder / "series", plan.slices_of(group), seed)
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
