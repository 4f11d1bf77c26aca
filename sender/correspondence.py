"""What the outbox knows of a reading room: states, queries, calls, alarms, key images.

Studies are known by partner and Study Instance UID: a receiver speaks of studies, and only
of those that it was sent; what it says of any other is passed over.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

from common import tidings
from common.errors import NotFound, UsageError
from common.request import forbidden
from common.states import TransferState, move
from common.tidings import Answer, Tiding
from sender.outbox_file import now
from sender.stopped import Stopped

_STATES = {
    "unopened": TransferState.RECEIPTED,
    "opened": TransferState.OPENED,
    "reading": TransferState.READING,
    "done": TransferState.DONE,
}
_READ = (TransferState.RECEIPTED, *_STATES.values())
_LETTER = (
    "INSERT OR IGNORE INTO letters(id, partner, study, kind, way, answers, text, by, at, sent)"
    " VALUES(?,?,?,?,?,?,?,?,?,?)"
)

_EARS = (
    "INSERT OR REPLACE INTO ears(partner, until, listening, telephone, at, audible)"
    " VALUES(?,?,?,?,?,?)"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """Words about a study, from the reading room (way ``in``) or to it (``out``)."""

    id: str
    partner: str
    study: str
    kind: str
    way: str
    answers: str
    text: str
    by: str
    at: str
    sent: str | None
    refused: str | None


class Correspondence(Stopped):
    """The part of the outbox that keeps what is said both ways."""

    def heard_to(self, partner: str) -> tuple[int, bool | None, bool | None]:
        """Return the number of a partner's last news, whether anybody listened, and was to hear.

        Returns
        -------
        (int, bool or None, bool or None)
            None: not known.
        """
        rows = self._rows("SELECT until, listening, audible FROM ears WHERE partner=?", partner)
        return (int(rows[0][0]), bool(rows[0][1]), _known(rows[0][2])) if rows else (0, None, None)

    def take(self, partner: str, answer: Answer) -> None:
        """Keep an answer of a partner, all of it or nothing."""
        with self._write() as db:
            for one in answer.news:
                ours = "SELECT 1 FROM transfers WHERE partner=? AND study=?"
                if db.execute(ours, (partner, one.study)).fetchone() is not None:
                    _keep(db, partner, one)
            said = (
                partner, answer.until, answer.listening, answer.telephone, now(), answer.audible,
            )  # fmt: skip
            db.execute(_EARS, said)

    def letters(self, study: str | None = None, partner: str | None = None) -> list[Letter]:
        """Return what was said, the oldest first; of one study, or with one partner."""
        rows = self._rows(
            "SELECT id, partner, study, kind, way, answers, text, by, at, sent, refused"
            " FROM letters WHERE (?1 IS NULL OR study=?1) AND (?2 IS NULL OR partner=?2)"
            " ORDER BY at, rowid",
            study,
            partner,
        )
        return [Letter(*row) for row in rows]

    def unanswered(self) -> list[Letter]:
        """Return the questions of reading rooms that nobody has answered."""
        every = self.letters()
        answered = {one.answers for one in every if one.way == "out"}
        asked = [one for one in every if one.way == "in" and one.kind not in ("answer", "advice")]
        return [one for one in asked if one.id not in answered]

    def unsent(self) -> list[Letter]:
        """Return what is to be sent."""
        return [one for one in self.letters() if one.sent is None and one.refused is None]

    def write_letter(self, partner: str, study: str, text: str, by: str, answers: str = "") -> str:
        """Put words to a reading room into the outbox; return their id.

        Parameters
        ----------
        answers : str
            Beginning of the id of what is answered; "" asks something of one's own.

        Raises
        ------
        NotFound
            Nothing of it was asked.
        UsageError
            The text is empty or too long, or nobody is named.
        """
        text, by = text.strip(), by.strip()
        if not text or len(text) > tidings.LONG or forbidden(text):
            raise UsageError(cause="text")
        if not by or len(by) > tidings.SHORT or forbidden(by):
            raise UsageError(cause="--by")
        made, kind = secrets.token_hex(16), "answer" if answers else "query"
        with self._write() as db:
            values = made, partner, study, kind, "out", answers, text, by, now(), None
            db.execute(_LETTER, values)
        return made

    def letter(self, name: str) -> Letter:
        """Return what a reading room asked, by the beginning of its id.

        Raises
        ------
        NotFound
            None, or several.
        """
        found = [one for one in self.letters() if one.way == "in" and one.id.startswith(name)]
        if not name or len(found) != 1:
            raise NotFound(thing=name)
        return found[0]

    def letter_sent(self, number: str, refused: str | None = None) -> None:
        """Keep that a partner has taken words, or refuses them."""
        with self._write() as db:
            if refused is None:
                db.execute("UPDATE letters SET sent=? WHERE id=?", (now(), number))
            else:
                db.execute("UPDATE letters SET refused=? WHERE id=?", (refused, number))

    def ears(self) -> list[dict[str, Any]]:
        """Return of each partner whether anybody listens and can hear, and its telephone.

        Returns
        -------
        list of dict
            ``audible`` is None where the partner does not say it.
        """
        rows = self._rows("SELECT partner, listening, audible, telephone, at FROM ears")
        return [
            dict(row) | {"listening": bool(row["listening"]), "audible": _known(row["audible"])}
            for row in rows
        ]

    def key_images(self, partner: str, study: str) -> list[dict[str, Any]]:
        """Return the images that readers have chosen, by reader, each with our own file of it.

        Returns
        -------
        list of dict
            ``by``, ``at``, and ``images``: ``sop``, ``frame`` (1-based), ``series``,
            ``number`` and ``path``, None of an image that is not in the outbox.
        """
        key = partner, study
        files = {
            row["sop_uid"]: {name: row[name] for name in ("series", "number", "path")}
            for row in self._rows(
                "SELECT i.sop_uid, i.series, i.number, i.path FROM instances i"
                " JOIN transfers t ON t.id=i.transfer WHERE t.partner=? AND t.study=?",
                *key,
            )
        }
        none = {"series": None, "number": None, "path": None}
        rows = self._rows(
            "SELECT by, images, at FROM key_images WHERE partner=? AND study=? ORDER BY at", *key
        )
        return [
            {
                "by": row["by"],
                "at": row["at"],
                "images": [one | files.get(one["sop"], none) for one in json.loads(row["images"])],
            }
            for row in rows
        ]

    def reader(self, partner: str, study: str) -> dict[str, Any] | None:
        """Return how far readers are with a study, None where nothing was heard of it."""
        key = partner, study
        rows = self._rows("SELECT * FROM readers WHERE partner=? AND study=?", *key)
        alarms = self._rows("SELECT * FROM unopened WHERE partner=? AND study=?", *key)
        calls = self._rows("SELECT * FROM calls WHERE partner=? AND study=? ORDER BY at", *key)
        waiting = [one for one in self.unanswered() if (one.partner, one.study) == key]
        counted = "SELECT images FROM key_images WHERE partner=? AND study=?"
        keys = sum(len(json.loads(row["images"])) for row in self._rows(counted, *key))
        if not (rows or alarms or calls or waiting or keys):
            return None
        state = rows[0]["state"] if rows else "unopened"
        ja, en = tidings.STATES[state]
        alarm = alarms[0] if alarms else None
        return {
            "state": state,
            "state_ja": ja,
            "state_en": en,
            "by": rows[0]["by"] if rows else "",
            "at": rows[0]["at"] if rows else None,
            "late": rows[0]["late"] if rows else 0,
            "unopened": alarm
            and {"minutes": alarm["minutes"], "telephone": alarm["telephone"], "at": alarm["at"]},
            "told": [{"to": r["told"], "by": r["by"], "at": r["at"]} for r in calls],
            "queries": len(waiting),
            "key_images": keys,
        }


def _known(said: int | None) -> bool | None:
    return None if said is None else bool(said)


def words(reader: dict[str, Any] | None, lang: str) -> str:
    """Return one line of how far readers are, as a person reads it."""
    if reader is None:
        return ""
    ja = lang == "ja"
    said = [reader["state_ja" if ja else "state_en"], reader["by"]]
    if late := reader["late"]:
        said.append(f"完了後に {late}枚 追加" if ja else f"{late} images came after Done")
    if alarm := reader["unopened"]:
        minutes, telephone = alarm["minutes"], alarm["telephone"] or "-"
        said.append(
            f"未開封 {minutes}分。電話してください ☎{telephone}"
            if ja
            else f"unopened for {minutes} min. Telephone {telephone}"
        )
    for call in reader["told"]:
        said.append(
            f"電話で伝えた: {call['to']} {call['at'][11:16]}"
            if ja
            else f"told by phone: {call['to']} {call['at'][11:16]}"
        )
    if count := reader["queries"]:
        said.append(f"照会 {count}件" if ja else f"queries: {count}")
    if count := reader["key_images"]:
        said.append(f"★ キー画像 {count}枚" if ja else f"key images: {count}")
    return "  ".join(one for one in said if one)


def _keep(db: sqlite3.Connection, partner: str, one: Tiding) -> None:
    said, key = one.said, (partner, one.study)
    if one.kind == "state":
        values = *key, said["state"], said["by"], said["moment"], said["late"]
        db.execute("INSERT OR REPLACE INTO readers VALUES(?,?,?,?,?,?)", values)
        if said["state"] != "unopened":
            db.execute("DELETE FROM unopened WHERE partner=? AND study=?", key)
        _move(db, key, said["state"])
    elif one.kind == "message":
        letter = (
            said["message"], *key, said["what"], "in", said["answers"], said["text"], said["by"],
            one.at, one.at,
        )  # fmt: skip
        db.execute(_LETTER, letter)
    elif one.kind == "call":
        called = *key, said["to"], said["by"], said["moment"]
        db.execute("INSERT OR REPLACE INTO calls VALUES(?,?,?,?,?)", called)
    elif one.kind == "keys":
        gone = "DELETE FROM key_images WHERE partner=? AND study=? AND reader=?"
        db.execute(gone, (*key, said["reader"]))
        if said["images"]:
            chosen = *key, said["reader"], said["by"], json.dumps(said["images"]), one.at
            db.execute("INSERT INTO key_images VALUES(?,?,?,?,?,?)", chosen)
    else:
        alarm = *key, said["minutes"], said["telephone"], said["moment"]
        db.execute("INSERT OR REPLACE INTO unopened VALUES(?,?,?,?,?)", alarm)


def _move(db: sqlite3.Connection, key: tuple[str, str], state: str) -> None:
    """Let the transfers of a study be as far as its readers, where the table of moves allows."""
    rows = db.execute("SELECT id, state FROM transfers WHERE partner=? AND study=?", key).fetchall()
    for row in rows:
        if TransferState(row["state"]) not in _READ:
            continue  # looked at before it was receipted, or held for an inquiry
        with contextlib.suppress(UsageError):
            new = move(TransferState(row["state"]), _STATES[state])
            db.execute("UPDATE transfers SET state=? WHERE id=?", (new, row["id"]))
