"""Carries out hand-offs, in a thread of the process that looks after what is stored.

What the index says is all that it knows: after a crash it goes on with what the target
has not answered for.  An instance may go out twice then, never not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from common import audit
from common.dicom import statuses
from common.errors import (
    ImageDamaged,
    NotFound,
    NothingToForward,
    PeerRefused,
    TargetNotAgreed,
    TodokeError,
)
from common.proof import jws
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Receiver
from receiver import (
    forward_commits,
    forward_recalls,
    forward_rules,
    forward_targets,
    index,
    repairs,
    standings,
)
from receiver import forwarding as hand_off
from receiver.changes import Changes
from receiver.forward_targets import Target
from receiver.forward_ways import Answer, ByDicom, ByFolder, Way, is_final
from receiver.forwarding import DONE, FAILED, REFUSED, SENDING, SENT, WAITING, Forwarding, Item
from receiver.index import Index
from receiver.rounds import Rounds
from receiver.store import Store

log = logging.getLogger("todoke.forward")
LOOK = 1.0  # seconds between two looks
FIRST_PAUSE, LONGEST_PAUSE = 5, 600  # seconds before a target is tried again
TRIES = 12  # in a row without anything taken: about an hour
TOGETHER, AT_MOST = 50, 0.5  # answers written together; seconds that they may wait
ENDING = 10.0  # seconds that a target may take to answer when this ends
SETTLED = 5.0  # seconds without news of a study whose number of images nobody has said

_forwards, _items = index.forwards, index.forward_items
_studies, _transfers = index.studies, index.transfers


class Forwarder:
    """Looks every second what is to be handed off.

    Parameters
    ----------
    ways : mapping
        Way by kind of target.
    sign : callable
        Signs a receipt.
    note : callable
        :meth:`common.audit.Trail.note`.
    clock : callable
        The moment, aware.
    """

    def __init__(
        self,
        database: Index,
        ways: Mapping[str, Way],
        sign: Callable[[dict[str, Any]], str],
        note: Callable[..., None] = lambda *_, **__: None,
        rules: forward_rules.Rules | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.index = database
        self.ways = ways
        self.sign = sign
        self.note = note
        self.rules = rules
        self.commits: forward_commits.Commits | None = None
        self.trail: audit.Trail | None = None
        self._clock = clock
        self._news = True
        self._changes: list[Changes] = []
        self.rounds = Rounds("forwarder", self._round, LOOK, database, self._said, ending=ENDING)
        self._stop = self.rounds.stopping

    @classmethod
    def of(cls, database: Index, data: Path, settings: Receiver) -> Forwarder:
        """Return the forwarder of a receiver, with an audit trail of its own."""
        node, store = Node.load(data, Role.SUPPORTER), Store(data / "store")
        trail = audit.Trail(data / "audit", "forwarder")
        ways: dict[str, Way] = {
            "dicom": ByDicom(store, node, settings.aet, settings.profile),
            "folder": ByFolder(store),
        }
        said = {"receiver": node.institution.code}
        rules = forward_rules.Rules(database, store.root, Forwarding(database, trail.note))
        made = cls(database, ways, lambda words: jws.sign(said | words, node), trail.note, rules)
        dials = ByDicom(store, node, settings.aet, settings.profile).commitment
        made.trail = trail
        made.commits = forward_commits.Commits(database, dials, made.sign, made._said, made._stop)
        return made

    def stop(self) -> None:
        """End after the instance under way, or leave it: what is not written goes out again."""
        self.rounds.stop()
        for changes in self._changes:
            changes.close()

    def _said(self, event: str, **facts: Any) -> None:
        self.note(event, **facts)

    def _round(self) -> None:
        if not self._changes:
            self._changes.append(Changes(self.index))
        self._news |= self._changes[0].seen()
        self.look(news=self._news)
        self._news = False  # after a look that failed it is looked at again

    def look(self, *, news: bool = True) -> None:
        """Ask for what rules say, and carry out what is due.

        Parameters
        ----------
        news : bool
            Whether the index may have changed since the last look.
        """
        if news:
            forward_recalls.look(self.index, self.note)
        if news and self.rules is not None:
            self.rules.look()
        now = self._stamp()
        with self.index.read() as db:
            rows = db.execute(select(_forwards).where(_forwards.c.state.in_((WAITING, SENDING))))
            due = [row for row in rows if (row.due_at or "") <= now]
            due += _grown(db) if news else []
        for row in due:
            if self._stop.is_set():
                return
            self._hand_off(row)
        if self.commits is not None:
            self.commits.look(self._clock())

    def _stamp(self, later: float = 0) -> str:
        moment = self._clock() + timedelta(seconds=later)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")

    def _hand_off(self, row: Row[Any]) -> None:
        """Send what may go of one study, and write how far it has come."""
        try:
            with self.index.read() as db:
                study = standings.known(db, row.study)
                target = forward_targets.known(db, row.target)
                going = hand_off.leaving(db, row.id, study)
                total = hand_off.total(db, study)
                news = study.expected is None and not self._settled(study)
            if not total:
                raise NothingToForward
        except (NotFound, NothingToForward, TargetNotAgreed) as error:
            self._failed(row, error)
            return
        if news:
            return
        facts: dict[str, Any] = {}
        ended: TodokeError | None = None
        if going:
            self._write(row, {"state": SENDING, "total": total, "error": None})
            ended = self._send(row, target, going, facts)
        self._conclude(row, study, target, facts, ended)

    def _settled(self, study: Row[Any]) -> bool:
        """Whether nothing has come lately of a study that nobody has told the end of."""
        return str(study.changed_at) <= self._stamp(-SETTLED)

    def _send(
        self, row: Row[Any], target: Target, going: list[Row[Any]], facts: dict[str, Any]
    ) -> TodokeError | None:
        """Send instances; return what ended it before its end, or a reason to try again."""
        kept: list[Item] = []
        asked = {one.id for one in going}
        since = time.monotonic()
        error: TodokeError | None = None
        try:
            for answer in self.ways[target.kind](target, row.study, going, facts):
                if answer.error is None or is_final(answer.error):
                    kept.append(_item(answer))
                    error = answer.error or error
                else:
                    error = answer.error
                    if isinstance(error, ImageDamaged):
                        repairs.suspect(self.index, answer.row.id)
                if len(kept) >= TOGETHER or time.monotonic() - since > AT_MOST:
                    self._keep(row, kept)
                    kept, since = [], time.monotonic()
                    if asked & forward_recalls.among(self.index, row.study):
                        break  # its sender took some of it back meanwhile
                if self._stop.is_set():
                    break
        except TodokeError as failure:
            log.warning("forward %s to %s: %s", row.id, target.name, failure.number)
            error = failure
        self._keep(row, kept)
        return error

    def _keep(self, row: Row[Any], items: list[Item]) -> None:
        """Write what the target has answered."""
        if not items:
            return
        at = self._stamp()
        with self.index.write() as db:
            values = [{"forward": row.id, "at": at, **_columns(one)} for one in items]
            db.execute(insert(_items), values)
            taken = sum(one.state == SENT for one in items)
            same = _forwards.c.id == row.id
            tries = {"tries": 0} if taken else {}
            db.execute(update(_forwards).where(same).values(sent=_forwards.c.sent + taken, **tries))
            index.announce(db, "study", row.study)

    def _conclude(
        self,
        row: Row[Any],
        study: Row[Any],
        target: Target,
        facts: dict[str, Any],
        error: TodokeError | None,
    ) -> None:
        with self.index.read() as db:
            total = hand_off.total(db, study)
            sent, refused = hand_off.counted(db, row.id, study)
            now = db.execute(select(_forwards.c.tries).where(_forwards.c.id == row.id)).scalar()
        said = {"sent": sent, "total": total}
        if sent == total:
            self._done(row, study, target, facts, said)
        elif error is not None and not (is_final(error) and refused):
            tries = int(now or 0) + 1
            if tries >= TRIES:
                self._failed(row, error, **said, tries=tries)
                return
            pause = min(LONGEST_PAUSE, FIRST_PAUSE << (tries - 1))
            words = {"error": hand_off.said(error), "due_at": self._stamp(pause), "tries": tries}
            self._write(row, {"state": WAITING, **said, **words})
        elif refused:
            self._failed(row, error or self._refusal(row), **said)
        else:  # the rest has not come, or is being mended
            self._write(row, {"state": WAITING, **said, "error": None, "due_at": None})

    def _done(
        self,
        row: Row[Any],
        study: Row[Any],
        target: Target,
        facts: dict[str, Any],
        said: dict[str, int],
    ) -> None:
        """Sign what the target has, and say so."""
        at = self._stamp()
        with self.index.read() as db:
            items = db.execute(select(_items).where(_items.c.forward == row.id)).all()
        receipt = {
            "statement": "forwarded",
            "forward": row.id,
            "institution": study.institution,
            "study": study.study_uid,
            "target": {"name": target.name, "kind": target.kind, "place": target.place},
            "connection": facts,
            "asked": {"by": row.by, "at": row.at},
            "finished_at": at,
            "instances": [_words(one) for one in items if one.state == SENT],
        }
        signed = self.sign(receipt)
        with self.index.write() as db:
            db.execute(insert(index.forward_receipts).values(forward=row.id, text=signed, at=at))
            values = {"state": DONE, **said, "tries": 0, "due_at": None, "error": None}
            same = _forwards.c.id == row.id
            db.execute(update(_forwards).where(same).values(**values, finished_at=at))
            index.announce(db, "study", row.study)
        self._note(row, "ok", what="done", instances=said["sent"], receipt=jws.name(signed))

    def _refusal(self, row: Row[Any]) -> TodokeError:
        """Return why the target refused an instance, some looks ago."""
        mine = (_items.c.forward == row.id) & (_items.c.state == REFUSED)
        with self.index.read() as db:
            status = db.execute(select(_items.c.status).where(mine)).scalars().first()
        return statuses.error_of(status or 0) or PeerRefused(cause="C-STORE")

    def _failed(self, row: Row[Any], error: TodokeError, **values: int) -> None:
        words = hand_off.said(error)
        self._write(row, {"state": FAILED, "due_at": None, "error": words, **values})
        log.warning("forward %s to %s failed: %s", row.id, row.target, error.number)
        self._note(row, "failed", what="failed", cause=error.number)

    def _note(self, row: Row[Any], outcome: str, **facts: Any) -> None:
        of = {"study": row.study, "target": row.target, "forward": row.id}
        self.note("forwarded", user=row.by or "rule", **of, outcome=outcome, **facts)

    def _write(self, row: Row[Any], values: dict[str, Any]) -> None:
        """Write how a hand-off stands; nothing where it stands so already."""
        same = _forwards.c.id == row.id
        with self.index.read() as db:
            now = db.execute(select(_forwards).where(same)).mappings().one()
        if all(now[key] == value for key, value in values.items()):
            return
        with self.index.write() as db:
            db.execute(update(_forwards).where(same).values(**values))
            index.announce(db, "study", row.study)


def _grown(db: Connection) -> list[Row[Any]]:
    """Return hand-offs that are done, of studies to which images have come since."""
    query = (
        select(_forwards)
        .join(_studies, _studies.c.key == _forwards.c.study)
        .where(_forwards.c.state == DONE, _studies.c.changed_at > _forwards.c.finished_at)
    )
    found = []
    for row in db.execute(query):
        study = standings.known(db, row.study)
        total = hand_off.total(db, study)
        if total and total != hand_off.counted(db, row.id, study)[0]:
            found.append(row)
    return found


def _item(answer: Answer) -> Item:
    row = answer.row
    of = row.id, row.sop_uid, row.sop_class, row.transfer_syntax, row.length, row.d1
    return Item(*of, REFUSED if answer.error else SENT, answer.status)


def _columns(one: Item) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Item.__dataclass_fields__}


def _words(one: Row[Any]) -> dict[str, Any]:
    names = ("sop_class", "transfer_syntax", "length", "d1", "status", "at")
    return {"uid": one.sop_uid, **{name: getattr(one, name) for name in names}}
