"""`todoke bench dicom`: C-STORE over mutual TLS, against what a user would take instead.

Ours is timed from the moment a running, unconnected daemon is given the job to
the last acknowledgement: reading and digesting the files, the opening over the
link and the association are in it.  Our receiver is durable and digests in
every row; no other product here does either.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import console
from common.errors import NotFound
from conformance.bench import runner
from conformance.bench.entrants import ENTRANTS
from conformance.bench.line import Quality
from conformance.bench.machine import describe
from conformance.bench.processes import Sample
from conformance.bench.runner import Group, Outcome, Plan

MBIT = 1e6 / 8  # bytes a second
UNCOMPRESSED = {
    "ja": "転送中の圧縮はまだありません",
    "en": "compression in flight does not exist yet",
}

GROUPS = (
    Group(
        "loopback",
        (
            "todoke", "DCMTK", "DCMTK as installed", "DCMTK -> Orthanc", "pynetdicom",
            "todoke -> storescp", "todoke -> storescp as installed",
            "storescu as installed -> todoke",
        ),
        500, 60,
    ),
    Group("disk", ("todoke", "DCMTK"), 500, 60, disk=True),
    Group("sustained", ("todoke", "DCMTK"), 3000, 200, rounds=7, disk=True),
    Group(
        "100 Mbit/s 20 ms",
        ("raw TLS", "todoke", "DCMTK", "todoke -> storescp", "todoke -> Orthanc", "first view"),
        100, 100, Quality(0.010, 100 * MBIT),
    ),
    Group("100 Mbit/s 80 ms", ("todoke", "DCMTK"), 100, 100, Quality(0.040, 100 * MBIT)),
    Group(
        "1 Gbit/s 20 ms", ("raw TLS", "todoke", "DCMTK x 4"), 200, 200,
        Quality(0.010, 1000 * MBIT),
    ),
    Group("start", ("start with daemon", "start without daemon"), 1, 1, Quality()),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One row: two entrants of a group, or one and a bound.

    Attributes
    ----------
    ours : str or None
        None where todoke has nothing to be measured yet.
    peer : str or float
        An entrant, or a bound in seconds.
    goal : float
        Of the ratio, peer / ours.
    """

    group: str
    name: str
    ours: str | None
    peer: str | float
    goal: float


CASES = (
    Case("loopback", "loopback", "todoke", "DCMTK", 1.0),
    Case("loopback", "loopback", "todoke", "DCMTK as installed", 15),
    Case("loopback", "loopback", "todoke", "DCMTK -> Orthanc", 3),
    Case("loopback", "loopback", "todoke", "pynetdicom", 12),
    Case("loopback", "loopback, into storescp", "todoke -> storescp", "DCMTK", 1.0),
    Case(
        "loopback", "loopback, into storescp as installed", "todoke -> storescp as installed",
        "DCMTK as installed", 5,
    ),
    Case(
        "loopback", "loopback, out of storescu as installed", "storescu as installed -> todoke",
        "DCMTK as installed", 8,
    ),
    Case("disk", "loopback, on disk", "todoke", "DCMTK", 1.0),
    Case("sustained", "loopback, on disk, sustained", "todoke", "DCMTK", 1.1),
    Case("100 Mbit/s 20 ms", "100 Mbit/s, 20 ms", "todoke", "raw TLS", 0.98),
    Case("100 Mbit/s 20 ms", "100 Mbit/s, 20 ms", "todoke", "DCMTK", 1.0),
    Case("100 Mbit/s 20 ms", "100 Mbit/s, 20 ms, compression", None, "DCMTK", 4.5),
    Case(
        "100 Mbit/s 20 ms", "100 Mbit/s, 20 ms, into storescp (no window)", "todoke -> storescp",
        "raw TLS", 0.95,
    ),
    Case(
        "100 Mbit/s 20 ms", "100 Mbit/s, 20 ms, into Orthanc (no window)", "todoke -> Orthanc",
        "raw TLS", 0.95,
    ),
    Case("100 Mbit/s 20 ms", "first instance readable over WADO-RS", "first view", 0.5, 1.0),
    Case("100 Mbit/s 80 ms", "100 Mbit/s, 80 ms", "todoke", "DCMTK", 1.0),
    Case("100 Mbit/s 80 ms", "100 Mbit/s, 80 ms, compression", None, "DCMTK", 7.5),
    Case("1 Gbit/s 20 ms", "1 Gbit/s, 20 ms", "todoke", "raw TLS", 0.94),
    Case("1 Gbit/s 20 ms", "1 Gbit/s, 20 ms", "todoke", "DCMTK x 4", 1.0),
    Case("1 Gbit/s 20 ms", "1 Gbit/s, 20 ms, compression", None, "DCMTK x 4", 2.0),
    Case("start", "sender send, to a daemon: first byte", "start with daemon", 0.25, 1.0),
    Case("start", "sender send, alone: first byte", "start without daemon", 1.0, 1.0),
)  # fmt: skip


