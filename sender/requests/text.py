"""From the bytes of a request file to text: UTF-8, CP932 as Japanese Excel writes it, UTF-16.

What may be read in two ways is refused, and so is text that has lost a character
already: a name that is almost right is another person's.
"""

from __future__ import annotations

import codecs
import re

from common.errors import RequestUnreadable

LARGEST = 4 << 20  # bytes of a request file
#: What an encoder leaves where a character does not fit: U+FFFD, and the geta mark.
LOST = re.compile("[\ufffd〓]")
#: Gaiji: every site draws another character there (CP932 F040H-F9FCH, and beyond the BMP).
PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
#: A half-width kana in CP932 is one byte; two of them may also be a Latin letter in UTF-8.
_LATIN = re.compile("[\x80-\u024f]")


def decode(data: bytes) -> str:
    """Return the text of a request file.

    Parameters
    ----------
    data : bytes
        The file, at most `LARGEST` bytes.

    Raises
    ------
    RequestUnreadable
        Too large, of no encoding that is read here, or of two at once.
    """
    if len(data) > LARGEST:
        raise RequestUnreadable(place="", cause=f"> {LARGEST >> 20} MiB")
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return _read(data, name)
    utf8, cp932 = _try(data, "utf-8"), _try(data, "cp932")
    if utf8 is None:
        return _read(data, "cp932")
    if cp932 is not None and cp932 != utf8 and _LATIN.search(utf8):
        raise RequestUnreadable(
            place="", cause="UTF-8 か Shift_JIS か決められません / UTF-8 or Shift_JIS: both fit"
        )
    return utf8


def _try(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _read(data: bytes, name: str) -> str:
    text = _try(data, name)
    if text is None:
        raise RequestUnreadable(
            place="", cause="UTF-8 でも Shift_JIS でもありません / neither UTF-8 nor Shift_JIS"
        )
    return text
