"""Whether words and images, or two studies, can be of one patient (DAT-04)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.dicom import patient

PATIENT_ID = "00100020"


def first(level: Mapping[str, Any], tag: str) -> str:
    """Return the first value of an element of the DICOM JSON model as text, "" without one."""
    values = level.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip()


def contradict(said: Mapping[str, Any], level: Mapping[str, Any]) -> bool:
    """Tell whether words are of another patient than a study; what is not said is no word."""
    return any(
        value and first(level, tag) and str(value).strip() != first(level, tag)
        for tag, value in said.items()
    )


def disagree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two models are of two patients."""
    return patient.contradict(patient.of_model(one), patient.of_model(other))
