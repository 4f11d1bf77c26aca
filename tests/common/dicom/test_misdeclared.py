"""Names by the Japanese character sets: decoded as declared, guessed where that cannot be."""

from __future__ import annotations

import contextlib
import struct
import warnings
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filereader import read_dataset

from common.dicom import misdeclared, person_name
from samples.names import WrittenName, written_names

pytestmark = pytest.mark.evidence

NAME, COMMENT, DESCRIPTION = (0x0010, 0x0010), (0x0010, 0x4000), (0x0008, 0x1030)


def data_set(declared: str | None, raw: bytes, tag: tuple[int, int], vr: bytes) -> Dataset:
    """The bytes of a data set with one element of text, as they lie in a file."""
    elements = [] if declared is None else [((0x0008, 0x0005), b"CS", declared.encode())]
    whole = b""
    for (group, element), kind, value in [*elements, (tag, vr, raw)]:
        padded = value + b" " * (len(value) & 1)
        whole += struct.pack("<HH2sH", group, element, kind, len(padded)) + padded
    return read_dataset(BytesIO(whole), False, True)


def read(declared: str | None, raw: bytes) -> tuple[dict[str, str], bool]:
    """Return the groups of a name, and whether they are a guess."""
    model = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what the bytes are
        ds = data_set(declared, raw, NAME, b"PN")
        raws, charset = misdeclared.raw_texts(ds), misdeclared.charsets(ds)
        with contextlib.suppress(IndexError):  # of a group that 5CH in a kanji has torn
            model["00100010"] = ds[NAME].to_json_dict(lambda _: "", 0)
    guessed = misdeclared.mend(model, raws, charset)
    (value,) = model["00100010"]["Value"]
    return {group: text for group, text in value.items() if text}, bool(guessed)


def groups(text: str) -> dict[str, str]:
    return misdeclared.person_name(text)


@pytest.mark.requirement("CHR-01", "CHR-04")
@pytest.mark.parametrize("written", written_names(), ids=lambda one: one.title)
def test_names_as_the_standard_and_the_field_write_them(written: WrittenName) -> None:
    found = read("\\".join(written.charset), written.raw)
    assert found == (groups(written.text), False)


@pytest.mark.requirement("CHR-01")
@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        ("ISO_IR 6", b"YAMADA^TARO", "YAMADA^TARO"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        ("ISO_IR 192", "=𠮷田^花子".encode(), "=𠮷田^花子"),
        # JIS X 0212 (IR 159) has letters that JIS X 0208 has not; 本 and 旬 hold the byte 5CH
        ("\\ISO 2022 IR 87\\ISO 2022 IR 159", b"=\x1b$B;3K\\\x1b$(D\x22\x6f\x1b(B", "=山本™"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", "Y=山本^旬".encode("iso2022_jp"), "Y=山本^旬"),
    ],
)
def test_each_character_set(declared: str, raw: bytes, text: str) -> None:
    assert read(declared, raw) == (groups(text), False)


@pytest.mark.requirement("CHR-05")
@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        (None, "YAMADA^TARO=山田^太郎".encode("iso2022_jp"), "YAMADA^TARO=山田^太郎"),
        ("ISO_IR 100", "YAMADA^TARO=山田^太郎".encode("cp932"), "YAMADA^TARO=山田^太郎"),
        ("ISO_IR 100", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("cp932"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J", "ﾔﾏﾀﾞ=山田"),
        ("ISO_IR 87", "=山田".encode("iso2022_jp"), "=山田"),
        ("\\ISO_IR 87", "=山田".encode("iso2022_jp"), "=山田"),
        (None, "=髙橋".encode(), "=髙橋"),
        ("ISO_IR 13", "山田^太郎".encode("cp932"), "山田^太郎"),
        ("ISO_IR 192", "山田^太郎".encode("cp932"), "山田^太郎"),
        ("ISO_IR 100", "=髙橋^花子".encode("cp932"), "=髙橋^花子"),
        ("ISO_IR 100", b"=\xf0\x40\x93\x63", "=〓田"),  # a hospital's own letter
    ],
)
def test_wrong_declarations_are_guessed_and_marked(
    declared: str | None, raw: bytes, text: str
) -> None:
    assert read(declared, raw) == (groups(text), True)
    name = person_name.from_json(groups(text), guessed=True)
    assert person_name.marked(name).endswith("(推定)")


@pytest.mark.requirement("CHR-08")
def test_a_yen_sign_separates_values_where_the_vr_has_several() -> None:
    """5CH under ISO-IR 14 (PS3.5 6.1.2.3): a delimiter in LO, a letter in LT, in kanji neither."""
    several = data_set("ISO_IR 13", b"A\\B", DESCRIPTION, b"LO")
    text = data_set("ISO_IR 13", b"A\\B", COMMENT, b"LT")
    kanji = data_set("\\ISO 2022 IR 87", "山本".encode("iso2022_jp"), DESCRIPTION, b"LO")
    assert b"\\" in "本".encode("iso2022_jp")
    assert list(several[DESCRIPTION].value) == ["A", "B"]
    assert text[COMMENT].value == "A\\B"
    assert kanji[DESCRIPTION].value == "山本"


KANJI = st.text(st.sampled_from("山田春子本旬橋崎高渡辺斉藤府如一二太郎花"), min_size=1, max_size=6)
KANA = st.text(st.sampled_from("ﾔﾏﾀﾞﾛｳｶﾅﾊﾙｺﾂｱﾐｸﾎﾝ"), min_size=3, max_size=8)
ROMAJI = st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), max_size=8)


@pytest.mark.requirement("CHR-01")
@given(ROMAJI, KANJI, KANJI)
def test_what_is_declared_rightly_is_never_a_guess(romaji: str, name: str, given: str) -> None:
    text = f"{romaji}={name}^{given}"
    for declared, codec in (("\\ISO 2022 IR 87", "iso2022_jp"), ("ISO_IR 192", "utf-8")):
        assert read(declared, text.encode(codec)) == (groups(text), False)


@pytest.mark.requirement("CHR-05")
@given(ROMAJI, KANJI, KANA)
def test_what_is_declared_wrongly_is_read_all_the_same(romaji: str, name: str, kana: str) -> None:
    text = f"{romaji}={name}"
    for declared, codec in (
        (None, "iso2022_jp"), (None, "utf-8"), (None, "cp932"),
        ("ISO_IR 100", "iso2022_jp"), ("ISO_IR 100", "cp932"), ("ISO_IR 13", "cp932"),
    ):  # fmt: skip
        assert read(declared, text.encode(codec)) == (groups(text), True), (declared, codec)
    assert read("ISO_IR 100", kana.encode("cp932")) == (groups(kana), True)
    assert read("ISO_IR 13", kana.encode("cp932")) == (groups(kana), False)


@given(st.binary(max_size=64), st.lists(st.sampled_from([
    "", "ISO_IR 6", "ISO_IR 13", "ISO_IR 87", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 13",
    "ISO 2022 IR 87", "ISO 2022 IR 159", "GB18030", "x",
]), max_size=3))  # fmt: skip
def test_any_bytes_give_text_or_nothing(raw: bytes, declared: list[str]) -> None:
    found = misdeclared.guess(raw, declared)
    assert found is None or not any(sign < " " for sign in found.rstrip("\0"))
    if raw.isascii() and b"\x1b" not in raw:
        assert found is None
