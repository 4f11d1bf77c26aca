"""One run of one way to send or serve a slide: several things are timed in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from common.errors import TodokeError


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took.

    Attributes
    ----------
    times : dict of float
        Seconds by what was timed.
    cpu : float
        Seconds of processor, all ends together.
    memory : dict of int
        Peak resident bytes by role, see :func:`conformance.bench.processes.peaks`.
    """

    times: dict[str, float]
    cpu: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """The runs of one entrant, or why there are none."""

    runs: list[Run] = field(default_factory=list)
    failure: TodokeError | None = None


def alternate(
    entrants: Mapping[str, Callable[[], Run]],
    rounds: int,
    tell: Callable[[str, int, Run], None],
) -> dict[str, Outcome]:
    """Run entrants in alternation; one that fails once is left out from then on.

    Parameters
    ----------
    tell : callable
        Told the entrant, the round and the run.
    """
    outcomes = {name: Outcome() for name in entrants}
    names: Sequence[str] = list(entrants)
    for number in range(rounds):
        shift = number % max(1, len(names))  # no entrant always comes first
        for name in [*names[shift:], *names[:shift]]:
            if outcomes[name].failure is not None:
                continue
            try:
                run = entrants[name]()
            except TodokeError as error:
                outcomes[name].failure = error
            else:
                outcomes[name].runs.append(run)
                tell(name, number + 1, run)
    return outcomes
