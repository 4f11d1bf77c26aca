"""Which patient an instance is of: Patient ID, who issued it, and the day of birth (DAT-04).

A Patient ID means nothing without its issuer (CHR-07): (0010,0021) names it, or, where
that is absent, the universal identifier in (0010,0024) (PS3.3 C.7.1.1).  Padding says
nothing (PS3.5 section 6.2: leading and trailing spaces of LO and SH are not
significant); letters, their case and leading zeros do, for two hospitals' systems use
them to tell two people apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

#: What tells two patients apart, as DICOM keywords.
TELLING = ("PatientID", "IssuerOfPatientID", "PatientBirthDate")
_WORDS = {
    "PatientID": "患者ID / Patient ID",
    "IssuerOfPatientID": "患者IDの発行者 / its issuer",
    "PatientBirthDate": "生年月日 / birth date",
}
_TAGS = ("00100020", "00100021", "00100030")
_QUALIFIERS, _UNIVERSAL = "00100024", "00400032"

Patient = tuple[str, str, str]


def plain(value: Any) -> str:
    """Return an identifier without its padding."""
    return str(value or "").strip(" \0\t")


def born(value: Any) -> str:
    """Return DA without padding, nor the dots that ACR-NEMA had in it (PS3.5 section 6.2)."""
    date = plain(value)
    return date.replace(".", "") if re.fullmatch(r"\d{4}\.\d\d\.\d\d", date) else date


def of_values(values: Mapping[str, Any] | Any) -> Patient:
    """Return the patient of what has values by DICOM keyword; "" where it does not say."""
    issuer = plain(values.get("IssuerOfPatientID")) or _qualified(
        values.get("IssuerOfPatientIDQualifiersSequence")
    )
    return plain(values.get("PatientID")), issuer, born(values.get("PatientBirthDate"))


def of_model(model: Mapping[str, Any]) -> Patient:
    """Return the patient of a DICOM JSON model (PS3.18 annex F); "" where it does not say."""
    number, issuer, birth = (_first(model, tag) for tag in _TAGS)
    if not plain(issuer) and isinstance(inner := _first(model, _QUALIFIERS), Mapping):
        issuer = _first(inner, _UNIVERSAL)
    return plain(number), plain(issuer), born(birth)


def _qualified(items: Any) -> str:
    return plain(items[0].get("UniversalEntityID")) if items else ""


def _first(model: Mapping[str, Any], tag: str) -> Any:
    element = model.get(tag)
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values[0] if isinstance(values, list) and values else None


def contradict(one: Patient, other: Patient) -> bool:
    """Whether two cannot be one patient; what one of them does not say contradicts nothing."""
    return any(a and b and a != b for a, b in zip(one, other, strict=True))


def differing(patients: Iterable[Patient]) -> list[str]:
    """Return the keywords of :data:`TELLING` in which patients differ."""
    columns = list(zip(*patients, strict=True))
    return [name for name, values in zip(TELLING, columns, strict=False) if len(set(values)) > 1]


def spelt(patients: Iterable[Patient]) -> bool:
    """Whether patients differ only in letter case, width, or zeros ahead of the number.

    That may be one person in two spellings as well as two people: a person has to say.
    """
    folded = {tuple(_folded(value) for value in one) for one in patients}
    return len(folded) == 1


def _folded(value: str) -> str:
    return unicodedata.normalize("NFKC", value).casefold().lstrip("0")


def words(keywords: Iterable[str]) -> str:
    """Return keywords of :data:`TELLING` as a person reads them, in both languages."""
    return ", ".join(_WORDS[keyword] for keyword in keywords)
