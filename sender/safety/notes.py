"""What a person has to know of a transfer although it goes: words for both ends.

They stand in the request that the opening carries, as ``notes``, so that the sender
sees them before sending and the receiver with the images.  No patient data is in them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from common.dicom import burned_in
from common.dicom.person_name import GUESSED, PATIENT_NAME

#: Key in a transfer's request.
KEY = "notes"
NAME_GUESSED, TEXT_GUESSED = "name-guessed", "text-guessed"
TIFF_TOO = "tiff-too"
ENCODED_AGAIN, ENCODED_WITH_LOSS = "encoded-again", "encoded-again-lossy"

WORDS = {
    burned_in.DECLARED: (
        "文字の焼き込みがあると申告された画像です ({count}枚)。氏名が写っていないか見てください",
        "{count} image(s) say that text is burned in: look whether a name is in them",
    ),
    burned_in.UNKNOWN: (
        "取り込み画像で、文字の焼き込みの有無が書かれていません ({count}枚)。"
        "氏名が写っていないか見てください",
        "{count} secondary capture(s) do not say whether text is burned in:"
        " look whether a name is in them",
    ),
    NAME_GUESSED: (
        "氏名の文字集合の申告が正しくありません。読みは推定です (元のバイトは変えません)",
        "The name is not in the character set that is declared; what is shown is a guess"
        " (its bytes are not changed)",
    ),
    TEXT_GUESSED: (
        "文字集合の申告が正しくない項目があります。表示は推定です (元のバイトは変えません)",
        "Some text is not in the character set that is declared; what is shown is a guess"
        " (its bytes are not changed)",
    ),
    TIFF_TOO: (
        "先頭がTIFFでもあるファイルです ({count}件)。DICOMの部分だけを送ります",
        "{count} file(s) are TIFF files too; only their DICOM part is sent",
    ),
    ENCODED_AGAIN: (
        "再符号化 (可逆): そのままの符号では送れない形式で、一度だけ符号化し直します ({count}枚)。"
        "画素は等しいまま",
        "Encoded again without loss: of a kind that cannot go as it is stored"
        " ({count} image(s)); pixels stay equal",
    ),
    ENCODED_WITH_LOSS: (
        "再符号化・非可逆: 施設の設定により、一度だけ非可逆で符号化し直します ({count}枚)。"
        "方式・画質・決めた人は画像の DerivationDescription に",
        "Encoded again with loss, by the site's setting ({count} image(s));"
        " codec, quality and who decided stand in Derivation Description",
    ),
}


def made(found: Iterable[str]) -> list[dict[str, Any]]:
    """Return findings, each named once with its count and its words."""
    counts = Counter(found)
    return [
        {
            "id": name,
            "count": counts[name],
            "ja": ja.format(count=counts[name]),
            "en": en.format(count=counts[name]),
        }
        for name, (ja, en) in WORDS.items()
        if counts[name]
    ]


def add(values: dict[str, Any], found: Iterable[str]) -> None:
    """Put findings into the values of a transfer, where there are any."""
    if notes := made(found):
        request = json.loads(values["request"]) | {KEY: notes}
        values["request"] = json.dumps(request, ensure_ascii=False)


def of_guesses(attributes: dict[str, Any]) -> list[str]:
    """Return the findings of what had to be guessed of the patient and study level."""
    guessed = attributes.get(GUESSED, [])
    named = [NAME_GUESSED] if PATIENT_NAME in guessed else []
    return named + ([TEXT_GUESSED] if len(guessed) > len(named) else [])


def of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the notes of a transfer's request."""
    notes: list[dict[str, Any]] = request.get(KEY, [])
    return notes
