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

_TEXT = ("utf-8", "cp932", "euc-jp", "iso2022_jp_2")
_WIDE = ("utf-16-be", "utf-16-le")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
#: What is decoded in its turn and says nothing as it stands: any short word is in it somewhere.
_CODED = re.compile(r"[A-Za-z0-9+/_-]{40,}")
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


_HIRAGANA = {code: code + 0x60 for code in range(ord("ぁ"), ord("ゖ") + 1)}
_SILENT = re.compile(r"[\s^=・,、]+")


def plain(text: str) -> str:
    """Return text in one form: width, case, hiragana, spaces and carets say nothing."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_HIRAGANA)
    return _SILENT.sub("", text)


def _coded(run: re.Match[str]) -> str:
    """Leave a long run of letters out, if it is of both cases as base64 is."""
    return run[0] if run[0].islower() or run[0].isupper() else " "


def texts(document: bytes, depth: int = _DEPTH) -> Iterator[tuple[bool, str]]:
    """Yield every text that a document holds, and whether it is surely one.

    Random bytes, read as some text, hold any name of two or three letters; what is coded in
    a document and is no text once decoded is a signature or a digest.
    """
    known, outer = False, depth == _DEPTH
    for encoding in _TEXT:
        try:
            found, sure = document.decode(encoding), outer or encoding == "utf-8"
            known = True
        except UnicodeDecodeError:
            if not outer and encoding != "utf-8":
                continue
            found, sure = document.decode(encoding, "ignore"), False
        if not known and not outer and document[:1] != b"0":  # DER, which holds names as UTF-8
            continue
        yield sure, _CODED.sub(_coded, found)
        if "\\u" in found:
            text = _ESCAPE.sub(lambda hit: chr(int(hit[1], 16)), found)
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
            yield sure, _CODED.sub(_coded, text)
        if sure and encoding == "utf-8" and b"\x1b" not in document:
            break
    if outer and (not document.isascii() or b"\0" in document):
        for encoding in _WIDE:
            yield False, document.decode(encoding, "ignore")
    if depth and (known or outer):
        for inner in _inner(document):
            yield from texts(inner, depth - 1)


def _telling(word: str) -> bool:
    """Whether a word is too long to stand in random bytes by chance."""
    if word.isascii():
        return len(word) > 4
    return len(word) > (3 if re.search("[ァ-ヺ]", word) else 1)


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
    found = list(texts(data))
    surely = "\n".join({plain(text) for sure, text in found if sure})
    maybe = "\n".join({plain(text) for sure, text in found if not sure})
    return sorted(
        {
            f"{kind}: {word}"
            for person in people
            for kind, words in person.words().items()
            for word in words
            if word in surely or (_telling(word) and word in maybe)
        }
    )