def groups(only: Sequence[str]) -> list[Group]:
    """Return the groups that are asked for by name, all if none is.

    Raises
    ------
    NotFound
    """
    known = {group.name: group for group in GROUPS}
    for name in only:
        if name not in known:
            raise NotFound(thing=f"--only {name} ({', '.join(known)})")
    return [known[name] for name in only or known]


def measure(plan: Plan, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the groups and return the bench's JSON object.

    Parameters
    ----------
    only : sequence of str
        Names of groups; all if empty.
    """
    done: dict[str, dict[str, Outcome]] = {}
    for group in groups(only):
        told = f"{plan.slices_of(group)} x {plan.rounds_of(group)}"
        console.say(f"{group.name}: {told}", f"{group.name}: {told}")
        done[group.name] = runner.run(group, group.entrants, ENTRANTS, plan, _tell)
    rows = [_row(case, done[case.group]) for case in CASES if case.group in done]
    return {"machine": describe(plan), "cases": rows}


def _tell(entrant: str, number: int, sample: Sample) -> None:
    line = f"  {number}  {entrant}: {sample.seconds:.3f} s, CPU {sample.cpu:.2f} s"
    console.say(line, line)


def _row(case: Case, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    ours = outcomes[case.ours] if case.ours else None
    bound = isinstance(case.peer, float)
    peer = outcomes[str(case.peer)] if not bound else Outcome([Sample(float(case.peer), 0, 0)])
    row: dict[str, Any] = {
        "case": case.name,
        "ours": case.ours,
        "peer": f"{case.peer} s" if bound else case.peer,
        "ours_s": [round(run.seconds, 4) for run in ours.runs] or None if ours else None,
        "peer_s": [round(run.seconds, 4) for run in peer.runs] or None,
        "ratio": None,
        "goal": case.goal,
        "reason": _reason(ours, peer),
        "cpu_s": [_median(ours, "cpu"), None if bound else _median(peer, "cpu")],
        "memory_mb": [_megabytes(ours), None if bound else _megabytes(peer)],
    }
    if row["ours_s"] and row["peer_s"]:
        ratio = statistics.median(row["peer_s"]) / statistics.median(row["ours_s"])
        row["ratio"] = round(ratio, 3)
    return row


def _reason(ours: Outcome | None, peer: Outcome) -> dict[str, str] | None:
    """Say why a row has no ratio."""
    if ours is None:
        return UNCOMPRESSED
    failure = ours.failure or peer.failure
    return None if failure is None else failure.as_json()


def _median(outcome: Outcome | None, name: str) -> float | None:
    runs = outcome.runs if outcome else []
    return round(statistics.median(getattr(run, name) for run in runs), 2) if runs else None


def _megabytes(outcome: Outcome | None) -> float | None:
    runs = outcome.runs if outcome else []
    return round(max(run.memory for run in runs) / 1e6, 1) if runs else None


def failed(words: dict[str, Any]) -> bool:
    """Whether a run failed; a product that is not on this machine is no failure."""
    numbers = [(row["reason"] or {}).get("number") for row in words["cases"]]
    return any(number not in {None, NotFound.number} for number in numbers)


def plan_of(
    folder: Path | None, *, quick: bool, rounds: int | None, slices: int | None
) -> tuple[Plan, tempfile.TemporaryDirectory[str], tempfile.TemporaryDirectory[str]]:
    """Return what is run and the two folders it is run in, one of them on a disk.

    Parameters
    ----------
    folder : Path, optional
        In place of a tmpfs.
    """
    shared = Path("/dev/shm")  # noqa: S108 - tmpfs of Linux; the folder's name is random
    below = folder or (shared if os.access(shared, os.W_OK) else None)
    near = tempfile.TemporaryDirectory(prefix="todoke-bench-", dir=below)
    disk = tempfile.TemporaryDirectory(prefix="todoke-bench-")
    return Plan(Path(near.name), Path(disk.name), quick, rounds, slices), near, disk
