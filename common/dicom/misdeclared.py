"""Text whose bytes contradict the character set that its data set declares (CHR-05).

The bytes stay as they are, in the file and on the way: a right guess helps a reader
and a wrong one must not become data.  What is made here is for the eye, and marked
推定 wherever it is shown.  PS3.3 C.12.1.1.2 has the defined terms, PS3.5 annex H the
Japanese sets and their escape sequences, PS3.5 6.1.2.5.3 the code extensions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it is loaded by then, and not sooner
    from pydicom import Dataset

#: Elements whose text is looked at, with their VR: what tells a reader of whom and what.
TEXTS = {
    "00080080": "LO",  # Institution Name
    "00080090": "PN",  # Referring Physician's Name
    "00081030": "LO",  # Study Description
    "00100010": "PN",  # Patient's Name
}
_ESCAPE = b"\x1b"
#: Escape sequences of two-byte sets, and the term that has to be declared for each.
_TWO_BYTE = {
    b"\x1b$B": "ISO 2022 IR 87",
    b"\x1b$@": "ISO 2022 IR 87",
    b"\x1b$(D": "ISO 2022 IR 159",
}
#: Terms under which no byte above 7FH has a meaning; the last two are no terms at all.
_SEVEN_BIT = {"", "ISO_IR 6", "ISO 2022 IR 6", *_TWO_BYTE.values(), "ISO_IR 87", "ISO_IR 159"}
_LATIN = {"ISO_IR 100", "ISO 2022 IR 100"}
_KANA = {"ISO_IR 13", "ISO 2022 IR 13"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_GETA = "〓"  # what Japanese print sets for a letter that the fount has not
_NAMED = ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "IDEOGRAPHIC")


def guess(raw: bytes, declared: Sequence[str]) -> str | None:
    """Decode text whose bytes contradict its declared character sets.

    Parameters
    ----------
    raw : bytes
        The element's value as it lies in the data set.
    declared : sequence of str
        Values of Specific Character Set (0008,0005).

    Returns
    -------
    str or None
        None when the declaration can be right, or nothing better is known.

    Notes
    -----
    Contradictions are: escape sequences of a two-byte set that is not declared (or
    declared as ``ISO_IR 87``, which is no defined term); bytes above 7FH under
    seven-bit sets; bytes under JIS X 0201 that are no kana; under Latin-1 its control
    bytes, or three accented letters in a row, which Shift_JIS has and no name in
    Latin-1; under UTF-8 what is none.
    """
    if _ESCAPE not in raw and raw.isascii():
        return None
    sets = {name.strip() for name in declared} or {""}
    if not _contradicts(raw, sets):
        return None
    text = _best(raw)
    if text and "ISO_IR 192" in sets and _chance(text):
        return None  # broken UTF-8 rather than another set
    return text


def _contradicts(raw: bytes, sets: set[str]) -> bool:
    if any(escape in raw and term not in sets for escape, term in _TWO_BYTE.items()):
        return True
    high = [byte for byte in raw if byte > 0x7F]
    if "ISO_IR 192" in sets:
        return _decoded(raw, "utf-8") is None
    if not high or sets - _SEVEN_BIT - _LATIN - _KANA:
        return False
    if sets & _KANA:
        return not all(0xA1 <= byte <= 0xDF for byte in high)
    if sets & _LATIN:
        return min(high) < 0xA0 or re.search(rb"[\xa0-\xff]{3}", raw) is not None
    return True


def _best(raw: bytes) -> str | None:
    """Decode by the sets met in Japan: JIS with escapes, UTF-8, Shift_JIS as Windows has it."""
    if _ESCAPE not in raw:
        tried = _decoded(raw, "utf-8"), _decoded(raw, "cp932")
        # kana of Shift_JIS can be valid UTF-8 of Greek or Cyrillic: what is Japanese goes first
        return next((text for text in tried if text and _japanese(text)), None) or tried[0]
    raw = raw.replace(b"\x1b)I", b"")  # kana above 7FH, which is how they are read anyhow
    parts = [
        _best(piece) if piece[:1] > b"\x7f" else _decoded(piece, "iso2022_jp_ext")
        for piece in re.split(rb"([\x80-\xff]+)", raw)
    ]
    return None if None in parts else "".join(part or "" for part in parts)


def _japanese(text: str) -> bool:
    return all(
        sign.isascii() or sign == _GETA or unicodedata.name(sign, "").startswith(_NAMED)
        for sign in text
    )


def _chance(text: str) -> bool:
    """Whether text is no name but what Shift_JIS makes of any bytes: kana in halves among kanji."""
    return not _japanese(text) or any(
        re.search("[\uff61-\uff9f]", part) and re.search("[\u3400-\u9fff]", part)
        for part in re.split("[\\^= ]", text)
    )


def _decoded(raw: bytes, codec: str) -> str | None:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return None
    text = re.sub("[\ue000-\ue757]", _GETA, text)  # letters that a hospital made for itself
    strange = any(unicodedata.category(sign) in {"Cc", "Co", "Cn"} for sign in text.rstrip("\0"))
    return None if strange else text


def person_name(text: str) -> dict[str, str]:
    """Return the text of a PN as a value of the DICOM JSON model (PS3.18 F.2.2)."""
    groups = text.rstrip(" \0").split("=")[:3]
    return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group}


def charsets(ds: Dataset) -> list[str]:
    """Return the values of Specific Character Set (0008,0005)."""
    value = ds.get("SpecificCharacterSet") or ""
    return [value] if isinstance(value, str) else [str(one) for one in value]


def raw_texts(ds: Dataset) -> dict[str, bytes]:
    """Return the undecoded bytes of :data:`TEXTS`, as far as they are still known.

    To be asked before anything of the data set is decoded.
    """
    found = {}
    for tag in TEXTS:
        if (number := int(tag, 16)) in ds and (raw := _raw(ds, number)):
            found[tag] = raw
    return found


def _raw(ds: Dataset, tag: int) -> bytes | None:
    value = getattr(ds.get_item(tag), "value", None)
    original = getattr(value, "original_string", value)  # a PN keeps it when it is decoded
    return original if isinstance(original, bytes) else None


def mend(model: dict[str, Any], raws: Mapping[str, bytes], declared: Sequence[str]) -> list[str]:
    """Put the best guess into a DICOM JSON model where the declared set cannot be right.

    Parameters
    ----------
    model : dict
        Changed in place.
    raws : mapping
        As :func:`raw_texts` gives them.

    Returns
    -------
    list of str
        Tags of the elements that hold a guess now, to be marked 推定.
    """
    guessed = []
    for tag, raw in raws.items():
        text = guess(raw, declared)
        if text is None:
            continue
        vr = TEXTS[tag]
        values = [text] if vr == "PN" else text.rstrip(" \0").split("\\")
        model[tag] = {"vr": vr, "Value": [person_name(v) if vr == "PN" else v for v in values]}
        guessed.append(tag)
    return guessed
