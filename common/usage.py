"""利用実績: what one end did in a month, counted, without a word on any patient (SUB-10, EVD-04).

Four columns come from four sources and are never filled from one another: what this end
sent (or took in), what was countersigned, and what readers opened and finished.  That
somebody looked at images is no receipt.  What was sent as 試験 counts in none of them and
is told apart as one number.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from common.errors import UsageError, of_number
from common.proof.identity import Institution

VERSION = 1
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
COLUMNS = ("sent", "countersigned", "opened", "done")
#: What stands in the head of a table: its JSON name, ja, en.
HEADS = {
    "partner_code": ("相手の医療機関コード", "partner code"),
    "partner_name": ("相手", "partner"),
    "modality": ("モダリティ", "modality"),
    "purpose": ("目的", "purpose"),
    "transfers": ("件数", "transfers"),
    "sent": ("送信", "sent"),
    "countersigned": ("受領証", "countersigned"),
    "opened": ("開封", "opened"),
    "done": ("完了", "done"),
    "images": ("画像数", "images"),
    "bytes": ("容量 (バイト)", "bytes"),
    "seconds": ("所要時間 (秒)", "seconds"),
    "judged": ("規則で確認", "judged"),
    "direct": ("うち直接伝送", "of these direct"),
}
RECEIVED = ("受信", "received")
PURPOSES = {"diagnosis": ("診断", "diagnosis"), "advice": ("助言", "advice")}


@dataclass(frozen=True, slots=True)
class Use:
    """One transfer, as a report counts it.

    Attributes
    ----------
    partner : tuple of (code, name)
    modality : str
        As the images say (0008,0060); ``SM`` for slides.
    sent, countersigned, opened, done : bool
        Each by its own source.
    images, bytes, seconds : int, int, float
        Of what was sent: instances, bytes of their data sets, first byte to last.
    direct : bool or None
        What the rules found; None where they judged nothing.
    fault : tuple of (number, ja, en)
        Why it was not sent, in words without patient data; empty where nothing failed.
    """

    partner: tuple[str, str]
    modality: str
    purpose: str
    test: bool = False
    sent: bool = False
    countersigned: bool = False
    opened: bool = False
    done: bool = False
    images: int = 0
    bytes: int = 0
    seconds: float = 0.0
    direct: bool | None = None
    fault: tuple[str, str, str] | tuple[()] = ()


@dataclass(slots=True)
class Line:
    """Transfers of one partner, modality and purpose, added up."""

    partner_code: str
    partner_name: str
    modality: str
    purpose: str
    transfers: int = 0
    sent: int = 0
    countersigned: int = 0
    opened: int = 0
    done: int = 0
    images: int = 0
    bytes: int = 0
    seconds: float = 0.0
    judged: int = 0
    direct: int = 0

    def add(self, use: Use) -> None:
        """Count a transfer."""
        self.transfers += 1
        for column in COLUMNS:
            setattr(self, column, getattr(self, column) + bool(getattr(use, column)))
        if use.sent:
            self.images += use.images
            self.bytes += use.bytes
            self.seconds = round(self.seconds + use.seconds, 3)
        self.judged += use.direct is not None
        self.direct += use.direct is True


@dataclass(slots=True)
class Month:
    """A month's report of one end.

    Attributes
    ----------
    sources : dict
        By column, from where its number comes (ja, en).
    test : int
        Transfers marked 試験; counted nowhere else.
    """

    month: str
    institution: Institution
    role: str
    made: str
    zone: str
    sources: Mapping[str, tuple[str, str]]
    lines: list[Line] = field(default_factory=list)
    failures: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    test: int = 0

    @property
    def total(self) -> Line:
        """All lines added up."""
        total = Line("", "", "", "")
        for line in self.lines:
            for name in HEADS:
                if not isinstance(value := getattr(line, name), str):
                    setattr(total, name, round(getattr(total, name) + value, 3))
        return total

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report, tests apart."""
        return not self.lines

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        total = asdict(self.total)
        for name in ("partner_code", "partner_name", "modality", "purpose"):
            del total[name]
        share = total["direct"] / total["judged"] if total["judged"] else None
        return {
            "version": VERSION,
            "month": self.month,
            "institution": asdict(self.institution),
            "role": self.role,
            "made": self.made,
            "zone": self.zone,
            "empty": self.empty,
            "sources": {name: {"ja": ja, "en": en} for name, (ja, en) in self.sources.items()},
            "lines": [asdict(line) for line in self.lines],
            "total": {**total, "direct_share": share},
            "failures": [
                {"number": number, "ja": ja, "en": en, "count": count}
                for (number, ja, en), count in sorted(self.failures.items())
            ],
            "test": self.test,
        }

    def csv(self, lang: str = "ja") -> bytes:
        """Return the report for a spreadsheet: UTF-8 with a mark that Excel knows.

        No cell begins with what a spreadsheet takes for a formula.
        """
        of = 1 if lang == "en" else 0
        out = io.StringIO(newline="")
        table = csv.writer(out)
        heads = {**HEADS, "sent": self.heads()["sent"]}
        table.writerow([words[of] for words in heads.values()])
        for line in self.lines:
            table.writerow([cell(self._shown(line, name, of)) for name in heads])
        if self.empty:
            table.writerow([EMPTY[of].format(month=self.month)])
        for (number, *said), count in sorted(self.failures.items()):
            table.writerow([FAILED[of], number, cell(said[of]), count])
        table.writerow([TESTS[of], self.test])
        return out.getvalue().encode("utf-8-sig")

    def heads(self) -> dict[str, tuple[str, str]]:
        """Return the heads of the table: one end sends, the other takes in."""
        return HEADS if self.role == "requester" else {**HEADS, "sent": RECEIVED}

    @staticmethod
    def _shown(line: Line, name: str, of: int) -> Any:
        value = getattr(line, name)
        return PURPOSES.get(value, (value, value))[of] if name == "purpose" else value


