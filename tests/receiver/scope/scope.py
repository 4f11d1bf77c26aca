"""The scope table (SUB-08), and what the viewer's door really has: pages, tools, routes."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import Route

from receiver.index import Index
from receiver.viewer_services import ViewerServices
from receiver.web_app import viewer_app

TABLE = Path(__file__).with_name("scope.toml")
SOURCE = Path(__file__).parent.parent.parent.parent / "receiver/viewer/src"
KINDS = ("page", "tool", "route")
#: Families of words that name controls alone.
FAMILIES = ("tool.", "win.", "filter.", "purpose.", "auth.")
_PAGE = re.compile(r"export (?:async )?function (show[A-Z]\w*)")
_KEY = re.compile(
    r"\b(Key[A-Z]|Digit\d?|Numpad\w*|Arrow(?:Up|Down|Left|Right)|Page(?:Up|Down)|Home|End|Comma"
    r"|Period|Slash|Semicolon|Minus|Equal|Space|Escape|Enter|Tab|F\d{1,2}|Delete|Backspace)"
    r"(?=[\"':|)(])"
)
_WORD = re.compile(r"^  \"?([a-z][\w.]*)\"?: \[", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    kind: str
    ja: str
    en: str
    qa: tuple[str, ...]
    serves_ja: str
    serves_en: str
    pages: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()


def rows() -> list[Row]:
    """Read the table."""
    read: list[dict[str, Any]] = tomllib.loads(TABLE.read_text("utf-8"))["row"]
    found = []
    for row in read:
        # lists of TOML as tuples, so that a row cannot be changed
        values: dict[str, Any] = {
            name: tuple(said) if isinstance(said, list) else said for name, said in row.items()
        }
        found.append(Row(**values))
    return found


def claimed(table: Iterable[Row], what: str) -> list[str]:
    """Return what all rows claim of one thing."""
    return [one for row in table for one in getattr(row, what)]


def covers(claim: str, thing: str) -> bool:
    """Whether a claim is of a thing; ``*`` at its end stands for any rest."""
    return thing.startswith(claim[:-1]) if claim.endswith("*") else thing == claim


def routes() -> set[str]:
    """Return method and path of every route of the viewer's application."""
    with tempfile.TemporaryDirectory() as folder:
        index = Index.at(Path(folder))
        services = ViewerServices(
            index=index,
            store=Path(folder),
            institution_name="",
            institution_code="",
            https=True,
            version="0",
        )
        found = set()
        for route in viewer_app(services).routes:
            # a mount or a socket is no thing of this table: it must become one first
            assert isinstance(route, Route), route
            found |= {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}
        index.close()
    return found


def pages() -> set[str]:
    """Return the functions that show a page."""
    return {name for _, text in _sources() for name in _PAGE.findall(text)}


def keys() -> set[str]:
    """Return the keys that are bound, each with the folder of its source."""
    found = ((room, text) for room, text in _sources() if room != "words")
    return {f"{room}:{code}" for room, text in found for code in _KEY.findall(text)}


def words() -> set[str]:
    """Return the names of every word of the viewer."""
    return {name for _, text in _sources() for name in _WORD.findall(text)}


def _sources() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.ts")):
        relative = path.relative_to(SOURCE)
        yield (relative.parts[0] if len(relative.parts) > 1 else "."), path.read_text("utf-8")


def faults(table: list[Row]) -> Iterator[str]:
    """Say each thing without a row, and each row whose thing is gone."""
    control_words = {word for word in words() if word.startswith(FAMILIES)}
    there = {"routes": routes(), "pages": pages(), "keys": keys(), "words": control_words}
    for what, found in there.items():
        claims = claimed(table, what)
        for thing in sorted(found):
            if not any(covers(claim, thing) for claim in claims):
                yield f"{what[:-1]} without a row in scope.toml: {thing}"
        every = words() if what == "words" else found
        for claim in claims:
            if not any(covers(claim, thing) for thing in every):
                yield f"row of scope.toml for a {what[:-1]} that is not there: {claim}"
