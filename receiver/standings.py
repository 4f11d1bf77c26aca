"""How far each study is with its readers: 未開封, 開封, 読影中, 完了, with who and when.

One function for each step, called by pages and verbs alike.  A step is one transaction
with the news of it for open pages (:func:`receiver.index.announce`) and for the requesting
side (:mod:`receiver.tidings`).  Images that come after 完了 return a study to 未開封 in the
transaction that gives them their rows: there is no moment in which it looks done with
images that nobody has seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from common import request
from common.errors import (
    CallNotSaid,
    Claimed,
    NotFound,
    NothingToTakeOver,
    SecondAnswer,
    UsageError,
)
from common.states import MOVES, TransferState
from receiver import index, prior_links, tidings
from receiver.done_questions import CAUSES, Counted, causes_of, count
from receiver.index import Index

UNOPENED, OPENED, READING, DONE = "unopened", "opened", "reading", "done"
WORDS = {
    UNOPENED: ("未開封", "Unopened"),
    OPENED: ("開封", "Opened"),
    READING: ("読影中", "Reading"),
    DONE: ("完了", "Done"),
}
MOST = 200  # letters of a reason, or of who was told
_studies, _transfers = index.studies, index.transfers
_standings, _steps, _calls = index.standings, index.reading_steps, index.calls


@dataclass(frozen=True, slots=True)
class Person:
    """Who takes a step: the name typed at sign-in, and the name on screens."""

    name: str
    display: str = ""

    @property
    def shown(self) -> str:
        """The name on screens."""
        return self.display or self.name


@dataclass(frozen=True, slots=True)
class Call:
    """That an urgent result was told by phone: to whom and when, never what."""

    to: str
    at: str

    @classmethod
    def read(cls, said: Any) -> Call | None:
        """Read what a page or a verb says; False is *nobody was told*.

        Raises
        ------
        UsageError
        """
        if said is False:
            return None
        if not isinstance(said, Mapping):
            raise UsageError(cause="told")
        try:
            at = datetime.fromisoformat(str(said.get("at"))).isoformat(timespec="minutes")
        except ValueError as failure:
            raise UsageError(cause="told: at") from failure
        return cls(line(said.get("to"), "told: to"), at)


def line(said: Any, what: str) -> str:
    """Return one line of words that a person typed.

    Raises
    ------
    UsageError
        It is empty, too long, or holds what no reader sees.
    """
    text = said.strip() if isinstance(said, str) else ""
    if not text or len(text) > MOST or request.forbidden(text) or "\n" in text:
        raise UsageError(cause=what)
    return text


class Standings:
    """The steps of readers.

    Parameters
    ----------
    note : callable
        :meth:`common.audit.Trail.note`.
    """

    def __init__(self, database: Index, note: Callable[..., None] = lambda *_, **__: None) -> None:
        self.index = database
        self.note = note

    def look(self, key: str, who: Person, address: str = "") -> str:
        """Open a study: the first reader's look makes it 開封; a further one claims nothing.

        Returns
        -------
        str
            Its state from now on.

        Raises
        ------
        NotFound
        """
        with self.index.write() as db:
            study, now = known(db, key), _standing(db, key)
            state = now.state if now else UNOPENED
            if state == UNOPENED:
                _step(db, study, now, OPENED, who)
            elif now and (now.state == OPENED or now.by == who.name):
                whole = count(db, study).whole
                db.execute(update(_standings).where(_standings.c.study == key).values(seen=whole))
        first = state == UNOPENED
        event = "study-opened" if first else "study-looked"
        self._note(event, key, who, address)
        return OPENED if first else state

    def claim(self, key: str, who: Person, address: str = "") -> None:
        """引受け: from now on it is read by one person.

        Raises
        ------
        Claimed
            Somebody else reads it.
        NotFound
        """
        with self.index.write() as db:
            study, now = known(db, key), _standing(db, key)
            self._not_theirs(now, key, who, address, "study-claimed")
            _step(db, study, now, READING, who)
        self._note("study-claimed", key, who, address)

    def take_over(self, key: str, who: Person, reason: str, address: str = "") -> None:
        """引継ぎ: take a study from whoever reads it, with a reason.

        Raises
        ------
        NothingToTakeOver
            Nobody else reads it.
        UsageError
            The reason is empty.
        NotFound
        """
        why = line(reason, "reason")
        with self.index.write() as db:
            study, now = known(db, key), _standing(db, key)
            if now is None or now.state != READING or now.by == who.name:
                raise NothingToTakeOver(cause=now.state if now else UNOPENED)
            _step(db, study, now, READING, who, why)
            before = now.by
        self._note("study-taken-over", key, who, address, before=before, reason=why)

    def release(self, key: str, who: Person, address: str = "") -> None:
        """Give back what was claimed: it is 開封 again.

        Raises
        ------
        Claimed, NotFound
        """
        with self.index.write() as db:
            study, now = known(db, key), _standing(db, key)
            self._not_theirs(now, key, who, address, "study-state")
            if now is None or now.state != READING:
                raise NothingToTakeOver(cause=now.state if now else UNOPENED)
            _step(db, study, now, OPENED, who)
        self._note("study-state", key, who, address, state=OPENED)

    def done(
        self,
        key: str,
        who: Person,
        *,
        accept: int | None = None,
        told: Call | bool | None = None,
        address: str = "",
    ) -> None:
        """完了; from now on its days until a purge count.

        Parameters
        ----------
        accept : int, optional
            The second answer: how many images were here when it was asked.  Where more
            have come since, it is asked again.
        told : Call or False, optional
            Of an urgent study: who was told by phone, or False for nobody.

        Raises
        ------
        Claimed
            Somebody else reads it.
        SecondAnswer
            It is incomplete, or has grown since it was opened, or was never opened.
        CallNotSaid
            It is urgent, and nothing is said of a call.
        NotFound
        """
        with self.index.write() as db:
            study, now = known(db, key), _standing(db, key)
            self._not_theirs(now, key, who, address, "study-done")
            asks, counted = self._questions(db, study, now, accept, told)
            if not asks:
                if isinstance(told, Call):
                    _called(db, study, who, told)
                _step(db, study, now, DONE, who)
        if asks:
            raise asks
        if accept is not None and causes_of(counted, now):
            causes = ",".join(causes_of(counted, now))
            self._note("incomplete-accepted", key, who, address, images=accept, causes=causes)
        if isinstance(told, Call):
            self._note("told-by-phone", key, who, address, at_told=told.at)
        self._note("study-done", key, who, address, images=counted.whole)

    def asks(self, key: str) -> dict[str, Any]:
        """Return what 完了 would be asked now: ``arrived``, ``expected``, ``causes``, ``call``."""
        with self.index.read() as db:
            study, now = known(db, key), _standing(db, key)
            counted = count(db, study)
            urgent = (study.priority or "routine") == "urgent"
        return {
            "arrived": counted.whole,
            "expected": counted.expected,
            "damaged": counted.damaged,
            "causes": causes_of(counted, now),
            "call": urgent,
        }

    def history(self, key: str) -> list[dict[str, Any]]:
        """Return every step of a study and every call, the oldest first."""
        with self.index.read() as db:
            known(db, key)
            steps = db.execute(select(_steps).where(_steps.c.study == key).order_by(_steps.c.id))
            found = [dict(row._mapping) | {"kind": "state"} for row in steps]
            calls = db.execute(select(_calls).where(_calls.c.study == key))
            found += [dict(row._mapping) | {"kind": "call"} for row in calls]
        return sorted(found, key=lambda one: str(one["at"]))

    @staticmethod
    def _questions(
        db: Connection,
        study: Row[Any],
        now: Row[Any] | None,
        accept: int | None,
        told: Call | bool | None,
    ) -> tuple[SecondAnswer | CallNotSaid | None, Counted]:
        counted = count(db, study)
        causes = causes_of(counted, now)
        if (causes and accept is None) or (accept is not None and accept != counted.whole):
            said = [CAUSES[one] for one in causes or ["grown"]]
            both = "、".join(ja for ja, _ in said) + " / " + ", ".join(en for _, en in said)
            return SecondAnswer(cause=both), counted
        if (study.priority or "routine") == "urgent" and told is None:
            return CallNotSaid(), counted
        return None, counted

    def _not_theirs(
        self, now: Row[Any] | None, key: str, who: Person, address: str, event: str
    ) -> None:
        if now is not None and now.state == READING and now.by != who.name:
            self._note(event, key, who, address, outcome="refused")
            raise Claimed(display=now.display, at=clock(now.at))

    def _note(
        self, event: str, key: str, who: Person, address: str, outcome: str = "ok", **facts: Any
    ) -> None:
        named = {"user": who.name, "address": address, "study": key, "outcome": outcome}
        self.note(event, **named, **facts)


def clock(at: str) -> str:
    """Return hours and minutes of a moment, on this machine's wall."""
    return datetime.fromisoformat(at).astimezone().strftime("%H:%M")


