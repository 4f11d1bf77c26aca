"""Rows in the form of every bench, from runs in which several things were timed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.bench.processes import PRODUCT
from conformance.bench.slides.run import Outcome, Run

SECONDS = "s"


@dataclass(frozen=True, slots=True)
class Case:
    """One row: something that was timed of ours, beside a peer's or a bound.

    Attributes
    ----------
    time : str
        Key of :attr:`conformance.bench.slides.run.Run.times`.
    peer : str or float
        An entrant, or a bound in seconds.
    goal : float or None
        Of the ratio, peer / ours; None where both only stand side by side.
    unit : str
        Of what was measured: seconds, unless it says otherwise.
    """

    name: str
    ours: str
    time: str
    peer: str | float
    goal: float | None
    unit: str = SECONDS

    @property
    def peer_name(self) -> str:
        """The peer as a row names it."""
        if isinstance(self.peer, str):
            return self.peer
        figure = f"{self.peer:.3g}" if self.unit == SECONDS else f"{self.peer:.0f}"
        return f"bound {figure} {self.unit}"


def rows(
    cases: Sequence[Case], outcomes: dict[str, Outcome], count: int | Callable[[Case], int]
) -> dict[str, list[dict[str, Any]]]:
    """Return ``cases``, every row with a ratio, and ``left_out`` with the reason of each other.

    Parameters
    ----------
    count : int or callable
        Tiles of the slide; of each row, where rows differ.
    """
    made, left_out = [], []
    for case in cases:
        ours = outcomes[case.ours]
        bound = not isinstance(case.peer, str)
        peer = Outcome() if isinstance(case.peer, float) else outcomes[str(case.peer)]
        failure = ours.failure or peer.failure
        head = {"case": case.name, "ours": case.ours, "peer": case.peer_name}
        if failure is not None:
            left_out.append(head | {"goal": _goal(case), "reason": failure.as_json()})
            continue
        ours_s = [round(one.times[case.time], 4) for one in ours.runs]
        peer_s = (
            [round(case.peer, 4)]
            if isinstance(case.peer, float)
            else [round(one.times[case.time], 4) for one in peer.runs]
        )
        made.append(
            head
            | {
                "slices": count if isinstance(count, int) else count(case),
                "ours_s": ours_s,
                "peer_s": peer_s,
                "ratio": round(statistics.median(peer_s) / statistics.median(ours_s), 3),
                "goal": _goal(case),
                "cpu_s": {"ours": _cpu(ours), "peer": None if bound else _cpu(peer)},
                "memory_mb": {
                    "ours": _megabytes(ours, lambda role: role != PRODUCT),
                    "sender": _megabytes(ours, lambda role: role == "sender"),
                    "receiver_dicom": None,
                    "peer": None if bound else _megabytes(peer, lambda _role: True),
                },
            }
            | ({} if case.unit == SECONDS else {"unit": case.unit})
        )
    return {"cases": made, "left_out": left_out}


def _goal(case: Case) -> float | None:
    return None if case.goal is None else round(case.goal, 3)


def _cpu(outcome: Outcome) -> float | None:
    taken = [run.cpu for run in outcome.runs if run.cpu]
    return round(statistics.median(taken), 2) if taken else None


def _megabytes(outcome: Outcome, wanted: Callable[[str], bool]) -> float | None:
    """Return the most that a process of the wanted roles had in any run."""
    runs: Sequence[Run] = outcome.runs
    sizes = [size for run in runs for role, size in run.memory.items() if wanted(role)]
    return round(max(sizes) / 1e6, 1) if sizes else None
