"""What was begun to be transferred, and what was: one line each, and whether they agree (AUD-04).

PS3.15 A.5.3.7: "Any disagreement between the two messages might indicate a potential
security breach."  What was noted is known from the trail itself, so a restart goes on
where it was; a line that a crash kept from being written is written then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.audit import files
from common.audit.trail import Trail

PROCESS = "transfers"
#: Facts of both lines that have to be equal.
COMPARED = ("patient", "study_uid", "count", "sop_classes")


@dataclass(frozen=True, slots=True)
class Half:
    """One side of a transfer: what was to be, or what was.

    Attributes
    ----------
    happened : str
        ISO 8601.
    count : int or None
        Instances; None where the peer said no number.
    sop_classes : dict
        Instances of each SOP class.
    """

    happened: str
    patient: str
    study_uid: str
    count: int | None
    sop_classes: dict[str, int]
    outcome: str = "ok"

    def facts(self) -> dict[str, Any]:
        """Return it as a line has it."""
        return {
            "happened": self.happened,
            "patient": self.patient,
            "study_uid": self.study_uid,
            "count": self.count,
            "sop_classes": self.sop_classes,
            "outcome": self.outcome,
        }


def disagreement(begun: dict[str, Any], ended: dict[str, Any]) -> list[str]:
    """Return which facts of the two lines differ; what a peer never said differs from nothing."""
    if begun.get("count") is None:
        return [key for key in ("patient", "study_uid") if begun.get(key) != ended.get(key)]
    return [key for key in COMPARED if begun.get(key) != ended.get(key)]


class Watch:
    """Notes transfers; one for each end.

    Parameters
    ----------
    trails : Path
    """

    def __init__(self, trails: Path) -> None:
        self.trail = Trail(trails, PROCESS)
        self._begun: dict[str, dict[str, Any]] = {}
        self.ended: set[str] = set()
        for line in files.lines(trails, PROCESS):
            words = line.words or {}
            if words.get("event") == "transfer-begun":
                self._begun[str(words["transfer"])] = words
            elif words.get("event") == "transfer-ended":
                self._forget(str(words["transfer"]))

    def _forget(self, transfer: str) -> None:
        self.ended.add(transfer)
        self._begun.pop(transfer, None)

    def look(
        self,
        known: Iterable[tuple[str, bool]],
        begin: Callable[[str], tuple[str, Half]],
        end: Callable[[str], Half],
    ) -> None:
        """Note what has begun and what has ended.

        Parameters
        ----------
        known : iterable of (str, bool)
            Transfers, and whether each has ended.
        begin, end : callable
            Give the partner and what was to be, and what was.
        """
        for transfer, over in known:
            if transfer in self.ended:
                continue
            if transfer not in self._begun:
                partner, half = begin(transfer)
                facts = {"transfer": transfer, "institution": partner, **half.facts()}
                self.trail.note("transfer-begun", **facts)
                self._begun[transfer] = facts
            if over:
                self._end(transfer, end(transfer))

    def _end(self, transfer: str, half: Half) -> None:
        begun = self._begun[transfer]
        facts = {"transfer": transfer, "institution": begun.get("institution"), **half.facts()}
        differ = disagreement(begun, facts) if half.outcome == "ok" else []
        if differ:
            facts["outcome"] = "disagrees"
            self.trail.note(
                "transfer-disagrees",
                transfer=transfer,
                institution=begun.get("institution"),
                patient=half.patient,
                study_uid=half.study_uid,
                cause=f"開始と終わりの食い違い / begin and end differ: {', '.join(differ)}",
            )
        self.trail.note("transfer-ended", **facts)
        self._forget(transfer)

    def close(self) -> None:
        """Close the trail."""
        self.trail.close()
