"""Which end a data directory is, read without its keys: what a verb has to know at once."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from common.errors import DatabaseUnsafe, NotInitialised

VERSION = 1
FOLDER = "identity"


class Role(StrEnum):
    """The two roles of Q&A 第2版 Q1: 依頼側 and 支援側."""

    REQUESTER = "requester"
    SUPPORTER = "supporter"

    @property
    def room(self) -> str:
        """The room that plays the role, as typed after ``todoke``."""
        return "sender" if self is Role.REQUESTER else "receiver"

    @property
    def ja(self) -> str:
        """The word of the Q&A."""
        return "依頼側" if self is Role.REQUESTER else "支援側"


def read(data: Path, role: Role | None = None) -> dict[str, Any]:
    """Return what the data directory of an end says of it.

    Raises
    ------
    NotInitialised
        There is no end, or it plays another role than `role`.
    DatabaseUnsafe
        A newer todoke wrote it.
    """
    try:
        words: dict[str, Any] = json.loads((data / FOLDER / "identity.json").read_text("utf-8"))
    except FileNotFoundError as missing:
        room = role.room if role else "sender|receiver"
        raise NotInitialised(path=data, room=room) from missing
    if words["version"] != VERSION:
        raise DatabaseUnsafe(cause=f"identity {words['version']}, program {VERSION}")
    if role is not None and words["role"] != role:
        raise NotInitialised(path=data, room=role.room)
    return words
