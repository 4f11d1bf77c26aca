"""The daily check of what an end keeps of records with one partner (EVD-06).

Gaps in the numbers, a broken chain, an edited or deleted record, row or file, anchors
that name others: each is found and named.  It reads what is given to it, no disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.errors import TodokeError
from common.proof import jws, record
from common.proof.record import Record


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as an end keeps it; `waiting` until the partner has answered."""

    number: int
    name: str
    transfer: str
    state: str
    day: str
    statement: str
    certificate: str
    countersignature: str | None
    countersigner: str | None
    refused: bool = False
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """An anchor as an end keeps it."""

    day: str
    first: int
    last: int
    statement: str
    certificate: str
    countersignature: str | None
    countersigner: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it has to be.

    Attributes
    ----------
    kind : str
        deleted, edited, chain, countersignature, refused, unanswered, file-deleted, file-edited,
        anchor-missing, anchor-edited, anchor-differs, partner-lacks, partner-has-more,
        partner-differs.
    """

    kind: str
    partner: str
    number: int | None
    ja: str
    en: str


_WORDS = {
    "deleted": ("記録 {n} が消えています", "record {n} is missing"),
    "edited": ("記録 {n} が書き換えられています", "record {n} was edited"),
    "chain": ("記録 {n} は前の記録につながりません", "record {n} does not follow the one before"),
    "countersignature": ("記録 {n} の副署が正しくありません",
                         "the countersignature of record {n} is not right"),
    "refused": ("記録 {n} は相手が副署を断りました",
                "record {n} was refused a countersignature"),
    "unanswered": ("記録 {n} に一日以上、相手の副署がありません",
                   "record {n} has waited more than a day for its countersignature"),
    "file-deleted": ("記録 {n} のファイルが消えています", "the file of record {n} is missing"),
    "file-edited": ("記録 {n} のファイルが書き換えられています",
                    "the file of record {n} was edited"),
    "anchor-missing": ("{day} の封がありません", "the anchor of {day} is missing"),
    "anchor-edited": ("{day} の封が書き換えられています", "the anchor of {day} was edited"),
    "anchor-differs": ("{day} の封と記録が合いません",
                       "the anchor of {day} and the records differ"),
    "partner-lacks": ("相手の記録が少ない (こちら {n} 件まで)",
                      "the partner has fewer records (ours end at {n})"),
    "partner-has-more": ("相手の記録が多い。こちらの記録が {n} 件目より後で消えています",
                         "the partner has more records: ours after {n} are missing"),
    "partner-differs": ("記録 {n} が相手のものと違います",
                        "record {n} is another at the partner"),
}  # fmt: skip


@dataclass(slots=True)
class Ledger:
    """What an end keeps of records with one partner.

    Parameters
    ----------
    files : mapping
        By number the record file of each record, None for one that cannot be read.
    today : str
        Days before it have to be anchored.
    """

    partner: str
    entries: Sequence[Entry]
    days: Sequence[Day]
    files: Mapping[int, Any]
    today: str
    found: list[Finding] = field(default_factory=list)

    def check(self) -> list[Finding]:
        """Return what is not as it has to be, by number."""
        self.found = []
        rows = {one.number: one for one in self.entries}
        for number in range(1, self._top(rows) + 1):
            entry = rows.get(number)
            if entry is None:
                self._find("deleted", number)
                continue
            self._entry(entry, rows.get(number - 1))
            self._file(entry)
        self._anchors(rows)
        return self.found

    def against(self, standing: Mapping[str, Any]) -> None:
        """Compare with what the partner says that it has: ``count``, ``last``, ``name``.

        Parameters
        ----------
        standing : mapping
            Of the records that we were answered to.
        """
        names = {one.number: one.name for one in self.entries}
        ours = max((o.number for o in self.entries if o.countersignature or o.refused), default=0)
        last, count = standing.get("last"), standing.get("count")
        if type(last) is not int or type(count) is not int:
            self._find("partner-differs", ours)
        elif last < ours or count < ours:
            self._find("partner-lacks", ours)
        elif last > max(names, default=0):
            self._find("partner-has-more", max(names, default=0))
        elif last and names[last] != standing.get("name"):
            self._find("partner-differs", last)

    def _top(self, rows: Mapping[int, Entry]) -> int:
        """Return the highest number that anything here speaks of."""
        return max([0, *rows, *self.files, *(day.last for day in self.days)])

    def _find(self, kind: str, number: int | None, day: str = "") -> None:
        ja, en = (words.format(n=number, day=day) for words in _WORDS[kind])
        self.found.append(Finding(kind, self.partner, number, ja, en))

    def _entry(self, entry: Entry, before: Entry | None) -> None:
        said = self._record(entry)
        if said is None:
            self._find("edited", entry.number)
            return
        chained = before is None or said.before == record.name(before.statement)
        if not chained:
            self._find("chain", entry.number)
        if entry.refused:
            self._find("refused", entry.number)
        if entry.waiting and entry.day < self.today:
            self._find("unanswered", entry.number)
        if entry.countersignature and not _countersigned(entry, said):
            self._find("countersignature", entry.number)

    @staticmethod
    def _record(entry: Entry) -> Record | None:
        """Return what a record says, if it is what was signed and what its row says."""
        try:
            said = record.read_record(jws.verify(entry.statement, entry.certificate))
        except TodokeError:
            return None
        day = str(said.times["signed"])[:10]
        told = said.number, said.transfer, said.state, day, record.name(entry.statement)
        row = entry.number, entry.transfer, entry.state, entry.day, entry.name
        return said if told == row else None

    def _file(self, entry: Entry) -> None:
        file = self.files.get(entry.number)
        if file is None:
            kind = "file-edited" if entry.number in self.files else "file-deleted"
            self._find(kind, entry.number)
        elif not _file_is(file, entry):
            self._find("file-edited", entry.number)

    def _anchors(self, rows: Mapping[int, Entry]) -> None:
        anchored = {one.day for one in self.days}
        for one in self.days:
            self._anchor(one, rows)
        for day in sorted({entry.day for entry in rows.values()} - anchored):
            if day < self.today:
                self._find("anchor-missing", None, day)

    def _anchor(self, day: Day, rows: Mapping[int, Entry]) -> None:
        try:
            said = record.read_anchor(jws.verify(day.statement, day.certificate))
            if day.countersignature:
                words = jws.verify(day.countersignature, day.countersigner or "")
                below = record.read_anchor_countersignature(words)
                if (below.anchor, below.root) != (record.name(day.statement), said.root):
                    raise TodokeError(cause="anchor")
        except TodokeError:
            self._find("anchor-edited", None, day.day)
            return
        of_day = [rows[n] for n in range(said.first, said.last + 1) if n in rows]
        more = [one for one in rows.values() if one.day == said.day]
        root = record.day_root(record.name(one.statement) for one in of_day)
        whole = (said.day, said.first, said.last) == (day.day, day.first, day.last)
        if not whole or root != said.root or len(more) != said.count:
            self._find("anchor-differs", None, day.day)


def _file_is(file: Any, entry: Entry) -> bool:
    """Whether a record file says what its row says, and its leaves make the root."""
    if not isinstance(file, dict) or file.get("record") != entry.statement:
        return False
    if file.get("countersignature") != entry.countersignature:
        return False
    leaves = file.get("instances")
    if entry.refused:  # at the receiver its own leaves, which are not those of the record
        return True
    try:
        said = record.read_record(jws.verify(entry.statement, entry.certificate))
        return not isinstance(leaves, list) or (
            said.instances["count"] == len(leaves)
            and (not leaves or record.root(leaves) == said.instances["root"])
        )
    except (TodokeError, TypeError, AttributeError):
        return False


def _countersigned(entry: Entry, said: Record) -> bool:
    try:
        words = jws.verify(entry.countersignature or "", entry.countersigner or "")
        below = record.read_countersignature(words)
    except TodokeError:
        return False
    same = below.record == record.name(entry.statement) and below.number == entry.number
    instances = said.instances["count"], said.instances["root"]
    return same and (not said.statements["receipt"] or (below.count, below.root) == instances)
