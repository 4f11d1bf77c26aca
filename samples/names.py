"""Invented people and the ways their names are written in Japan.

The three groups of a Person Name are alphabetic, ideographic and phonetic
(PS3.5 section 6.2.1.2).  髙, 﨑 and 𠮷 stand in no JIS X 0208 table, so these
names can only be written in UTF-8 (ISO_IR 192); 𠮷 needs four bytes there.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Final

UTF8: Final = ("ISO_IR 192",)
KANJI: Final = ("", "ISO 2022 IR 87")
KANJI_AND_KANA: Final = ("ISO 2022 IR 13", "ISO 2022 IR 87")


@dataclass(frozen=True, slots=True)
class Patient:
    """One invented person.

    Attributes
    ----------
    slug
        Plain ASCII word for folders.
    name
        Person Name, three groups.
    charset
        Specific Character Set (0008,0005) the person's images are written in.
    birth_date
        DICOM DA.
    sex
        'F' or 'M'.
    issuer
        Issuer of Patient ID (0010,0021): an ID means nothing without it.
    """

    slug: str
    name: str
    patient_id: str
    birth_date: str
    sex: str
    charset: tuple[str, ...] = UTF8
    issuer: str = "TODOKE-TEST"

    @property
    def code(self) -> int:
        """The 16 bits that stand for this person inside the pixels."""
        return patient_code(self.issuer, self.patient_id)


def patient_code(issuer: str, patient_id: str) -> int:
    """Return CRC-16/XMODEM over ``issuer|patient_id`` in UTF-8, the code inside the pixels."""
    return binascii.crc_hqx(f"{issuer}|{patient_id}".encode(), 0)


TAKAHASHI: Final = Patient(
    "takahashi", "TAKAHASHI^HANAKO=髙橋^花子=タカハシ^ハナコ", "TEST-0001", "19580214", "F"
)
YAMAZAKI: Final = Patient(
    "yamazaki", "YAMAZAKI^ICHIRO=山﨑^一郎=ヤマザキ^イチロウ", "TEST-0002", "19721103", "M"
)
YOSHIDA: Final = Patient(
    "yoshida", "YOSHIDA^SAKURA=𠮷田^さくら=ヨシダ^サクラ", "TEST-0003", "19650730", "F"
)
YAMADA: Final = Patient(
    "yamada", "YAMADA^TARO=山田^太郎=ヤマダ^タロウ", "TEST-0004", "19490105", "M", KANJI
)
PATIENTS: Final = (TAKAHASHI, YAMAZAKI, YOSHIDA, YAMADA)


@dataclass(frozen=True, slots=True)
class WrittenName:
    """One form of a name met in Japanese hospitals: charset, text, and its bytes."""

    title: str
    charset: tuple[str, ...]
    text: str
    raw: bytes


def written_names() -> tuple[WrittenName, ...]:
    """Return the forms of names a display must take, each with the bytes it stands in.

    The first two are the worked examples of PS3.5 H.3.1 and H.3.2; the rest are
    forms seen in the field: no romaji, half-width kana, kana only (CHR-04), and the
    letters beyond JIS (CHR-03).
    """
    kana = "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"
    empty = "=日赤^太郎=ﾆｯｾｷ^ﾀﾛｳ"
    return (
        WrittenName(
            "PS3.5 H.3.1",
            KANJI,
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        ),
        WrittenName(
            "PS3.5 H.3.2",
            KANJI_AND_KANA,
            kana,
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        ),
        WrittenName(
            "empty first group, half-width kana",
            KANJI_AND_KANA,
            empty,
            b"=\x1b$BF|@V\x1b(J^\x1b$BB@O:\x1b(J=\xc6\xaf\xbe\xb7^\xc0\xdb\xb3",
        ),
        WrittenName("kana only", UTF8, "==ヤマダ^タロウ", "==ヤマダ^タロウ".encode()),
        *(
            WrittenName(f"beyond JIS: {one.slug}", UTF8, one.name, one.name.encode())
            for one in (TAKAHASHI, YAMAZAKI, YOSHIDA)
        ),
    )
