"""対象経費区分表: what is installed, on which side, for what, and what the Q&A says of it.

The table is ``components.toml``; here it is held against this installation.  It states
facts: no line says whether a scheme covers a part (EVD-08).
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import os
import platform
import socket
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

VERSION = 1
SIDES = {
    "requesting": ("依頼側", "requesting side"),
    "supporting": ("支援側", "supporting side"),
    "both": ("両側", "both sides"),
    "none": ("なし", "none"),
}
SERVES = {
    "send": ("送信", "send"),
    "receive": ("受領", "receive"),
    "show": ("表示", "show"),
    "prove": ("証跡", "prove"),
    "test": ("試験", "test"),
}
ASK = ("都道府県に確認", "ask the prefecture")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of todoke itself, or a library that it stands on.

    Attributes
    ----------
    files : tuple of str
        Patterns of its files; empty for a library.
    qa : tuple of str
        Numbers of the Q&A 第2版 that speak of such a thing.
    ask : bool
        No number names it: the prefecture is to be asked.
    """

    name: str
    side: str
    serves: tuple[str, ...]
    ja: str
    en: str
    files: tuple[str, ...] = ()
    qa: tuple[str, ...] = ()
    ask: bool = False

    @property
    def necessary(self) -> bool:
        """Whether it is needed to send, to receive or to show."""
        return bool({"send", "receive", "show"} & set(self.serves))


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(resources.files("common").joinpath("components.toml").read_text("utf-8"))


def parts() -> list[Part]:
    """Return the parts of todoke, in the order in which they take files."""
    return [
        Part(
            one["name"], one["side"], tuple(one["serves"]), one["ja"], one["en"],
            tuple(one["files"]), tuple(one["qa"]), one.get("ask", False),
        )
        for one in _table()["part"]
    ]  # fmt: skip


def libraries() -> list[Part]:
    """Return the libraries of others; the parts that use them say what the Q&A says."""
    return [
        Part(name, one["side"], tuple(one["serves"]), one["ja"], one["en"])
        for name, one in _table()["library"].items()
    ]


def absent() -> list[dict[str, Any]]:
    """Return what is not in todoke, with the numbers of the Q&A that speak of it."""
    return [dict(one) for one in _table()["absent"]]


def part_of(path: str) -> Part | None:
    """Return the part that a file belongs to, None if the table forgot it.

    Parameters
    ----------
    path : str
        From the project's folder, with ``/``.
    """
    for part in parts():
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in part.files):
            return part
    return None


def installed() -> dict[str, Any]:
    """Return the inventory of this machine."""
    return {
        "version": VERSION,
        "machine": {
            "name": socket.gethostname(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "processors": os.cpu_count(),
            "python": platform.python_version(),
        },
        "todoke": _version("todoke"),
        "parts": [_words(part) | {"files": list(part.files)} for part in parts()],
        "libraries": [_words(one) | {"installed": _version(one.name)} for one in libraries()],
        "absent": absent(),
    }


def _words(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "side": part.side,
        "serves": list(part.serves),
        "necessary": part.necessary,
        "qa": list(part.qa),
        "ask": part.ask,
        "ja": part.ja,
        "en": part.en,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def serving(part: Part, of: int) -> str:
    """Return for what a part is there: in ja (0) or en (1)."""
    return "・".join(SERVES[one][of] for one in part.serves)


def in_the_qa(part: Part, of: int) -> str:
    """Return which numbers of the Q&A speak of a part, and whether to ask."""
    return ", ".join([*part.qa, *([ASK[of]] if part.ask else [])]) or "-"


def necessity(part: Part, of: int) -> str:
    """Return whether a part is needed to send, receive or show; evidence is told apart."""
    if part.necessary:
        return ("必要", "needed")[of]
    return ("証跡のため", "for the record")[of] if "prove" in part.serves else ("不要", "no")[of]


def unlisted(paths: Iterable[str]) -> list[str]:
    """Return the files that no part has."""
    return [path for path in paths if part_of(path) is None]
