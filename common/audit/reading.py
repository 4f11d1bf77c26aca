"""The audit trail for its reader: lines of all trails in order of time, filtered, signed off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common.audit import events, files
from common.audit.retention import JAPAN
from common.errors import UsageError

MOST = 500  # lines of one answer
_PERSON = ("user", "by", "operator")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for; an empty word asks for all.

    Attributes
    ----------
    since, until : str
        Days or moments (ISO 8601); a day is one of Japan, `until` is part of it.
    user, event, study, partner : str
        A person, an event, a study's key or UID or a Patient ID, a partner's code.
    """

    since: str = ""
    until: str = ""
    user: str = ""
    event: str = ""
    study: str = ""
    partner: str = ""

    def said(self) -> dict[str, str]:
        """Return what is asked for, for the line that says that somebody asked."""
        return {key: value for key, value in asdict(self).items() if value}

    def takes(self, words: dict[str, Any]) -> bool:
        """Tell whether a line is one of them."""
        if self.event and words.get("event") != self.event:
            return False
        if self.user and self.user not in {words.get(key) for key in _PERSON}:
            return False
        studies = {words.get(key) for key in ("study", "prior", "study_uid", "patient")}
        if self.study and self.study not in studies:
            return False
        partners = {words.get(key) for key in ("institution", "of", "to")}
        return not self.partner or self.partner in partners


def moment(text: str, *, end: bool = False) -> datetime | None:
    """Read a day or a moment; None of an empty word.

    Raises
    ------
    UsageError
        It is neither.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as failure:
        raise UsageError(cause=f"{text}: YYYY-MM-DD") from failure
    day = len(text) <= len("2026-11-27")
    found = found if found.tzinfo else found.replace(tzinfo=JAPAN)
    return found + timedelta(days=1) if day and end else found


def rows(trails: Path, wanted: Wanted) -> list[dict[str, Any]]:
    """Return the lines that are asked for, the newest first.

    Returns
    -------
    list of dict
        The line without its digest, with ``process``, ``id`` (EventID's code), ``ja``, ``en``.

    Raises
    ------
    UsageError
    """
    since, until = moment(wanted.since), moment(wanted.until, end=True)
    found = []
    for words, process in _lines(trails):
        at = _at(words)
        if at is None or (since and at < since) or (until and at >= until):
            continue
        if wanted.takes(words):
            event = events.of(str(words.get("event")))
            line = {key: value for key, value in words.items() if key not in {"before", "version"}}
            found.append(
                {**line, "process": process, "id": event.id.value, "ja": event.ja, "en": event.en}
            )
    found.sort(key=_turn, reverse=True)
    return found


def _turn(row: dict[str, Any]) -> tuple[str, int]:
    """Order of lines; several may be of one millisecond."""
    number = row.get("n")
    return str(row["at"]), number if isinstance(number, int) else 0


def _lines(trails: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for process in files.processes(trails):
        for line in files.lines(trails, process):
            if line.words is not None:
                yield line.words, process


def _at(words: dict[str, Any]) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(words.get("at")))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def signed_off(trails: Path) -> dict[str, Any] | None:
    """Return the newest periodic review (定期確認), None before the first."""
    found = rows(trails, Wanted(event="audit-signed-off"))
    return found[0] if found else None


def maintenance(trails: Path) -> dict[str, Any] | None:
    """Return the maintenance that is under way, None where none is."""
    begun = rows(trails, Wanted(event="maintenance-begun"))
    ended = rows(trails, Wanted(event="maintenance-ended"))
    if begun and (not ended or _turn(ended[0]) < _turn(begun[0])):
        return begun[0]
    return None
