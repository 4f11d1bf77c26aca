"""The scanner sees a person in every form in which one could stand in a document."""

from __future__ import annotations

import base64
import json
import unicodedata
import zlib
from collections.abc import Callable

import pytest

from tests.common.proof.people import people
from tests.common.proof.scan import Person, scan

pytestmark = [pytest.mark.evidence, pytest.mark.requirement("PRI-05")]
EVERY = list(people())
TAKAHASHI = Person(
    "TAKAHASHI^HANAKO=髙橋^花子=タカハシ^ハナコ", "P-123", "19580214", ("1.2.392.5",)
)
HALF = str.maketrans("タカハシナコ", "ﾀｶﾊｼﾅｺ")
HIDING: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "UTF-16": lambda text: text.encode("utf-16-be"),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "base64 of JSON": lambda text: base64.urlsafe_b64encode(
        json.dumps({"type": "record", "person": text}).encode()
    ),
    "base64 of base64": lambda text: base64.b64encode(base64.b64encode((text + "; ").encode() * 9)),
    "a stream of a PDF": lambda text: b"stream\n" + zlib.compress(text.encode()) + b"endstream",
}
SAID = (
    "髙橋花子様", "髙橋　花子", "髙橋^花子", "花子 髙橋", "担当: 髙橋", "タカハシ ハナコ",
    "タカハシ".translate(HALF), "たかはし はなこ", "Takahashi, Hanako", "ＴＡＫＡＨＡＳＨＩ",
    "ID P-123", "Ｐ-１２３", "1958-02-14", "1958年2月14日", "昭和33年2月14日", "S33.2.14",
    "生 19580214", "UID=1.2.392.5",
)  # fmt: skip


@pytest.mark.parametrize("said", SAID)
def test_a_person_is_seen_in_every_writing(said: str) -> None:
    for name, hide in HIDING.items():
        assert scan(hide(said), [TAKAHASHI]), name
    nobody = Person("SATO^KEI=佐藤^慧=サトウ^ケイ", "Q-9", "20010909", ("1.2.3.4",))
    assert scan(said, [nobody]) == []


@pytest.mark.parametrize("encoding", ["cp932", "euc-jp", "iso2022_jp_2"])
def test_older_encodings_are_read_too(encoding: str) -> None:
    person = Person("=山田^太郎=", "x-1", "19490105")
    assert scan("山田太郎".encode(encoding), [person])


def test_there_are_more_than_a_thousand_and_each_is_seen() -> None:
    assert len(EVERY) > 1000
    assert len({one.name for one in EVERY}) == len({one.patient_id for one in EVERY}) == len(EVERY)
    for one in EVERY:
        kanji = one.name.split("=")[1].replace("^", " ")
        kana = unicodedata.normalize("NFKC", one.name.split("=")[2]).replace("^", "")
        text = json.dumps([kanji, kana, one.patient_id, one.birth, *one.uids])
        kinds = {found.split(":")[0] for found in scan(text, [one])}
        assert kinds == {"name", "ID", "birth", "UID"}
