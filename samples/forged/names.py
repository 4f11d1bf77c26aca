"""Names whose bytes are not what is declared, names that are right, and files in disguise."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from samples.forged.base import ct, first, named
from samples.forged.case import Files
from samples.names import KANJI, TAKAHASHI, Patient, WrittenName, written_names
from samples.study import Study, encode

_H31, _H32 = written_names()[0].raw, written_names()[1].raw
_NO_TERM: Final = "ISO_IR 87"  # only ISO 2022 IR 87 is a Defined Term (PS3.3 C.12.1.1.2)
#: What stands in the name, and what is declared (None: nothing).
MISDECLARED: Final[dict[str, tuple[str | None, bytes]]] = {
    "none": (None, _H31),
    "sjis": ("ISO_IR 100", "YAMADA^TARO=山田^太郎".encode("shift_jis")),
    "kana": ("\\".join(KANJI), _H32),
    "ir87": (_NO_TERM, _H31),
}
SUPPLEMENT: Final = ("", "ISO 2022 IR 87", "ISO 2022 IR 159")
OUGAI: Final = WrittenName(
    "JIS X 0212",
    SUPPLEMENT,
    "MORI^OUGAI=森^鷗外=もり^おうがい",
    b"MORI^OUGAI=\x1b$B?9\x1b(B^\x1b$(Dl?\x1b$B30\x1b(B=\x1b$B$b$j\x1b(B^\x1b$B$*$&$,$$\x1b(B",
)
"""鷗 stands in JIS X 0212 only; both sets are designated to G0 by escapes (PS3.5 H.1.1)."""
RIGHT: Final[dict[str, WrittenName]] = dict(
    zip(
        ("h31", "h32", "empty-first", "kana-only", "takahashi", "yamazaki", "yoshida"),
        written_names(),
        strict=True,
    )
) | {"ougai": OUGAI}
TITLES: Final = {
    "h31": ("PS3.5 H.3.1 の例", "the example of PS3.5 H.3.1"),
    "h32": ("PS3.5 H.3.2 の例 (半角カナ)", "the example of PS3.5 H.3.2, half-width kana"),
    "empty-first": ("ローマ字なし、半角カナ", "no romaji, half-width kana"),
    "kana-only": ("カナだけ", "kana only"),
    "takahashi": ("髙橋 (UTF-8)", "髙橋 (UTF-8)"),
    "yamazaki": ("山﨑 (UTF-8)", "山﨑 (UTF-8)"),
    "yoshida": ("𠮷田 (UTF-8、4バイト)", "𠮷田 (UTF-8, four bytes)"),
    "ougai": ("鷗外 (補助漢字)", "鷗外 (JIS X 0212)"),
}
PREAMBLES: Final = {
    "pe": b"MZ\x90\0",
    "elf": b"\x7fELF\x02\x01\x01",
    "macho": b"\xcf\xfa\xed\xfe",
    "script": b"#!/bin/sh\nexit 0\n",
    "tiff": b"II*\0",
}


def preamble(study: Study, kind: str) -> Files:
    """Write files whose 128 bytes of preamble make them look like something else."""
    for name, file in named(ct(study)):
        yield name, PREAMBLES[kind].ljust(128, b"\0") + file[128:]


def misdeclared(study: Study, kind: str) -> Files:
    """Write a name whose bytes are not in the character set that is declared."""
    declared, raw = MISDECLARED[kind]
    if declared == _NO_TERM:  # pydicom would not write it: in the place of one as long
        file = _raw_name(study, "ISO_IR 100", raw)
        yield "IM0001.dcm", file.replace(b"ISO_IR 100", _NO_TERM.encode().ljust(10), 1)
    else:
        yield "IM0001.dcm", _raw_name(study, declared, raw)


def _raw_name(study: Study, declared: str | None, raw: bytes) -> bytes:
    """Return a CT file that is ASCII but for the bytes of its Patient's Name."""
    ds = first(study)
    ds.StudyDescription, ds.InstitutionalDepartmentName, ds.PatientComments = "TEST", "TEST", "TEST"
    ds[0x0011, 0x1001].value = "TEST"
    ds.SpecificCharacterSet = "ISO_IR 6" if declared is None else declared
    marker = b"@" * (len(raw) + len(raw) % 2)
    ds.PatientName = marker.decode()
    if declared is None:
        del ds.SpecificCharacterSet
    return encode(ds).replace(marker, raw.ljust(len(marker)), 1)


def written(study: Study, kind: str) -> Files:
    """Write a name whose bytes are what is declared, as the standard's examples have them."""
    name = RIGHT[kind]
    yield "IM0001.dcm", _raw_name(study, "\\".join(name.charset), name.raw)


def patient_of(kind: str) -> Patient:
    """Return the invented person of a name that is right."""
    name = RIGHT[kind]
    number = 101 + list(RIGHT).index(kind)
    return Patient(kind, name.text, f"TEST-{number:04d}", "19500505", "O", name.charset)


def other_issuer(patient: Patient = TAKAHASHI) -> Patient:
    """Return someone else with the same Patient ID, of another hospital (CHR-07)."""
    return replace(patient, name="SATO^JIRO", issuer="TODOKE-TEST-2", birth_date="19900101")


def other_birth(patient: Patient = TAKAHASHI) -> Patient:
    """Return someone whose Patient ID was given out twice: only the birth date differs."""
    return replace(patient, birth_date="19880214")
