"""Which case photographs belong to, and that it is one of pathology (DIR-05)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.dicom import uids
from common.errors import InputError, MixedPatients, StillNotPathology, StorageError, TodokeError
from sender import slide_case
from sender.file_names import check_name, printable
from sender.outbox import Instance, Job
from sender.slides.case import SlideCase
from sender.stills.header import KINDS, Kind
from sender.stills.making import kind_of, make

#: Modalities of a case of pathology: slides, and what this room makes (PS3.3 C.7.3.1.1.1).
PATHOLOGY = frozenset({"SM", "GM", "XC"})
_SERIES = {"micro": 101, "gross": 102}  # behind the series of slides
_TOLD = {
    "patient_name": "00100010",
    "patient_id": "00100020",
    "issuer": "00100021",
    "birth_date": "00100030",
    "sex": "00100040",
    "study_uid": "0020000D",
    "study_date": "00080020",
    "study_time": "00080030",
    "accession_number": "00080050",
    "study_description": "00081030",
    "institution_name": "00080080",
}


def given(options: Mapping[str, Any]) -> list[tuple[Kind, Path]]:
    """Return kind and path of what a job names as photographs.

    Raises
    ------
    InputError
        The job names a kind that there is not.
    """
    named = options.get("stills") or {}
    return [(kind_of(name), Path(path)) for name, paths in named.items() for path in paths]


def of_job(
    job: Job, slides: Sequence[SlideCase], studies: Sequence[Mapping[str, Any]]
) -> SlideCase:
    """Return the case that a job's photographs belong to.

    Parameters
    ----------
    slides : sequence of SlideCase
        Of the slides that the job holds too.
    studies : sequence of mapping
        Patient and study level of its DICOM studies, in the DICOM JSON model.

    Raises
    ------
    StillNotPathology
        The job holds images, and none of pathology.
    InputError
        It holds several cases, and nobody says whose the photographs are.
    MixedPatients
        They are given for another patient than the study's.
    """
    case = slide_case.from_options(job.options)
    if len({one.study_uid for one in slides}) > 1:
        raise InputError(cause="photographs of several cases: send each case alone")
    if slides:
        return dataclasses.replace(
            slides[0], series_uid=case.series_uid, uid_seed=case.uid_seed,
            container_id=case.container_id,
            specimen_id="", specimen_uid="", specimen_description="",
        )  # fmt: skip
    if not studies:
        return case
    modalities = {_first(one, "00080060") for one in studies}
    pathology = [one for one in studies if _first(one, "00080060") in PATHOLOGY]
    if not pathology:
        raise StillNotPathology(cause=", ".join(sorted(modalities)))
    if len(pathology) > 1:
        raise InputError(cause="photographs of several cases: send each case alone")
    told = {name: _first(pathology[0], tag) for name, tag in _TOLD.items()}
    if case.patient_id not in {"", told["patient_id"]}:
        raise MixedPatients(count=2)
    return SlideCase.from_json(case.to_json() | told)


def _first(level: Mapping[str, Any], tag: str) -> str:
    value = (level.get(tag, {}).get("Value") or [""])[0]
    if isinstance(value, dict):  # a name, PS3.18 F.2.2
        groups = (value.get(one, "") for one in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(groups).rstrip("=")
    return str(value)


def take(
    job: Job,
    case: SlideCase,
    folder: Path,
    files_below: Callable[[Iterable[Path]], Iterable[str]],
    refused: list[tuple[str, TodokeError]],
) -> list[Instance]:
    """Make the instances of a job's photographs; what is none is refused in words.

    Parameters
    ----------
    folder : Path
        Where the files of this job are to lie.
    refused : list
        Told path and error of each that is not among the instances.
    """
    metadata = bool(job.options.get("still_metadata", True))
    made: list[Instance] = []
    series = {kind: dataclasses.replace(case, series_uid=uids.new_uid()) for kind in KINDS}
    numbers = dict.fromkeys(KINDS, 0)
    for kind, named in given(job.options):
        of_kind = dataclasses.replace(series[kind], series_number=_SERIES[kind])
        for path in files_below([named]):
            numbers[kind] += 1
            try:
                check_name(path)
                made.append(
                    make(Path(path), of_kind, kind, numbers[kind], folder, metadata=metadata)
                )
            except TodokeError as error:
                if isinstance(error, StorageError):
                    raise  # of our own disk: the job is read again when there is room
                refused.append((printable(path), error))
            except OSError as failure:
                cause = InputError(cause=failure.strerror or "cannot be read")
                refused.append((printable(path), cause))
    return made
