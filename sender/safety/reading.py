"""The patient of a transfer as its sender reads it, with what is a guess marked 推定."""

from __future__ import annotations

from typing import Any

from common.dicom import patient, person_name


def of(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return name, ID, issuer and birth date of a patient level in DICOM JSON.

    For the person who sends: neither a log nor what watches over the sender gets it.
    """
    values = attributes.get(person_name.PATIENT_NAME, {}).get("Value") or [None]
    guessed = person_name.PATIENT_NAME in attributes.get(person_name.GUESSED, [])
    name = person_name.from_json(values[0], guessed=guessed)
    number, issuer, born = patient.of_model(attributes)
    return {
        "name": person_name.marked(name),
        **name.as_json(),
        "id": number,
        "issuer": issuer,
        "birth_date": born,
    }
