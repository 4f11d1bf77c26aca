"""Urgent and unopened: told to a second reader, then to the requesting side (UX-04).

After some minutes by mail and webhook, later to the sender, with the telephone number to
call; during an operation (術中) sooner.  Neither mail nor webhook says anything of a
patient.  Every step is written before anybody is told, so that nothing is told twice and
nothing is forgotten over a restart.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, case, insert, select, update

from common import request
from common.reading_settings import ReadingRoom
from common.states import TransferState
from receiver import index, requests, tidings
from receiver.index import Index
from receiver.rounds import Rounds
from receiver.standings import UNOPENED
from receiver.telling import Told

log = logging.getLogger("todoke.escalation")
LOOK = 1.0  # seconds between two looks
SECOND_READER, SENDER = 1, 2

_studies, _transfers, _alarms = index.studies, index.transfers, index.alarms
_standings = index.standings
Clock = Callable[[], datetime]
Ways = Mapping[str, Callable[[Told], None]]


class Escalation:
    """Looks every second which urgent studies nobody has opened.

    Parameters
    ----------
    settings : ReadingRoom
        After how many minutes.
    ways : mapping
        By name what tells a second reader; may raise, and is tried again.
    clock : callable
        The moment, aware; what is waited for is counted on it.
    """

    def __init__(
        self,
        database: Index,
        settings: ReadingRoom,
        ways: Ways,
        note: Callable[..., None] = lambda *_, **__: None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.index = database
        self.settings = settings
        self.ways = ways
        self.note = note
        self._clock = clock
        self._tries: dict[tuple[str, str, str], int] = {}
        self.rounds = Rounds("escalation", self.look, LOOK, database, note)

    def look(self) -> None:
        """Raise what is due, and tell what is owed; one that fails holds up no other.

        Raises
        ------
        Exception
            The first that came up, once all the others were seen to.
        """
        moment = self._clock()
        failures: list[Exception] = []
        with self.index.read() as db:
            rows = db.execute(_waiting()).all()
        for row in rows:
            try:
                with self.index.read() as db:
                    due = self._due(db, row, moment)
                for _, step, minutes in due:
                    self._raise(row, step, minutes, moment)
            except Exception as failure:
                log.error("study %s: not escalated: %s", row.key, type(failure).__name__)
                failures.append(failure)
        try:
            self._tell_owed()
        except Exception as failure:
            failures.append(failure)
        if failures:
            raise failures[0]

    def _due(
        self, db: Connection, row: Row[Any], moment: datetime
    ) -> list[tuple[Row[Any], int, int]]:
        asked = json.loads(row.request)
        if request.is_prior(asked):
            return []
        # more images of a study never make its alarm slower than what was asked of it
        told = requests.of_studies(db, row.key).get((row.institution, row.study_uid), {})
        minutes = int((moment - datetime.fromisoformat(row.since)).total_seconds() // 60)
        mine = (_alarms.c.study == row.key) & (_alarms.c.since == row.since)
        raised = set(db.execute(select(_alarms.c.step).where(mine)).scalars())
        return [
            (row, step, minutes)
            for step, bound in enumerate(self.bounds(asked | told), SECOND_READER)
            if step not in raised and minutes >= bound
        ]

    def bounds(self, asked: Mapping[str, Any]) -> tuple[int, int]:
        """Return after how many minutes a second reader, and the sender, are told."""
        of = self.settings
        if request.intraoperative(asked):
            return of.alarm_intraoperative_minutes, of.alarm_intraoperative_sender_minutes
        return of.alarm_minutes, of.alarm_sender_minutes

    def _raise(self, row: Row[Any], step: int, minutes: int, moment: datetime) -> None:
        owed = sorted(self.ways) if step == SECOND_READER else []
        with self.index.write() as db:
            same = select(_studies.c.reading).where(_studies.c.key == row.key)
            found = db.execute(same).one_or_none()
            if found is None or found.reading is not None:
                return  # opened meanwhile
            at = moment.astimezone(UTC).isoformat(timespec="milliseconds")
            said = {"study": row.key, "step": step, "since": row.since, "at": at}
            db.execute(insert(_alarms).values(**said, minutes=minutes, owed=json.dumps(owed)))
            index.announce(db, "study", row.key)
            if step == SENDER:
                told = {"minutes": minutes, "telephone": self.settings.telephone, "moment": at}
                tidings.tell(db, row.institution, row.study_uid, "alarm", **told)
        log.warning("study %s: urgent, unopened for %s min, step %s", row.key, minutes, step)
        self.note("alarm", of="unopened", study=row.key, step=step, minutes=minutes)

    def _tell_owed(self) -> None:
        """Tell by every way that is owed; one that fails is tried again at the next look."""
        with self.index.read() as db:
            rows = db.execute(select(_alarms).where(_alarms.c.owed != "[]")).all()
        for row in rows:
            left = []
            for way in json.loads(row.owed):
                if not self._told(way, row):
                    left.append(way)
            same = (
                (_alarms.c.study == row.study)
                & (_alarms.c.step == row.step)
                & (_alarms.c.since == row.since)
            )
            if left != json.loads(row.owed):
                with self.index.write() as db:
                    db.execute(update(_alarms).where(same).values(owed=json.dumps(left)))

    def _told(self, way: str, row: Row[Any]) -> bool:
        """Tell by one way; return whether nothing more is owed by it."""
        tell = self.ways.get(way)
        if tell is None:
            return True  # switched off since
        try:
            number = hashlib.sha256(f"{row.study} {row.since}".encode()).hexdigest()[:32]
            tell(Told(row.study, row.minutes, self.settings.telephone, number))
        except Exception as failure:  # a mail server may raise anything
            key = row.study, row.since, way
            self._tries[key] = self._tries.get(key, 0) + 1
            log.warning("alarm by %s: %s", way, type(failure).__name__)
            if self._tries[key] < self.settings.alarm_tries:
                return False
            cause = f"{way}: {type(failure).__name__}"
            self.note("alarm", of="not-told", study=row.study, cause=cause)
            return True
        self.note("alarm", of="told", study=row.study, way=way)
        return True


def raised(db: Connection) -> dict[str, dict[str, Any]]:
    """Return by study how far its present wait has escalated: step, minutes and moment."""
    same = _transfers.c.id == _studies.c.transfer
    query = (
        select(_alarms.c.study, _alarms.c.step, _alarms.c.minutes, _alarms.c.at)
        .join(_studies, _studies.c.key == _alarms.c.study)
        .join(_transfers, same)
        .outerjoin(_standings, _standings.c.study == _studies.c.key)
        .where(_since() == _alarms.c.since)
        .order_by(_alarms.c.step)
    )
    return {
        row.study: {"step": row.step, "minutes": row.minutes, "at": row.at}
        for row in db.execute(query)
    }


def _since() -> Any:
    """From when a study waits: as it was sent, or as images that came after 完了 returned it."""
    returned = (_standings.c.state == UNOPENED) & (_standings.c.at > _transfers.c.opened_at)
    return case((returned, _standings.c.at), else_=_transfers.c.opened_at)


def _waiting() -> Any:
    """Ask for urgent studies with images, or on their way, that nobody has opened."""
    columns = _since().label("since"), _transfers.c.request
    return (
        select(_studies.c.key, _studies.c.institution, _studies.c.study_uid, *columns)
        .join(_transfers, _transfers.c.id == _studies.c.transfer)
        .outerjoin(_standings, _standings.c.study == _studies.c.key)
        .where(
            _studies.c.reading.is_(None),
            _transfers.c.priority == "urgent",
            _transfers.c.test.is_(False),
            _transfers.c.state.not_in((TransferState.ANNOUNCED, TransferState.RECALLED)),
        )
    )
