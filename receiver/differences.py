"""Where what was asked names another person than the images do (CHR-06).

The patient's number and birth date are compared before anything is listed (DAT-04); an
announcement, though, is typed before there are images, and gives way to what they say.
What it said otherwise is kept beside the study, so that a reader sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import request
from common.dicom import patient, person_name
from receiver.attributes import first

#: Key beside the tags of a study: what the request said otherwise, by :data:`NAMES`.
DIFFERS = "differs"
NAMES = ("id", "name", "birth_date", "sex")
_SEX = "00100040"


def differing(told: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """Return what a request says of the patient that the images do not, by :data:`NAMES`.

    Parameters
    ----------
    told, here : mapping
        Patient and study level as DICOM JSON (PS3.18 annex F), of the opening and of an
        image.  What one of them does not say is no difference; nor are case, width and
        kana of a name, nor a group of it that only one has (PS3.5 section 6.2.1.2).
    """
    asked, seen = patient.of_model(told), patient.of_model(here)
    found = {"id": _other(asked[0], seen[0]), "birth_date": _other(asked[2], seen[2])}
    found["sex"] = _other(*(str(first(dict(one), _SEX) or "").strip() for one in (told, here)))
    found["name"] = next(
        (said for said, group in zip(_groups(told), _groups(here), strict=True)
         if said and group and _plain(said) != _plain(group)),
        "",
    )  # fmt: skip
    return {name: found[name] for name in NAMES if found[name]}


def kept(told: Mapping[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """Return a study's model with what a request said otherwise beside it."""
    found = differing(told, here)
    return here | {DIFFERS: found} if found else here


def _other(asked: str, seen: str) -> str:
    return asked if asked and seen and asked != seen else ""


def _groups(model: Mapping[str, Any]) -> tuple[str, str, str]:
    name = person_name.from_json(first(dict(model), person_name.PATIENT_NAME))
    return name.ideographic or "", name.phonetic or "", name.alphabetic or ""


def _plain(group: str) -> str:
    return " ".join(request.fold(group).replace("^", " ").split())
