"""Whether two ends of a sentence speak of one patient (DAT-04)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Patient ID, its issuer, birth date: what tells two patients apart.
PATIENT = ("00100020", "00100021", "00100030")


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
    return contradict({tag: first(one, tag) for tag in PATIENT}, other)
