"""The part of the outbox that keeps evidence records: numbered and chained by partner."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import ClockOff, TodokeError
from sender.outbox_file import OutboxFile, now

#: Of these the sender has ended what it owed; others are on their way, or may still be let go.
_ENDED = (
    "(t.state IN ('receipted','opened','reading','done','query','committed','failed','recalled')"
    " OR (t.state='delivered' AND t.finished IS NOT NULL))"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A record as the outbox keeps it.

    Attributes
    ----------
    ended : str
        When its transfer ended so.
    certificate, countersigner : str, str or None
        PEM of both signing certificates as they were then.
    said : str
        What a person gave as reason; only its HMAC is signed.
    refused : dict or None
        Number and words, where the partner does not countersign.
    owed : int
        1 where the partner is to countersign: one without the link cannot.
    """

    partner: str
    number: int
    transfer: str
    ended: str
    name: str
    day: str
    state: str
    statement: str
    certificate: str
    said: str
    countersignature: str | None
    countersigner: str | None
    refused: dict[str, str] | None
    timestamp: str | None
    owed: int


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """An anchor as the outbox keeps it."""

    partner: str
    day: str
    first: int
    last: int
    name: str
    statement: str
    certificate: str
    countersignature: str | None
    countersigner: str | None
    refused: dict[str, str] | None
    owed: int


@dataclass(frozen=True, slots=True)
class Signed:
    """What is kept of a record, or an anchor, that was just signed."""

    name: str
    day: str
    state: str
    statement: str
    certificate: str
    owed: bool
    said: str = ""


def today() -> str:
    """Return the day that is not over, UTC, YYYY-MM-DD."""
    return now()[:10]


