"""Person names as a reader needs them: three groups, wide kana, and an honest guess.

The stored bytes are never changed; what is made here is for the eye only.
PS3.5 6.2.1.2 has the order of the groups: alphabetic, ideographic, phonetic.
PS3.5 annex H has the Japanese character sets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Tag whose raw bytes are looked at again when its character set was not declared rightly.
PATIENT_NAME = "00100010"

_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b$(D", b"\x1b(J", b"\x1b(I", b"\x1b)I")
_TWO_BYTE = ("ISO 2022 IR 87", "ISO 2022 IR 159")
#: Character sets with no meaning for bytes above 7FH (PS3.3 C.12.1.1.2).
_SEVEN_BIT = {"", "ISO_IR 6", "ISO 2022 IR 6", *_TWO_BYTE, "ISO_IR 87", "ISO_IR 159"}
_LATIN = {"ISO_IR 100", "ISO 2022 IR 100"}


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name for a page.

    Attributes
    ----------
    ideographic, phonetic, alphabetic : str
        Each group with spaces between its components; empty when absent.
    raw : str
        The value as decoded, groups joined by ``=``, nothing widened.
    guessed : bool
        The declared character set cannot be right, and another was tried.
    """

    ideographic: str
    phonetic: str
    alphabetic: str
    raw: str
    guessed: bool

    def as_json(self) -> dict[str, str | bool]:
        """Return the fields as the web API names them."""
        return {
            "ideographic": self.ideographic,
            "phonetic": self.phonetic,
            "alphabetic": self.alphabetic,
            "raw": self.raw,
            "guessed": self.guessed,
        }


def from_json(value: Any, *, guessed: bool = False) -> PersonName:
    """Read one value of a PN element of the DICOM JSON model (PS3.18 F.2.2).

    Parameters
    ----------
    value : dict
        ``{"Alphabetic": ..., "Ideographic": ..., "Phonetic": ...}``; anything else is no name.
    """
    groups = value if isinstance(value, dict) else {}
    alphabetic, ideographic, phonetic = (
        str(groups.get(name) or "") for name in ("Alphabetic", "Ideographic", "Phonetic")
    )
    raw = f"{alphabetic}={ideographic}={phonetic}".rstrip("=")
    # Devices in Japan put kana or kanji in the first group when it is their only one.
    if alphabetic and not phonetic and _mostly(alphabetic, _is_kana):
        alphabetic, phonetic = "", alphabetic
    elif alphabetic and not ideographic and _mostly(alphabetic, _is_ideograph):
        alphabetic, ideographic = "", alphabetic
    shown = [_shown(group) for group in (ideographic, phonetic, alphabetic)]
    return PersonName(shown[0], shown[1], shown[2], raw, guessed)


def guess(raw: bytes, declared: Sequence[str]) -> dict[str, str] | None:
    """Decode a PN whose bytes contradict its declared character sets.

    Parameters
    ----------
    raw : bytes
        The element's value as it lies in the data set.
    declared : sequence of str
        Values of Specific Character Set (0008,0005).

    Returns
    -------
    dict or None
        A PN value of the DICOM JSON model; None when the declaration can be right
        or nothing better is known.

    Notes
    -----
    Four contradictions are known (CHR-05): escape sequences of ISO 2022 without a
    declaration of them; ``ISO_IR 87``, which is no defined term; bytes above 7FH
    under seven-bit sets; C1 control bytes under Latin-1, which Shift_JIS has and
    a name in Latin-1 has not.
    """
    sets = {name.strip() for name in declared} or {""}
    escapes = any(sequence in raw for sequence in _ESCAPES)
    high = any(byte > 0x7F for byte in raw)
    c1 = any(0x80 <= byte <= 0x9F for byte in raw)
    if escapes and not sets & {*_TWO_BYTE, "ISO 2022 IR 13"}:
        text = _decoded(raw, "iso2022_jp_ext") or _decoded(raw, "iso2022_jp_2")
    elif high and sets <= _SEVEN_BIT:
        text = _mixed(raw) if escapes else _decoded(raw, "utf-8") or _decoded(raw, "cp932")
    elif c1 and sets <= _SEVEN_BIT | _LATIN:
        text = _decoded(raw, "utf-8") or _decoded(raw, "cp932")
    else:
        return None
    if text is None:
        return None
    groups = text.rstrip(" \0").split("=")[:3]
    names = ("Alphabetic", "Ideographic", "Phonetic")
    return {name: group for name, group in zip(names, groups, strict=False) if group}


def _mixed(raw: bytes) -> str | None:
    """Kanji between escapes, with half-width kana as plain bytes in the same value."""
    parts = [
        _decoded(piece, "cp932" if piece[:1] > b"\x7f" else "iso2022_jp_ext")
        for piece in re.split(rb"([\x80-\xff]+)", raw)
    ]
    return None if None in parts else "".join(part or "" for part in parts)


def _decoded(raw: bytes, codec: str) -> str | None:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        return None
    strange = any(unicodedata.category(sign) in {"Cc", "Co", "Cn"} for sign in text.rstrip("\0"))
    return None if strange else text


def _shown(group: str) -> str:
    """Components with spaces between them, half-width kana as full-width."""
    words = " ".join(part for part in group.replace("^", " ").split(" ") if part)
    if any(0xFF61 <= ord(sign) <= 0xFF9F for sign in words):
        return "".join(
            unicodedata.normalize("NFKC", piece) if piece[:1] >= "｡" else piece
            for piece in _runs(words)
        )
    return words


def _runs(words: str) -> list[str]:
    """Split into runs of half-width kana and of everything else.

    NFKC would also change compatibility ideographs of names, so only the kana see it.
    """
    runs: list[str] = []
    for sign in words:
        half = 0xFF61 <= ord(sign) <= 0xFF9F
        if runs and half == (0xFF61 <= ord(runs[-1][-1]) <= 0xFF9F):
            runs[-1] += sign
        else:
            runs.append(sign)
    return runs


def _is_kana(sign: str) -> bool:
    return "぀" <= sign <= "ヿ" or "｡" <= sign <= "ﾟ"


def _is_ideograph(sign: str) -> bool:
    return unicodedata.name(sign, "").startswith("CJK") or sign == "々"


def _mostly(group: str, test: Any) -> bool:
    signs = [sign for sign in group if sign not in "^ .-　"]
    return bool(signs) and sum(map(test, signs)) * 2 > len(signs)