EMPTY = ("{month} の伝送はありません", "No transfers in {month}")
FAILED = ("送られなかったもの", "not sent")
TESTS = ("試験 (集計に含めない)", "tests (counted nowhere above)")


def cell(value: Any) -> Any:
    """Return a value for a spreadsheet, which must not take it for a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else value


def span(month: str, zone: tzinfo | None = None) -> tuple[datetime, datetime]:
    """Return beginning and end of a month, by the clock of the place.

    Parameters
    ----------
    month : str
        YYYY-MM.
    zone : tzinfo, optional
        By default that of this machine.

    Raises
    ------
    UsageError
        It is no month.
    """
    found = _MONTH.fullmatch(month)
    if found is None or found[1] == "0000" or found[1] == "9999":
        raise UsageError(cause=f"--month {month}")
    year, number = int(found[1]), int(found[2])
    following = (year + number // 12, number % 12 + 1)
    ends = [datetime(*when, 1) for when in ((year, number), following)]
    first, last = [e.replace(tzinfo=zone) if zone else e.astimezone() for e in ends]
    return first, last


def within(moment: str | None, of: tuple[datetime, datetime]) -> bool:
    """Tell whether a time, ISO 8601 with offset, lies in a month."""
    return moment is not None and of[0] <= datetime.fromisoformat(moment) < of[1]


def seconds(began: str | None, ended: str | None) -> float:
    """Return the seconds between two times, 0 where one is not known."""
    if began is None or ended is None:
        return 0.0
    between = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    return max(0.0, round(between.total_seconds(), 3))


def add_up(month: Month, uses: Iterable[Use]) -> Month:
    """Count transfers into a month's report."""
    lines: dict[tuple[str, ...], Line] = {}
    for use in uses:
        if use.test:
            month.test += 1
            continue
        key = (*use.partner, use.modality, use.purpose)
        lines.setdefault(key, Line(*key)).add(use)
        if use.fault:
            month.failures[use.fault] += 1
    month.lines = [line for _, line in sorted(lines.items())]
    return month


def now() -> datetime:
    """Return the time in the zone of this machine."""
    return datetime.now(UTC).astimezone()


_MODALITY = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)
_UNFILLED = re.compile(r"\s*\([^()]*\?[^()]*\)")


def modality(model: Mapping[str, Any], kind: str) -> str:
    """Return the modality of a transfer by its DICOM JSON (0008,0060).

    Whatever is no code of a modality is ``?``: somebody may have typed a name there.
    """
    if kind == "slide":
        return "SM"
    value = (model.get("00080060") or {}).get("Value") or [""]
    return str(value[0]) if _MODALITY.fullmatch(str(value[0])) else "?"


def fault(number: str) -> tuple[str, str, str]:
    """Return an error's number and its words without any of its facts: they may name a patient."""
    words = of_number(number)().as_json()
    said = [_UNFILLED.sub("", words[lang]).removesuffix(f" {words['number']}") for lang in _LANGS]
    return number, said[0], said[1]


_LANGS = ("ja", "en")