class Recorded(OutboxFile):
    """Records and anchors."""

    def judgements(self, study: str, partner: str) -> list[dict[str, Any]]:
        """Return how what was sent of a study to a partner was judged."""
        rows = self._rows(
            "SELECT judgement FROM transfers WHERE study=? AND partner=? AND judgement<>'{}'"
            " AND state NOT IN ('held','failed','recalled')", study, partner,
        )  # fmt: skip
        return [json.loads(row[0]) for row in rows]

    def unrecorded(self, partner: str) -> list[tuple[str, str]]:
        """Return id and end of transfers that have ended so without a record, the oldest first."""
        rows = self._rows(
            f"SELECT t.id, t.finished FROM transfers t WHERE t.partner=? AND {_ENDED}"
            " AND t.finished >= (SELECT at FROM recorded_since) AND NOT EXISTS"
            " (SELECT 1 FROM records r WHERE r.transfer=t.id AND r.ended=t.finished)"
            " ORDER BY t.finished, t.rowid",
            partner,
        )
        return [(row[0], row[1]) for row in rows]

    def partners_with_records(self, today: str) -> list[str]:
        """Return the partners for whom something of their records is to be done.

        Parameters
        ----------
        today : str
            YYYY-MM-DD; days before it are anchored.
        """
        rows = self._rows(
            f"SELECT DISTINCT t.partner FROM transfers t WHERE t.partner!='' AND {_ENDED}"
            " AND t.finished >= (SELECT at FROM recorded_since) AND NOT EXISTS"
            " (SELECT 1 FROM records r WHERE r.transfer=t.id AND r.ended=t.finished)"
            " UNION SELECT partner FROM records"
            " WHERE owed AND countersignature IS NULL AND refused IS NULL"
            " UNION SELECT partner FROM anchors"
            " WHERE owed AND countersignature IS NULL AND refused IS NULL"
            " UNION SELECT DISTINCT r.partner FROM records r WHERE r.day<? AND NOT EXISTS"
            " (SELECT 1 FROM anchors a WHERE a.partner=r.partner AND a.day=r.day)",
            today,
        )
        return [row[0] for row in rows]

    def record(
        self, partner: str, transfer: str, ended: str, sign: Callable[[int, str], Signed]
    ) -> bool:
        """Keep a record under the next number of a partner, in one transaction.

        Parameters
        ----------
        sign : callable
            Given its number and the name of the record before, signs it.

        Returns
        -------
        bool
            False where the transfer has another end, or a record of this one, by now.

        Raises
        ------
        ClockOff
            Its day has been anchored: our clock was set back.
        """
        with self._write() as db:
            same = "SELECT 1 FROM transfers WHERE id=? AND finished=?"
            if db.execute(same, (transfer, ended)).fetchone() is None:
                return False
            known = "SELECT 1 FROM records WHERE transfer=? AND ended=?"
            if db.execute(known, (transfer, ended)).fetchone() is not None:
                return False
            last = db.execute(
                "SELECT number, name FROM records WHERE partner=? ORDER BY number DESC LIMIT 1",
                (partner,),
            ).fetchone() or (0, "")
            made = sign(last[0] + 1, last[1])
            closed = "SELECT MAX(day) FROM anchors WHERE partner=?"
            (day,) = db.execute(closed, (partner,)).fetchone()
            if day is not None and made.day <= day:  # what is anchored takes no more records
                raise ClockOff(cause=f"{made.day} <= {day}")
            db.execute(
                "INSERT INTO records(partner, number, transfer, ended, name, day, state,"
                " statement, certificate, said, owed) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                (partner, last[0] + 1, transfer, ended, made.name, made.day, made.state,
                 made.statement, made.certificate, made.said, made.owed),
            )  # fmt: skip
            return True

    def records(self, partner: str | None = None, since: int = 1) -> list[Row]:
        """Return records (of a partner, from a number on), by partner and number."""
        where = "partner=? AND number>=?" if partner is not None else "1"
        values = (partner, since) if partner is not None else ()
        rows = self._rows(f"SELECT * FROM records WHERE {where} ORDER BY partner, number", *values)
        return [Row(**_with_words(row)) for row in rows]

    def newest_record(self, partner: str) -> list[Row]:
        """Return the record of a partner with the highest number, or none."""
        rows = self._rows(
            "SELECT * FROM records WHERE partner=? ORDER BY number DESC LIMIT 1", partner
        )
        return [Row(**_with_words(row)) for row in rows]

    def records_of(self, transfer: str) -> list[Row]:
        """Return the records of a transfer, one for each of its ends, the newest last."""
        rows = self._rows("SELECT * FROM records WHERE transfer=? ORDER BY number", transfer)
        return [Row(**_with_words(row)) for row in rows]

    def uncountersigned(self, partner: str) -> list[Row]:
        """Return the records that a partner has not answered, by number."""
        rows = self._rows(
            "SELECT * FROM records WHERE partner=? AND owed AND countersignature IS NULL"
            " AND refused IS NULL ORDER BY number",
            partner,
        )
        return [Row(**_with_words(row)) for row in rows]

    def countersigned(self, row: Row | AnchorRow, statement: str, certificate: str) -> None:
        """Keep a countersignature, with the certificate that it was checked under."""
        self._answered(row, countersignature=statement, countersigner=certificate, refused=None)

    def refused_record(self, row: Row | AnchorRow, error: TodokeError) -> None:
        """Keep why a partner does not countersign."""
        self._answered(row, refused=json.dumps(error.as_json(), ensure_ascii=False))

    def ask_again(self, partner: str | None = None, number: int | None = None) -> int:
        """Forget the refusals of a partner's records and anchors, so that they are sent again.

        Parameters
        ----------
        partner : str or None
            None for every partner's.
        number : int or None
            Of one record; None for every record and anchor.

        Returns
        -------
        int
            How many will be sent.
        """
        where, values = "refused IS NOT NULL", list[str | int]()
        if partner is not None:
            where, values = f"{where} AND partner=?", [partner]
        with self._write() as db:
            if number is not None:
                of = f"UPDATE records SET refused=NULL WHERE {where} AND number=?"
                return db.execute(of, (*values, number)).rowcount
            return sum(
                db.execute(f"UPDATE {table} SET refused=NULL WHERE {where}", values).rowcount
                for table in ("records", "anchors")
            )

    def timestamped(self, row: Row, token: str) -> None:
        """Keep an RFC 3161 token, base64, over the root of a record."""
        self._answered(row, timestamp=token)

    def _answered(self, row: Row | AnchorRow, **values: Any) -> None:
        table, key = ("records", "number") if isinstance(row, Row) else ("anchors", "day")
        names = ", ".join(f"{name}=?" for name in values)
        with self._write() as db:
            db.execute(
                f"UPDATE {table} SET {names} WHERE partner=? AND {key}=?",
                (*values.values(), row.partner, getattr(row, key)),
            )

    # -- anchors --------------------------------------------------------------

    def unanchored(self, partner: str, before: str) -> list[str]:
        """Return the days with records that have no anchor, before a day, the oldest first."""
        rows = self._rows(
            "SELECT DISTINCT day FROM records r WHERE partner=? AND day<? AND NOT EXISTS"
            " (SELECT 1 FROM anchors a WHERE a.partner=r.partner AND a.day=r.day) ORDER BY day",
            partner,
            before,
        )
        return [row[0] for row in rows]

    def anchor(self, partner: str, day: str, sign: Callable[[list[Row], str], Signed]) -> None:
        """Keep a day's anchor.

        Parameters
        ----------
        sign : callable
            Given the day's records and the name of the anchor before, signs it.
        """
        with self._write() as db:
            of_day = "SELECT * FROM records WHERE partner=? AND day=? ORDER BY number"
            rows = [Row(**_with_words(row)) for row in db.execute(of_day, (partner, day))]
            last = db.execute(
                "SELECT name FROM anchors WHERE partner=? ORDER BY day DESC LIMIT 1", (partner,)
            ).fetchone()
            made = sign(rows, last[0] if last else "")
            values = (partner, day, rows[0].number, rows[-1].number, made.name, made.statement,
                      made.certificate, made.owed)  # fmt: skip
            db.execute(
                "INSERT OR IGNORE INTO anchors(partner, day, first, last, name, statement,"
                " certificate, owed) VALUES(?,?,?,?,?,?,?,?)",
                values,
            )

    def anchors(self, partner: str | None = None) -> list[AnchorRow]:
        """Return the anchors (of a partner), by partner and day."""
        where, values = ("partner=?", (partner,)) if partner is not None else ("1", ())
        rows = self._rows(f"SELECT * FROM anchors WHERE {where} ORDER BY partner, day", *values)
        return [AnchorRow(**_with_words(row)) for row in rows]


def _with_words(row: sqlite3.Row) -> dict[str, Any]:
    values = dict(zip(row.keys(), row, strict=True))
    values["refused"] = json.loads(values["refused"]) if values["refused"] else None
    return values
