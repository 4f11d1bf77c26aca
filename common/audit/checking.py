"""Looks for what was done to the audit trails: taken away, changed, put in, cut off (AUD-02)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.audit import files, heads, retention
from common.audit.files import Line, Place
from common.errors import IntegrityError
from common.proof import jws

_LOOKED_BACK = 20_000  # digests of earlier lines that an insertion is recognised by

#: What is found, by its name.
WORDS = {
    "deleted": (
        "{p}: {n} 行目の前の行が削除されています",
        "{p}: lines before line {n} are deleted",
    ),
    "edited": ("{p}: {n} 行目が書き換えられています", "{p}: line {n} was edited"),
    "inserted": ("{p}: {n} 行目が書き足されています", "{p}: line {n} was inserted"),
    "truncated": ("{p}: {n} 行目より後が切り取られています", "{p}: cut off after line {n}"),
    "file-deleted": ("{p}: ファイル {n} が削除されています", "{p}: file {n} is deleted"),
    "head-forged": ("{p}: 署名 {n} が正しくありません", "{p}: signed head {n} is not right"),
    "head-deleted": ("{p}: 署名 {n} が削除されています", "{p}: signed head {n} is missing"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it has to be.

    Attributes
    ----------
    kind : str
        A key of :data:`WORDS`.
    process : str
        Whose trail.
    number : int
        Of the line, the file or the head; from 1.
    """

    kind: str
    process: str
    number: int
    ja: str
    en: str


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes
    ----------
    lines, heads : int
        Looked at.
    unsigned : int
        Lines after the newest head of their trail: their end could be cut off unseen.
    cut : int
        Lines that a power failure cut; no fault.
    retired : list of str
        Files that were taken away after the years for which they had to be kept.
    """

    lines: int = 0
    heads: int = 0
    unsigned: int = 0
    cut: int = 0
    retired: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify(
    trails: Path,
    certificate: str,
    *,
    elsewhere: Iterable[str] = (),
    years: int = retention.LEAST_YEARS,
    now: datetime | None = None,
) -> Report:
    """Look through every trail of a folder.

    Parameters
    ----------
    certificate : str
        PEM of the node's signing certificate.
    elsewhere : iterable of str
        Heads (JWS) that were kept in another place.
    years : int
        For which a file has to be kept.
    """
    report = Report()
    kept: dict[str, list[str]] = {}
    for number, one in enumerate(elsewhere, 1):
        try:
            kept.setdefault(str(jws.verify(one, certificate).get("process")), []).append(one)
        except IntegrityError:
            _found(report, "head-forged", "--heads", number)
    folder = heads.folder_of(trails)
    signed = {path.stem for path in folder.glob("*.jws")}
    for process in sorted({*files.processes(trails), *signed, *kept}):
        trail = _Trail(trails, process, certificate, report)
        trail.check(kept.get(process, []), years, now or datetime.now(UTC))
    return report


def _found(report: Report, kind: str, process: str, number: int) -> None:
    ja, en = WORDS[kind]
    said = {"p": process, "n": number}
    report.findings.append(Finding(kind, process, number, ja.format(**said), en.format(**said)))


class _Trail:
    """Walks through one trail."""

    def __init__(self, trails: Path, process: str, certificate: str, report: Report) -> None:
        self.trails = trails
        self.process = process
        self.certificate = certificate
        self.report = report
        self.count = 0  # lines so far, as those there say
        self.before: str | None = ""  # None: not known, after a missing file
        self.earlier: OrderedDict[str, int] = OrderedDict()
        self.at: dict[Place, tuple[int, str]] = {}
        self.end = Place(0, 0)

    def found(self, kind: str, number: int) -> None:
        _found(self.report, kind, self.process, number)

    def check(self, kept: list[str], years: int, now: datetime) -> None:
        signed = self._heads(kept)
        here = {one.number for one in files.all_of(self.trails, self.process)}
        last = max([*here, *(heads.place_of(one).number for one in signed)], default=0)
        missing = sorted(set(range(1, last + 1)) - here)
        times = {heads.place_of(one).number: str(one.get("at", "")) for one in signed}
        first = min(here, default=last + 1)
        for number in missing:
            # only the oldest may go, and only after their years
            old = number < first and retention.may_go(times.get(number, "-"), years, now)
            if old:
                self.report.retired.append(files.closed(Path(), self.process, number).name)
            else:
                self.found("file-deleted", number)
        amiss = len(self.report.findings)
        wanted = {heads.place_of(one) for one in signed}
        self._lines(missing, wanted)
        if len(self.report.findings) == amiss:  # what lies behind has other places now
            self._against(signed, here)

    def _heads(self, kept: list[str]) -> list[dict[str, Any]]:
        """Return what the heads say, those kept elsewhere too, in their order."""
        texts = heads.read(self.trails, self.process)
        found: list[dict[str, Any]] = []
        before = ""
        for number, text in enumerate(texts, 1):
            self.report.heads += 1
            try:
                said = jws.verify(text, self.certificate)
                heads.place_of(said)
            except IntegrityError:
                self.found("head-forged", number)
                before = heads.digest(text)
                continue
            if said.get("before") != before or said.get("process") != self.process:
                self.found("head-deleted", number)
            before = heads.digest(text)
            found.append(said)
        gone = [one for one in kept if one not in set(texts)]
        if gone:
            self.found("head-deleted", len(texts) + 1)
        found += [jws.verify(one, self.certificate) for one in gone]
        return sorted(found, key=heads.place_of)

    def _lines(self, missing: list[int], wanted: set[Place]) -> None:
        number = unsigned = 0
        for line in files.lines(self.trails, self.process):
            if line.place.number != number:
                if set(range(number + 1, line.place.number)) & set(missing):
                    self.before = None  # said already: a file is missing
                number = line.place.number
            self._line(line)
            self.end = line.place
            unsigned += 1
            if line.place in wanted:
                self.at[line.place] = self.count, str(self.before)
                unsigned = 0
        self.report.unsigned += unsigned

    def _line(self, line: Line) -> None:
        self.report.lines += 1
        words, digest = line.words, hashlib.sha256(line.raw).hexdigest()
        if words is None:
            self.report.cut += 1
            self.count += 1
        else:
            said = words.get("n")
            number = said if isinstance(said, int) else self.count + 1
            if self.before is not None and words.get("before") != self.before:
                self._broken(str(words.get("before")), number)
            elif self.before is not None and number != self.count + 1:
                self.found("edited", self.count + 1)
            self.count = number
        self.before = digest
        self.earlier[digest] = self.count
        if len(self.earlier) > _LOOKED_BACK:
            self.earlier.popitem(last=False)

    def _broken(self, before: str, number: int) -> None:
        """Name what lies between a line and the one that it says it follows."""
        if before in self.earlier:
            self.found("inserted", self.earlier[before] + 1)
        elif number > self.count + 1:
            self.found("deleted", number)
        else:
            self.found("edited", max(1, number - 1))

    def _against(self, signed: list[dict[str, Any]], here: set[int]) -> None:
        """Compare what lies there with what was signed of it."""
        for one in signed:
            place = heads.place_of(one)
            if place.number not in here:
                continue
            if (there := self.at.get(place)) is None:
                kind = "truncated" if place > self.end else "edited"
                self.found(kind, min(self.count, int(one.get("count", 0))))
                return
            if there[1] != one.get("digest"):
                self.found("edited", there[0])
                return