def grown(db: Connection, key: str) -> None:
    """Return a study to 未開封 if images have come since it was done.

    To be called in the transaction that gives images their rows.
    """
    now = _standing(db, key)
    if now is None or now.state not in (DONE, UNOPENED) or now.done_with < 0:
        return
    study = known(db, key)
    late = count(db, study).whole - now.done_with
    if late <= now.late:  # the same again, or what was damaged is sound again
        return
    if now.state == DONE:
        _step(db, study, now, UNOPENED, Person(""), late=late)
        return
    db.execute(update(_standings).where(_standings.c.study == key).values(late=late))
    _tell(db, study, UNOPENED, Person(""), index.now(), late)


def forget(db: Connection, row: Row[Any]) -> None:
    """Forget who read a study that is purged, and what was said of it; its steps stay.

    Steps name readers and a random key, no patient; words may name one.  Marks lie on images
    that are gone, and say by a digest whose they were.
    """
    news = index.tidings
    theirs = (
        _standings,
        index.alarms,
        index.messages,
        index.reader_marks,
        index.slide_marks,
        index.label_checks,
        index.rescans,
    )
    for table, mine in (
        *((one, one.c.study == row.key) for one in theirs),
        (
            news,
            and_(news.c.institution == row.institution, news.c.study_uid == row.study_uid),
        ),
    ):
        db.execute(delete(table).where(mine))
    prior_links.forget(db, row.key)


