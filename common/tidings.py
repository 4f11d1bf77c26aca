"""What a receiver tells of its reading room: states, words, calls, alarms, key images; checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.errors import ProtocolError
from common.link import check_uid
from common.request import forbidden

STATES = {
    "unopened": ("未開封", "Unopened"),
    "opened": ("開封", "Opened"),
    "reading": ("読影中", "Reading"),
    "done": ("完了", "Done"),
}
KINDS = {
    "query": ("照会", "Query"),
    "prior": ("過去画像の依頼", "Earlier images asked for"),
    "rescan": ("再走査依頼", "Rescan asked for"),
    "advice": ("助言", "Advice"),
    "answer": ("回答", "Answer"),
}
LONG, SHORT = 2000, 200  # letters of a text, and of a name
MOST_KEYS = 2000  # key images of one reader and study
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_READER = re.compile(r"[0-9a-f]{16}", re.ASCII)  # a digest: which account, not its name


@dataclass(frozen=True, slots=True)
class Tiding:
    """One piece of news.

    Attributes
    ----------
    kind : str
        ``state``, ``message``, ``call``, ``alarm`` or ``keys``.
    study : str
        Study Instance UID.
    said : dict
        Of a state: state, by, moment, late; of a message: message, what, answers, text, by;
        of a call: to, by, moment; of an alarm: minutes, telephone, moment;
        of keys: reader, by, and images: all that one reader has chosen now, each with
        ``sop`` (SOP Instance UID) and ``frame`` (1-based).
    """

    kind: str
    study: str
    at: str
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to ``GET /link/v1/news``: news, from where to ask next, and who listens.

    Attributes
    ----------
    audible : bool or None
        Whether an alarm can be heard there; None of a receiver that does not say.
    """

    news: tuple[Tiding, ...]
    until: int
    listening: bool
    telephone: str
    audible: bool | None = None


def read(words: dict[str, Any]) -> Answer:
    """Check an answer from a receiver; kinds of a later version are passed over.

    Raises
    ------
    ProtocolError
        Something is missing, or of another form.
    """
    try:
        news = tuple(
            Tiding(one["kind"], check_uid(one["study"]), _time(one["at"]), _READ[one["kind"]](one))
            for one in words["news"]
            if one["kind"] in _READ
        )
        until, listening = words["until"], words["listening"]
        if type(until) is not int or until < 0 or not isinstance(listening, bool):
            raise ValueError
        audible = words.get("audible")
        if "audible" in words and not isinstance(audible, bool):
            raise ValueError
        telephone = _text(words.get("telephone", ""), SHORT)
        return Answer(news, until, listening, telephone, audible)
    except (KeyError, TypeError, ValueError) as failure:
        raise ProtocolError(cause="news") from failure


def _state(one: dict[str, Any]) -> dict[str, Any]:
    if one["state"] not in STATES:
        raise ValueError
    by, moment = _text(one["by"], SHORT), _time(one["moment"])
    return {"state": one["state"], "by": by, "moment": moment, "late": _count(one["late"])}


def _message(one: dict[str, Any]) -> dict[str, Any]:
    if one["what"] not in KINDS or not _ID.fullmatch(one["message"]):
        raise ValueError
    if one["answers"] and not _ID.fullmatch(one["answers"]):
        raise ValueError
    words = {"text": _text(one["text"], LONG), "by": _text(one["by"], SHORT)}
    return {"message": one["message"], "what": one["what"], "answers": one["answers"], **words}


def _call(one: dict[str, Any]) -> dict[str, Any]:
    to, by = _text(one["to"], SHORT), _text(one["by"], SHORT)
    return {"to": to, "by": by, "moment": _time(one["moment"])}


def _alarm(one: dict[str, Any]) -> dict[str, Any]:
    telephone = _text(one["telephone"], SHORT)
    moment = _time(one["moment"])
    return {"minutes": _count(one["minutes"]), "telephone": telephone, "moment": moment}


def _keys(one: dict[str, Any]) -> dict[str, Any]:
    images = one["images"]
    if not isinstance(images, list) or len(images) > MOST_KEYS:
        raise ValueError
    chosen = [{"sop": check_uid(image["sop"]), "frame": _count(image["frame"])} for image in images]
    if not _READER.fullmatch(one["reader"]):
        raise ValueError
    return {"reader": one["reader"], "by": _text(one["by"], SHORT), "images": chosen}


_READ = {"state": _state, "message": _message, "call": _call, "alarm": _alarm, "keys": _keys}


def _time(said: Any) -> str:
    datetime.fromisoformat(said)
    return str(said)


def _count(said: Any) -> int:
    if type(said) is not int or not 0 <= said < 1 << 31:
        raise ValueError
    return said


def _text(said: Any, most: int) -> str:
    if not isinstance(said, str) or len(said) > most or forbidden(said):
        raise ValueError
    return said
