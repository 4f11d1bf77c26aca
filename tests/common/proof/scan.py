"""Looks for people in what is handed to outsiders: names, IDs, dates of birth, UIDs (PRI-05).

A document is read as a person with time would read it: JSON and JWS are opened, base64
decoded, streams of a PDF inflated, and every encoding used in Japan is tried.  Names are
looked for whole and by their parts, in kanji, kana of both widths, hiragana and Roman
letters; dates of birth in every form in which one writes them, Japanese years included.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

ENCODINGS = ("utf-8", "utf-16-be", "utf-16-le", "cp932", "euc-jp", "iso2022_jp_2")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_DEPTH = 3  # a signed statement in a file in an archive
_ERAS = ((date(2019, 5, 1), "令和", "R"), (date(1989, 1, 8), "平成", "H"),
         (date(1926, 12, 25), "昭和", "S"), (date(1912, 7, 30), "大正", "T"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever must not be found.

    Attributes
    ----------
    name : str
        Person Name, up to three groups (PS3.5 section 6.2.1.2).
    birth : str
        DICOM DA.
    uids : tuple of str
        Of the study, its series and instances.
    """

    name: str
    patient_id: str
    birth: str
    uids: tuple[str, ...] = ()

    def words(self) -> dict[str, set[str]]:
        """Return by kind what would name the person, each as :func:`plain` writes it."""
        names = set[str]()
        for group in self.name.split("="):
            parts = [part for part in group.split("^") if part]
            names |= {"".join(parts), "".join(reversed(parts))}
            names |= {part for part in parts if len(plain(part)) > (3 if part.isascii() else 1)}
        return {
            "name": {plain(name) for name in names if name},
            "ID": {plain(self.patient_id)},
            "birth": {plain(text) for text in _dates(self.birth)},
            "UID": {plain(uid) for uid in self.uids},
        }


def _dates(birth: str) -> Iterator[str]:
    day = date(int(birth[:4]), int(birth[4:6]), int(birth[6:]))
    y, m, d = day.year, day.month, day.day
    yield birth
    for mark in "-/.":
        yield f"{y}{mark}{m:02}{mark}{d:02}"
        yield f"{y}{mark}{m}{mark}{d}"
    yield f"{y}年{m}月{d}日"
    yield f"{y}年{m:02}月{d:02}日"
    for since, ja, letter in _ERAS:
        if day >= since:
            year = y - since.year + 1
            yield f"{ja}{year}年{m}月{d}日"
            yield f"{letter}{year}.{m}.{d}"
            return


def plain(text: str) -> str:
    """Return text in one form: width, case, hiragana, spaces and carets say nothing."""
    text = unicodedata.normalize("NFKC", text).casefold()
    kana = (chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)
    return re.sub(r"[\s^=・,、]", "", "".join(kana))


def texts(document: bytes, depth: int = _DEPTH) -> Iterator[tuple[str, str]]:
    """Yield every text that a document holds, with how it was come by."""
    for encoding in ENCODINGS:
        found = document.decode(encoding, "ignore")
        yield encoding, found
        if "\\u" in found:
            text = _ESCAPE.sub(lambda hit: chr(int(hit[1], 16)), found)
            yield "escaped", text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    if depth == 0:
        return
    for inner in _inner(document):
        yield from texts(inner, depth - 1)


def _inner(document: bytes) -> Iterator[bytes]:
    for found in _BASE64.findall(document):
        word = found.replace(b"-", b"+").replace(b"_", b"/")
        try:
            yield base64.b64decode(word + b"=" * (-len(word) % 4))
        except binascii.Error:
            continue
    for stream in _STREAM.findall(document):
        try:
            yield zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue


def scan(document: bytes | str, people: Iterable[Person]) -> list[str]:
    """Return what of these people stands in a document: kind and word."""
    data = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    held = "\n".join({plain(text) for _, text in texts(data)})
    return sorted(
        {
            f"{kind}: {word}"
            for person in people
            for kind, words in person.words().items()
            for word in words
            if word in held
        }
    )
