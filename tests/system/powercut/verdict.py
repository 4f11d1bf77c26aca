"""What the cuts at one door came to."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Verdict:
    """Sums over all cuts.

    Attributes
    ----------
    cuts : Counter
        By kind.
    checked : int
        Acknowledgements of the moment of each cut that were looked for after it.
    lost : list of str
        Those not there, or not byte-identical.
    unsound : list of str
        What else is wrong: an index, a file under a final name, a claim.
    completed : int
        Cuts after which a restarted service was taken to the end of every transfer.
    unfinished : list of str
        Where that failed.
    """

    product: str
    door: str
    cuts: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    lost: list[str] = field(default_factory=list)
    lost_cuts: int = 0
    unsound: list[str] = field(default_factory=list)
    completed: int = 0
    unfinished: list[str] = field(default_factory=list)

    def add(self, kind: str, checked: int, lost: list[str], unsound: list[str]) -> None:
        """Count one cut."""
        self.cuts[kind] += 1
        self.checked += checked
        self.lost_cuts += bool(lost)
        self.lost += [f"{kind}: {one}" for one in lost]
        self.unsound += [f"{kind}: {one}" for one in unsound]

    @property
    def red(self) -> bool:
        """Whether the promise is broken."""
        return bool(self.lost or self.unsound or self.unfinished)

    def words(self) -> str:
        """Return what was found, for a person."""
        parts = [f"{self.product} {self.door}: {sum(self.cuts.values())} cuts"]
        parts.append(f"{self.checked} acknowledged, {len(self.lost)} lost")
        for name in ("lost", "unsound", "unfinished"):
            found: list[str] = getattr(self, name)
            parts += [f"{name}: {one}" for one in found[:5]]
        return "; ".join(parts)


def database_fault(path: Path) -> str:
    """Return what SQLite says is wrong with a database; empty for a sound one.

    It is only read: who closes it last would take its WAL away, and a receiver that
    starts without one does not know what else is gone.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        try:
            said = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as failure:
            said = [str(failure)]
    return "" if said == ["ok"] else f"{path.name}: {'; '.join(said[:3])}"
