"""QIDO-RS matching (PS3.18 8.3.4, PS3.4 C.2.2.2) of query parameters against DICOM JSON.

Hostile patterns cost what honest ones cost: a wildcard is matched by one pass
with one place to go back to, never by a regular expression.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from common.dicom import person_name
from common.errors import UsageError

MAX_LIMIT = 1000
DEFAULT_LIMIT = 200
MAX_VALUE = 256  # characters of one value
MAX_KEYS = 32

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_WILD = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_RANGES = {"DA", "TM", "DT"}


@dataclass(frozen=True)
class Query:
    """A search as asked for.

    Attributes
    ----------
    keys : tuple of (str, str)
        Tag (eight hexadecimal digits) and value.
    every : bool
        ``includefield=all``.
    """

    keys: tuple[tuple[str, str], ...]
    limit: int
    offset: int
    every: bool
    fields: frozenset[str]
    fuzzy: bool


def read_query(params: Iterable[tuple[str, str]]) -> Query:
    """Read the query parameters of a search.

    Raises
    ------
    UsageError
        A key is no attribute, or a number is none.
    """
    keys: list[tuple[str, str]] = []
    numbers = {"limit": DEFAULT_LIMIT, "offset": 0}
    fields: set[str] = set()
    every = fuzzy = False
    for count, (name, value) in enumerate(params):
        if count >= MAX_KEYS or len(value) > MAX_VALUE:
            raise UsageError(cause="query")
        if name in numbers:
            if not re.fullmatch(r"[0-9]{1,9}", value):
                raise UsageError(cause=name)
            numbers[name] = int(value)
        elif name == "includefield":
            every = every or value == "all"
            fields.update(tag_of(word) for word in value.split(",") if word != "all")
        elif name == "fuzzymatching":
            fuzzy = value == "true"
        elif value not in {"", "*"}:
            keys.append((tag_of(name), value))
        else:
            tag_of(name)
    limit = min(numbers["limit"], MAX_LIMIT)
    return Query(tuple(keys), limit, numbers["offset"], every, frozenset(fields), fuzzy)


def tag_of(name: str) -> str:
    """Return the tag of a keyword or of eight hexadecimal digits.

    Raises
    ------
    UsageError
        It is neither.  Attributes inside sequences are not searched for.
    """
    if _TAG.fullmatch(name):
        return name.upper()
    number = tag_for_keyword(name)
    if number is None:
        raise UsageError(cause=f"attribute {name[:64]!r}")
    return f"{number:08X}"


def matches(model: dict[str, Any], keys: Iterable[tuple[str, str]]) -> bool:
    """Whether a DICOM JSON model has every key; an attribute that is absent has none."""
    return all(_one(model.get(tag, {}), tag, wanted) for tag, wanted in keys)


def _one(element: dict[str, Any], tag: str, wanted: str) -> bool:
    vr = element.get("vr") or _dictionary_vr(tag)
    values = element.get("Value") or []
    if vr == "UI":
        return bool({str(value) for value in values} & set(re.split(r"[,\\]", wanted)))
    if vr == "PN":
        names = [person_name.from_json(value) for value in values if isinstance(value, dict)]
        groups = [
            group
            for name in names
            for group in (name.ideographic, name.phonetic, name.alphabetic, *name.raw.split("="))
            if group
        ]
        return any(_wild(_folded(wanted), _folded(group)) for group in groups)
    if vr in _RANGES and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any(
            (not low or str(value)[: len(low)] >= low)
            and (not high or str(value)[: len(high)] <= high)
            for value in values
        )
    if vr in _WILD:
        return any(_wild(wanted, str(value)) for value in values)
    return any(str(value) == wanted for value in values)


def _dictionary_vr(tag: str) -> str:
    try:
        return dictionary_VR(int(tag, 16))
    except KeyError:
        return "UN"


def _folded(name: str) -> str:
    """Fold for a search: width, case, kana and the marks between components; never shown."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("^", " ").strip()
    text = text.translate(str.maketrans("髙﨑", "高崎"))
    return "".join(chr(ord(sign) + 0x60) if "ぁ" <= sign <= "ゖ" else sign for sign in text)


def _wild(pattern: str, text: str) -> bool:
    """Match ``*`` and ``?`` in time proportional to pattern times text."""
    p = t = 0
    star, back = -1, 0
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, back = p, t
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p += 1
            t += 1
        elif star >= 0:
            back += 1
            p, t = star + 1, back
        else:
            return False
    return all(sign == "*" for sign in pattern[p:])
