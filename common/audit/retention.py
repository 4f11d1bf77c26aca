"""Until when what was written has to be kept (AUD-09).

Years are those of a Japanese hospital's books: they count from the end of the fiscal
year, 31 March, in which something happened.  Nothing in todoke removes a file of the
audit trail; whoever does it by hand finds here from when on it may be done.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

JAPAN = timezone(timedelta(hours=9))
LEAST_YEARS = 5


def kept_until(moment: datetime, years: int) -> date:
    """Return the last day on which a line of this moment has to be here.

    Parameters
    ----------
    moment : datetime
        Aware; its day in Japan counts.
    years : int
        After the end of that day's fiscal year.
    """
    day = moment.astimezone(JAPAN).date()
    end = day.year if (day.month, day.day) <= (3, 31) else day.year + 1
    return date(end + years, 3, 31)


def may_go(at: str, years: int, now: datetime) -> bool:
    """Tell whether what was written at this time (ISO 8601) need not be here any more."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return False
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return now.astimezone(JAPAN).date() > kept_until(moment, years)
