"""Person names as a reader needs them: three groups, wide kana, and an honest guess.

The stored bytes are never changed; what is made here is for the eye only.
PS3.5 6.2.1.2 has the order of the groups: alphabetic, ideographic, phonetic.
PS3.5 annex H has the Japanese character sets; pydicom decodes them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

#: Tag of the name that lists and pages are made of.
PATIENT_NAME = "00100010"
#: Key beside the tags of a DICOM JSON model: tags that hold a guess.
GUESSED = "guessed"


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
        The declared character set cannot be right, and another was tried
        (:mod:`common.dicom.misdeclared`).
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


def marked(name: PersonName) -> str:
    """Return a name on one line, ideographs first, with 推定 behind what is a guess."""
    groups = [one for one in (name.ideographic, name.phonetic, name.alphabetic) if one]
    return " / ".join(groups) + (" (推定)" if name.guessed else "")


def _mostly(group: str, test: Any) -> bool:
    signs = [sign for sign in group if sign not in "^ .-　"]
    return bool(signs) and sum(map(test, signs)) * 2 > len(signs)
