"""`todoke bench dicom`: C-STORE over mutual TLS, against what a user would take instead.

Ours is timed from the moment a running, unconnected daemon is given the job to
the last acknowledgement: reading and digesting the files, the opening over the
link and the association are in it.  Our receiver is durable and digests in
every row; no other product here does either.
"""

from __future__ import annotations

import os
import shlex
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import console
from common.errors import NotFound, TodokeError
from conformance.bench import machine, runner
from conformance.bench.cases import CASES, Case, groups
from conformance.bench.entrants import ENTRANTS
from conformance.bench.pairing import Pair
from conformance.bench.processes import PRODUCT, Sample
from conformance.bench.runner import Group, Outcome, Plan

TMPFS = Path("/dev/shm")  # noqa: S108 - of Linux; the folder's name is random
DISK = Path("/var/tmp")  # noqa: S108 - survives a restart, so no tmpfs (FHS 5.15)


def measure(plan: Plan, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the groups and return the bench's JSON object.

    Parameters
    ----------
    only : sequence of str
        Names of groups; all if empty.
    """
    described = machine.describe(plan)
    done: dict[str, dict[str, Outcome]] = {}
    pair = Pair.make(plan.folder / "pair")
    for group in groups(only):
        told = f"{plan.slices_of(group)} x {plan.rounds_of(group)}"
        console.say(f"{group.name}: {told}", f"{group.name}: {told}")
        done[group.name] = _run(group, pair, plan)
    described["load"]["after"] = machine.load()
    return {"machine": described, **rows(done)}


def _run(group: Group, pair: Pair, plan: Plan) -> dict[str, Outcome]:
    try:
        return runner.run(group, pair, ENTRANTS, plan, _tell)
    except TodokeError as error:  # its ends did not start: the other groups are run all the same
        return {name: Outcome(failure=error) for name in group.entrants}


def _tell(entrant: str, number: int, sample: Sample) -> None:
    line = f"  {number}  {entrant}: {sample.seconds:.3f} s, CPU {sample.cpu:.2f} s"
    console.say(line, line)


def rows(done: dict[str, dict[str, Outcome]]) -> dict[str, list[dict[str, Any]]]:
    """Return ``cases``, every row with a ratio, and ``left_out`` with the reason of each other.

    Parameters
    ----------
    done : dict
        Outcomes by group and entrant.
    """
    cases, left_out = [], []
    for case in CASES:
        if case.group not in done:
            continue
        outcomes = done[case.group]
        ours, peer = outcomes[case.ours], _peer(case, outcomes)
        failure = ours.failure or peer.failure
        if failure is None:
            cases.append(_row(case, ours, peer))
        else:
            left_out.append(_head(case) | {"goal": case.goal, "reason": failure.as_json()})
    return {"cases": cases, "left_out": left_out}


def _peer(case: Case, outcomes: dict[str, Outcome]) -> Outcome:
    """Return a peer's runs; a bound is one run that took as long."""
    if isinstance(case.peer, str):
        return outcomes[case.peer]
    return Outcome([Sample(case.peer)])


def _head(case: Case) -> dict[str, Any]:
    return {"case": case.name, "ours": case.ours, "peer": case.peer_name}


def _row(case: Case, ours: Outcome, peer: Outcome) -> dict[str, Any]:
    bound = isinstance(case.peer, float)
    ours_s, peer_s = ([round(run.seconds, 4) for run in one.runs] for one in (ours, peer))
    return _head(case) | {
        "slices": ours.slices,
        "ours_s": ours_s,
        "peer_s": peer_s,
        # peer's time over ours: of a bound, and of the same bytes also ratio of rates
        "ratio": round(statistics.median(peer_s) / statistics.median(ours_s), 3),
        "goal": case.goal,
        "cpu_s": {"ours": _cpu(ours), "peer": None if bound else _cpu(peer)},
        "memory_mb": {
            "ours": _megabytes(ours, lambda role: role != PRODUCT),
            "sender": _megabytes(ours, lambda role: role == "sender"),
            "receiver_dicom": _megabytes(ours, lambda role: role == "receiver_dicom"),
            "peer": None if bound else _megabytes(peer, lambda _role: True),
        },
    }


def _cpu(outcome: Outcome) -> float:
    return round(statistics.median(run.cpu for run in outcome.runs), 2)


def _megabytes(outcome: Outcome, wanted: Callable[[str], bool]) -> float | None:
    """Return the most that a process of the wanted roles had in any run."""
    sizes = [size for run in outcome.runs for role, size in run.memory.items() if wanted(role)]
    return round(max(sizes) / 1e6, 1) if sizes else None


def failed(words: dict[str, Any]) -> bool:
    """Whether a run failed; a product that is not on this machine is no failure."""
    return any(row["reason"]["number"] != NotFound.number for row in words["left_out"])


def plan_of(
    folder: Path | None,
    only: Sequence[str],
    *,
    quick: bool,
    rounds: int | None,
    slices: int | None,
    name: str = "dicom",
    given: bool = False,
    on_disk: bool = False,
) -> tuple[Plan, tempfile.TemporaryDirectory[str], tempfile.TemporaryDirectory[str]]:
    """Return what is run and the two folders it is run in, one of them on a disk.

    Parameters
    ----------
    folder : Path, optional
        In place of a tmpfs.
    name : str
        Of the bench.
    given : bool
        Whether it takes a file of the person's own.
    on_disk : bool
        Run on a disk, where a receiver's data lie, rather than on a tmpfs.
    """
    command = [
        *("todoke", "bench", name),
        *(["FILE"] if given else []),
        *(["--quick"] if quick else []),
        *(["--dir", "DIR"] if folder else []),  # a page names no path of a machine
        *(word for group in only for word in ("--only", group)),
        *(["--rounds", str(rounds)] if rounds else []),
        *(["--slices", str(slices)] if slices else []),
        "--json",
    ]
    shared = TMPFS if os.access(TMPFS, os.W_OK) else None
    disk = DISK if os.access(DISK, os.W_OK) else None
    slow = os.environ.get("TMPDIR", disk)
    here = folder or (slow if on_disk else shared)
    near = tempfile.TemporaryDirectory(prefix="todoke-bench-", dir=here)
    far = tempfile.TemporaryDirectory(prefix="todoke-bench-", dir=slow)
    return (
        Plan(Path(near.name), Path(far.name), quick, rounds, slices, shlex.join(command)),
        near,
        far,
    )
