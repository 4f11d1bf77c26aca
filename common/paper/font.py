"""The font of printed documents: Noto Sans JP, fetched by the build and shipped in the wheel.

It covers 髙 (U+9AD9), 﨑 (U+FA11) and 𠮷 (U+20BB7), and is licensed under the SIL Open
Font License 1.1, whose text lies beside it.  What it lacks is shown as 〓 with its code
point: never as nothing, and never as another letter.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from pathlib import Path

from common.errors import FontMissing

FOLDER = "_fonts"
REGULAR, BOLD, LICENCE = "NotoSansJP-Regular.ttf", "NotoSansJP-Bold.ttf", "OFL.txt"
#: What a document says of its font.
NAMED = "Noto Sans JP © 2014-2021 Adobe, SIL Open Font License 1.1 (https://openfontlicense.org)"


def file(name: str) -> Path:
    """Return where a file of the font lies.

    Raises
    ------
    FontMissing
        This todoke was built without it.
    """
    path = Path(str(resources.files("common").joinpath(FOLDER, name)))
    if not path.is_file():
        raise FontMissing(path=path)
    return path


@cache
def covered() -> frozenset[int]:
    """Return the code points that the font has a glyph for."""
    from fontTools.ttLib import TTFont

    with TTFont(file(REGULAR), lazy=True) as font:
        return frozenset(font.getBestCmap())


def printable(text: object) -> str:
    """Return text as it can be printed: on one line, without what has no glyph.

    Parameters
    ----------
    text : object
        Its ``str``.  Controls become spaces; a letter without a glyph becomes
        ``〓U+XXXX``.
    """
    known = covered()
    out = ""
    for letter in str(text):
        if unicodedata.name(letter, "").startswith("VARIATION SELECTOR"):
            continue  # names a form of the letter before it, which may be shown without
        if not letter.isprintable():
            out += " "
        elif ord(letter) in known:
            out += letter
        else:
            out += f"〓U+{ord(letter):04X} "
    return out.strip()
