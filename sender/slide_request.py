"""What is asked for a slide of a watched folder: from the words of a request to a job's options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import request
from common.errors import RequestUnreadable, UsageError
from sender.requests import values

if TYPE_CHECKING:
    from sender.outbox import Outbox

#: Columns that are told to the reader with the opening (RAD-01, WSI-09).
TOLD = (*request.MOST, "intraoperative")
#: Columns that go into the headers as they are.
HEADER = (
    "patient_id", "birth_date", "sex", "accession_number", "container_id", "specimen_description",
)  # fmt: skip


def options(
    outbox: Outbox,
    root: Path,
    case: str | None,
    words: Mapping[str, Any],
    base: dict[str, Any],
) -> dict[str, Any]:
    """Return the options of the job of one slide.

    Parameters
    ----------
    root : Path
        The watched folder, within which names of cases are unique.
    case : str or None
        The slide's case, where folder or file name gives it.
    words : mapping
        By the keys of :data:`sender.requests.values.COLUMNS`.
    base : dict
        Options that hold for every slide of the folder.
    """
    slide = dict(base.get("slide", {})) | of_words(words)
    told = {key: words[key] for key in TOLD if words.get(key)}
    asked = {**base.get("request", {}), **told}
    if (um := words.get("spacing_um")) is not None:
        slide["spacing_um"], slide["spacing_by"] = um, words.get("spacing_by", "request file")
    described = [str(words[key]) for key in ("container_id", "stain") if words.get(key)]
    if described:
        slide["series_description"] = " ".join(described)[:64].strip()
    made = {**base, "slide": slide, "request": asked}
    made |= {key: words[key] for key in ("priority", "purpose") if words.get(key)}
    watched: dict[str, Any] = {"root": str(root), "case": case, "words": dict(words)}
    patient = slide.get("patient_id", "")
    name_of_case = case or words.get("case") or words.get("accession_number")
    if patient and name_of_case:
        study = outbox.case(str(root), str(name_of_case), patient)
        slide |= {
            "study_uid": study.study,
            "study_date": study.created[:8],
            "study_time": study.created[8:14],
            "series_number": study.number,
        }
        watched["patients"] = study.patients
    return {**made, "watched": watched}


def of_words(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes into the headers of a slide as it is said."""
    slide = {key: words[key] for key in HEADER if words.get(key)}
    if name := values.person_name(words):
        slide["patient_name"] = name
    return slide


def wrong(base: dict[str, Any], failure: RequestUnreadable, **watched: Any) -> dict[str, Any]:
    """Return the options of a slide of which the request cannot be used."""
    said = {key: str(value) for key, value in failure.facts.items()}
    return {**base, "watched": {**watched, "wrong": said}}


def typed(given: Mapping[str, str | float | None]) -> dict[str, Any]:
    """Return the words that a person typed, held to the same rules as a file's.

    Raises
    ------
    UsageError
        One cannot be what it is given as.
    """
    words: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        column = next(one for one in values.COLUMNS if one.key == key)
        try:
            read = values.read(column, str(value))
        except values.Wrong as failure:
            raise UsageError(cause=f"--{key.replace('_', '-')}: {failure}") from failure
        if read is not None:
            words |= {key: read} | values.more(column, str(value))
    return words
