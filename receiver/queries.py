"""照会: what readers ask the requesting side, and what it answers, both ways (VIEWING 1g).

A query, a wish for earlier images (過去画像の依頼) or for another scan (再走査依頼) goes to
the sender with the news; answers and its own queries come back over the link.  Advice in
words goes only where the site has switched it on: todoke is no report system (Q&A Q8).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, insert, select

from common import request
from common.errors import AdviceSwitchedOff, NotFound, ProtocolError, UsageError
from receiver import index, standings, tidings
from receiver.index import Index
from receiver.standings import Person

KINDS = ("query", "prior", "rescan", "advice")
EVENTS = {
    "query": "query-sent",
    "prior": "prior-asked",
    "rescan": "rescan-asked",
    "advice": "query-sent",
}
MOST = 2000  # letters of a text
MARK = "advice_text"

_messages, _studies = index.messages, index.studies


class Queries:
    """What is said both ways of a study.

    Parameters
    ----------
    advice : bool
        Whether advice in words may be sent from this site.
    note : callable
        :meth:`common.audit.Trail.note`.
    """

    def __init__(
        self,
        database: Index,
        *,
        advice: bool = False,
        note: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self.index = database
        self.advice = advice
        self.note = note

    def send(
        self,
        key: str,
        who: Person,
        kind: str,
        text: str,
        *,
        answers: str | None = None,
        address: str = "",
    ) -> str:
        """Send words about a study to its sender; return their id.

        Parameters
        ----------
        kind : str
            One of :data:`KINDS`, or ``answer`` with `answers`.
        answers : str, optional
            Id of the message from the sender that is answered.

        Raises
        ------
        AdviceSwitchedOff, NotFound, UsageError
        """
        if kind not in (*KINDS, "answer"):
            raise UsageError(cause="kind")
        if kind == "advice" and not self.advice:
            raise AdviceSwitchedOff
        with self.index.write() as db:
            if (kind == "answer") != (answers is not None):
                raise UsageError(cause="answers")
            if answers is not None:
                _asked(db, key, answers, "in")
            made = say(db, key, who, kind, text, answers)
        event = EVENTS.get(kind, "query-sent")
        facts = {"study": key, "outcome": "ok", "message": made, "what": kind}
        self.note(event, user=who.name, address=address, **facts)
        return made

    def of_study(self, key: str) -> list[dict[str, Any]]:
        """Return what was said of a study, the oldest first."""
        with self.index.read() as db:
            standings.known(db, key)
            mine = _messages.c.study == key
            rows = db.execute(select(_messages).where(mine).order_by(_messages.c.at)).all()
        return [dict(row._mapping) for row in rows]


def say(
    db: Connection, key: str, who: Person, kind: str, text: str, answers: str | None = None
) -> str:
    """Keep words of a reader and tell its sender, in a transaction of the caller; their id.

    Raises
    ------
    NotFound, UsageError
    """
    said = {"kind": kind, "text": checked(text), "by": who.name, "display": who.shown}
    study = standings.known(db, key)
    made = _keep(db, study, "out", secrets.token_hex(16), answers, said)
    told = {"message": made, "what": kind, "text": said["text"], "by": who.shown}
    told |= {"answers": answers or ""}
    tidings.tell(db, study.institution, study.study_uid, "message", **told)
    return made


def take(db: Connection, institution: str, said: Any) -> None:
    """Take words from a sender; the same again change nothing.

    Parameters
    ----------
    said : dict
        ``id`` (32 hexadecimal digits), ``study`` (UID), ``kind`` (query or answer),
        ``answers``, ``text`` and ``by``.

    Raises
    ------
    ProtocolError
        Something is missing or of another form.
    NotFound
        The study, or what is answered, is not there; another institution's looks the same.
    """
    if not isinstance(said, dict) or not all(isinstance(v, str) for v in said.values()):
        raise ProtocolError(cause="message")
    number, kind, answers = (str(said.get(one, "")) for one in ("id", "kind", "answers"))
    if len(number) != 32 or not set(number) <= set("0123456789abcdef"):
        raise ProtocolError(cause="message id")
    if kind not in ("query", "answer") or (kind == "answer") != bool(answers):
        raise ProtocolError(cause="message kind")
    try:
        text, by = checked(said.get("text")), standings.line(said.get("by"), "by")
    except UsageError as failure:
        raise ProtocolError(cause="message text") from failure
    mine = (_studies.c.institution == institution) & (_studies.c.study_uid == said.get("study"))
    key = db.execute(select(_studies.c.key).where(mine)).scalar()
    if key is None:
        raise NotFound(thing="study")
    if db.execute(select(_messages.c.id).where(_messages.c.id == number)).first() is not None:
        return
    if answers:
        _asked(db, key, answers, "out")
    words = {"kind": kind, "text": text, "by": "", "display": by}
    _keep(db, standings.known(db, key), "in", number, answers or None, words)


def open_ones(db: Connection) -> dict[str, int]:
    """Return by study how many questions wait for an answer: of both ways."""
    rows = db.execute(select(_messages.c.id, _messages.c.study, _messages.c.answers)).all()
    answered = {row.answers for row in rows}
    found: dict[str, int] = {}
    for row in rows:
        if row.answers is None and row.id not in answered:
            found[row.study] = found.get(row.study, 0) + 1
    return found


def checked(text: Any) -> str:
    """Return a text that may be sent.

    Raises
    ------
    UsageError
        It is empty, too long, or holds what no reader sees.
    """
    said = text.strip() if isinstance(text, str) else ""
    if not said or len(said) > MOST or request.forbidden(said):
        raise UsageError(cause="text")
    return said


def switched(database: Index, note: Callable[..., None], *, advice: bool) -> None:
    """Note in the audit trail that advice in words was switched on or off since the last start."""
    with database.write() as db:
        before = index.marked(db, MARK) or "off"
        after = "on" if advice else "off"
        if before != after:
            index.mark(db, MARK, after)
    if before != after:
        note("setting", what=MARK, value=after, before_value=before, outcome="ok")


def _asked(db: Connection, key: str, number: str, way: str) -> None:
    mine = (_messages.c.id == number) & (_messages.c.study == key) & (_messages.c.way == way)
    if db.execute(select(_messages.c.id).where(mine)).first() is None:
        raise NotFound(thing="message")


def _keep(
    db: Connection, study: Any, way: str, number: str, answers: str | None, said: dict[str, str]
) -> str:
    of = {"study": study.key, "institution": study.institution, "answers": answers}
    db.execute(insert(_messages).values(id=number, way=way, at=index.now(), **of, **said))
    index.announce(db, "study", study.key)
    return number
