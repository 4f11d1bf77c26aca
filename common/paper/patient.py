"""A patient as a document of the hospital's own shows one: by what its images say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_GROUPS = ("Ideographic", "Phonetic", "Alphabetic")  # 漢字, かな, ローマ字
_SEX = {"M": "男", "F": "女", "O": "その他"}


def words(model: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands on a page of a patient, by its label.

    Parameters
    ----------
    model : mapping
        Patient and study level as DICOM JSON (PS3.18 annex F).
    """
    born, sex = _first(model, "00100030"), _first(model, "00100040")
    date = f"{born[:4]}-{born[4:6]}-{born[6:]}" if len(born) == 8 and born.isdigit() else born
    said = {
        "氏名": _name(model),
        "生年月日・性別": "  ".join(filter(None, (date, _SEX.get(sex, sex)))),
        "受付番号": _first(model, "00080050"),
    }
    return {label: value for label, value in said.items() if value}


def _name(model: Mapping[str, Any]) -> str:
    """Return the groups of a name that are there, the one that people read first (PS3.5 6.2)."""
    value = (model.get("00100010") or {}).get("Value") or [{}]
    groups = value[0] if isinstance(value[0], dict) else {"Alphabetic": str(value[0])}
    shown = [str(groups[name]).replace("^", " ").strip() for name in _GROUPS if groups.get(name)]
    first, *others = shown or [""]
    return f"{first} ({' / '.join(others)})" if others else first


def _first(model: Mapping[str, Any], tag: str) -> str:
    value = (model.get(tag) or {}).get("Value") or [""]
    return str(value[0]).strip()