def known(db: Connection, key: str) -> Row[Any]:
    """Return a study with state, priority and expected number of its newest transfer.

    Raises
    ------
    NotFound
    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", key):
        raise NotFound(thing="study")
    columns = _transfers.c.state, _transfers.c.priority, _transfers.c.expected
    query = select(_studies, *columns).outerjoin(_transfers, _transfers.c.id == _studies.c.transfer)
    row = db.execute(query.where(_studies.c.key == key)).one_or_none()
    if row is None:
        raise NotFound(thing=key)
    return row


def _standing(db: Connection, key: str) -> Row[Any] | None:
    return db.execute(select(_standings).where(_standings.c.study == key)).one_or_none()


def _step(
    db: Connection,
    study: Row[Any],
    now: Row[Any] | None,
    state: str,
    who: Person,
    reason: str | None = None,
    *,
    late: int = 0,
) -> None:
    """Write one step: where it stands, how it came there, and the news of it."""
    at, whole = index.now(), count(db, study).whole
    by = {"study": study.key, "state": state, "by": who.name, "display": who.shown, "at": at}
    kept = {"seen": now.seen if now else 0, "done_with": now.done_with if now else -1}
    if state == OPENED and (now is None or now.state == UNOPENED):
        kept["seen"] = whole
    if reason is not None:
        kept["seen"] = 0  # who takes over has seen nothing yet
    if state == DONE:
        kept["done_with"] = kept["seen"] = whole
    if state not in (DONE, UNOPENED):
        kept["done_with"] = -1
    db.execute(delete(_standings).where(_standings.c.study == study.key))
    db.execute(insert(_standings).values(**by, **kept, late=late))
    db.execute(insert(_steps).values(**by, reason=reason, images=whole))
    reading = None if state == UNOPENED else TransferState(state)
    said = {"reading": reading, "done_at": at if state == DONE else None, "changed_at": at}
    db.execute(update(_studies).where(_studies.c.key == study.key).values(**said))
    to = TransferState.RECEIPTED if reading is None else reading
    if study.state is not None and to in MOVES[TransferState(study.state)]:
        same = _transfers.c.id == study.transfer
        # what was sent is as far as its study: but for what is still on its way
        if reading is not None or study.state in READ:
            db.execute(update(_transfers).where(same).values(state=to))
    index.announce(db, "study", study.key)
    _tell(db, study, state, who, at, late)


READ = frozenset({TransferState.OPENED, TransferState.READING, TransferState.DONE})


def _tell(db: Connection, study: Row[Any], state: str, who: Person, at: str, late: int) -> None:
    said = {"state": state, "by": who.shown, "moment": at, "late": late}
    tidings.tell(db, study.institution, study.study_uid, "state", **said)


def _called(db: Connection, study: Row[Any], who: Person, call: Call) -> None:
    at = index.now()
    by = {"by": who.name, "display": who.shown, "at": at}
    db.execute(insert(_calls).values(study=study.key, to=call.to, told_at=call.at, **by))
    said = {"to": call.to, "by": who.shown, "moment": call.at}
    tidings.tell(db, study.institution, study.study_uid, "call", **said)
