"""What pages say of a study's patient and times, from its DICOM JSON model."""

from __future__ import annotations

import re
from typing import Any

from common.dicom import patient as identity
from common.dicom import person_name
from receiver.attributes import GUESSED, first
from receiver.differences import DIFFERS


def patient(model: dict[str, Any], institution: str, study_date: str | None) -> dict[str, Any]:
    """Return the patient of a study as the web API has it."""
    guessed = person_name.PATIENT_NAME in model.get(GUESSED, [])
    name = person_name.from_json(first(model, person_name.PATIENT_NAME), guessed=guessed)
    born = date(first(model, "00100030"))
    return {
        "id": first(model, "00100020") or "",
        "issuer": institution,
        "issued_by": identity.of_model(model)[1],
        **name.as_json(),
        "birth_date": born,
        "sex": first(model, "00100040") or "",
        "age": _age(born, study_date),
        **({"differs": model[DIFFERS]} if DIFFERS in model else {}),
    }


def described(model: dict[str, Any]) -> str:
    """Return the study's description, marked where its letters are a guess."""
    words = str(first(model, "00081030") or "")
    return f"{words} (推定)" if words and "00081030" in model.get(GUESSED, []) else words


def date(value: Any) -> str | None:
    """Return a DICOM date as YYYY-MM-DD, None where it is none."""
    found = re.fullmatch(r"(\d{4})\.?(\d\d)\.?(\d\d)", str(value or "").strip())
    return "-".join(found.groups()) if found else None


def time(value: Any) -> str | None:
    """Return a DICOM time as HH:MM:SS, None where it is none."""
    found = re.match(r"(\d\d)(\d\d)?(\d\d)?", str(value or ""))
    return ":".join(part or "00" for part in found.groups()) if found else None


def _age(born: str | None, on: str | None) -> int | None:
    """Return full years between two dates."""
    if born is None or on is None or on < born:
        return None
    return int(on[:4]) - int(born[:4]) - (on[5:] < born[5:])
