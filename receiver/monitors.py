"""Checks of monitors: what a person saw on test patterns, and luminances that were typed in.

Nothing here measures luminance, and no browser can: the figures are a luminance meter's,
typed by a person (RAD-05).  They are compared with the management grades of JESRA
X-0093*B-2017 (管理グレード, 不変性試験) as makers publish them.
"""

from __future__ import annotations

import json
import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Row, insert, select

from common import request
from common.errors import UsageError
from receiver import index
from receiver.index import Index
from receiver.standings import Person

#: What a person is asked of each pattern.
STEPS = ("pattern", "contrast", "lines", "steps", "uniformity")
#: Grade: least maximum luminance in cd/m², least luminance ratio, most deviation of the
#: contrast response in %.  JESRA X-0093*B-2017, as given on lg.com/jp/business/medical-it/guideline
#: (the standard itself could not be had).
GRADES = {"1A": (350.0, 250.0, 10.0), "1B": (170.0, 250.0, 15.0), "2": (100.0, 100.0, 30.0)}
MOST_MONTHS = 12  # until the next constancy test
_SCREEN = re.compile(r"\d{2,5}x\d{2,5}@\d(\.\d{1,4})?x\d{1,2}")
_checks = index.monitor_checks
Today = Callable[[], date]


class Monitors:
    """Keeps checks and says what is due.

    Parameters
    ----------
    note : callable
        :meth:`common.audit.Trail.note`.
    today : callable
        The day at this receiver.
    """

    def __init__(
        self,
        database: Index,
        note: Callable[..., None] = lambda *_, **__: None,
        today: Today = date.today,
    ) -> None:
        self.index = database
        self.note = note
        self.today = today

    def keep(self, who: Person, said: dict[str, Any], *, address: str = "") -> dict[str, Any]:
        """Keep a daily check, a constancy test, or both of one hand; return what they came to.

        Parameters
        ----------
        said : dict
            ``serial``; ``screen`` and ``answers`` (yes or no by step) of a daily check;
            ``grade``, ``lmax``, ``lmin``, perhaps ``deviation``, and ``months`` of a
            constancy test.

        Raises
        ------
        UsageError
            Something is missing or of another form.
        """
        serial = _serial(said.get("serial"))
        of = {"serial": serial, "by": who.name, "display": who.shown, "at": index.now()}
        rows = []
        if said.get("answers") is not None:
            rows.append(of | self._daily(said))
        if said.get("grade") is not None:
            rows.append(of | self._constancy(said))
        if not rows:
            raise UsageError(cause="answers | grade")
        with self.index.write() as db:
            db.execute(insert(_checks), [_EMPTY | row for row in rows])
        for row in rows:
            kind = "constancy" if row.get("grade") else "daily"
            facts = {"of": serial, "what": kind, "passed": row["passed"], "due_on": row["due_on"]}
            self.note("monitor-check", user=who.name, address=address, outcome="ok", **facts)
        return self.standing(serial, said.get("screen") or "")

    def _daily(self, said: dict[str, Any]) -> dict[str, Any]:
        answers, screen = said["answers"], said.get("screen")
        if not isinstance(answers, dict) or set(answers) != set(STEPS):
            raise UsageError(cause="answers")
        if not all(isinstance(one, bool) for one in answers.values()):
            raise UsageError(cause="answers")
        if not isinstance(screen, str) or not _SCREEN.fullmatch(screen):
            raise UsageError(cause="screen")
        due = (self.today() + timedelta(days=1)).isoformat()
        words = {"screen": screen, "answers": json.dumps(answers), "due_on": due}
        return words | {"passed": all(answers.values())}

    def _constancy(self, said: dict[str, Any]) -> dict[str, Any]:
        grade, months = said["grade"], said.get("months")
        if grade not in GRADES:
            raise UsageError(cause="grade")
        if type(months) is not int or not 1 <= months <= MOST_MONTHS:
            raise UsageError(cause="months")
        lmax, lmin = _figure(said, "lmax"), _figure(said, "lmin")
        deviation = None if said.get("deviation") is None else _figure(said, "deviation")
        if not 0 < lmin < lmax:
            raise UsageError(cause="lmin < lmax")
        words = {"grade": grade, "lmax": lmax, "lmin": lmin, "deviation": deviation}
        passed = not misses(grade, lmax, lmin, deviation)
        return words | {"passed": passed, "due_on": _later(self.today(), months).isoformat()}

    def standing(self, serial: str, screen: str) -> dict[str, Any]:
        """Return the last checks of a monitor, and what is to be warned of.

        Parameters
        ----------
        screen : str
            What the browser says of its screen now; empty where nobody says.

        Returns
        -------
        dict
            ``daily`` and ``constancy`` (None: never), ``warnings``: of ``daily-due``,
            ``daily-failed``, ``changed``, ``constancy-due``, ``constancy-failed``.
        """
        with self.index.read() as db:
            mine = select(_checks).where(_checks.c.serial == serial).order_by(_checks.c.id.desc())
            rows = db.execute(mine).all()
        daily = next((row for row in rows if row.grade is None), None)
        constancy = next((row for row in rows if row.grade is not None), None)
        today, warnings = self.today().isoformat(), []
        if daily is None or daily.due_on <= today:
            warnings.append("daily-due")
        if daily is not None and not daily.passed:
            warnings.append("daily-failed")
        if daily is not None and screen and daily.screen != screen:
            warnings.append("changed")
        if constancy is not None and constancy.due_on <= today:
            warnings.append("constancy-due")
        if constancy is not None and not constancy.passed:
            warnings.append("constancy-failed")
        last = {"daily": daily and words(daily), "constancy": constancy and words(constancy)}
        return {"serial": serial, **last, "warnings": warnings}

    def every(self) -> list[dict[str, Any]]:
        """Return every check, the newest first."""
        with self.index.read() as db:
            return [words(row) for row in db.execute(select(_checks).order_by(_checks.c.id.desc()))]


_EMPTY = {"screen": "", "answers": "{}"} | dict.fromkeys(("grade", "lmax", "lmin", "deviation"))


def misses(grade: str, lmax: float, lmin: float, deviation: float | None) -> list[str]:
    """Return what of a grade typed figures do not reach: ``lmax``, ``ratio``, ``deviation``.

    Parameters
    ----------
    lmax, lmin : float
        cd/m², with the surrounding light as the meter saw it.
    deviation : float or None
        Of the contrast response, in %; None: it was not measured.
    """
    least, ratio, most = GRADES[grade]
    found = [("lmax", lmax < least), ("ratio", round(lmax / lmin, 6) < ratio)]
    found.append(("deviation", deviation is not None and deviation > most))
    return [name for name, missed in found if missed]


def words(row: Row[Any]) -> dict[str, Any]:
    """Return a check as pages and verbs have it."""
    found = dict(row._mapping) | {"answers": json.loads(row.answers)}
    if row.grade is not None:
        found["misses"] = misses(row.grade, row.lmax, row.lmin, row.deviation)
    return found


def _serial(text: Any) -> str:
    said = text.strip() if isinstance(text, str) else ""
    if not said or len(said) > 64 or request.forbidden(said):
        raise UsageError(cause="serial")
    return said


def _figure(said: dict[str, Any], name: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(cause=name)
    if not math.isfinite(value) or not 0 <= value <= 100_000:
        raise UsageError(cause=name)
    return float(value)


def _later(day: date, months: int) -> date:
    """Return the same day some months later, or the last of that month."""
    years, month = divmod(day.month - 1 + months, 12)
    last = monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))
