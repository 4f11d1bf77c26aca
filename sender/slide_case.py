"""The case of a slide: from the words of a verb to what the headers and the opening say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from common.dicom import uids
from common.errors import (
    AlreadySent,
    MixedPatients,
    PatientUnknown,
    RequestUnreadable,
    SlideUnreadable,
    SlideUnsupported,
    SourceChanged,
    TodokeError,
)
from common.states import TransferState
from sender.outbox import fault
from sender.safety import notes
from sender.slides import Slide, SlideCase, open_slide

#: Fields of the case that a verb may give, see :class:`sender.slides.SlideCase`.
GIVEN = (
    "patient_name",
    "patient_id",
    "issuer",
    "birth_date",
    "sex",
    "accession_number",
    "study_description",
    "container_id",
    "institution_name",
    "send_label",
    "send_macro",
    "spacing_um",
    "lossy_codec",
    "lossy_quality",
    "lossy_by",
    "study_uid",
    "study_date",
    "study_time",
    "series_number",
    "series_description",
    "specimen_id",
    "specimen_description",
)


def from_options(options: dict[str, Any]) -> SlideCase:
    """Make a case from a job's options; what nobody gave stays empty, never invented."""
    given = {k: v for k, v in options.get("slide", {}).items() if k in GIVEN and v is not None}
    made = datetime.now().astimezone()
    case: dict[str, Any] = {
        "patient_name": "",
        "patient_id": "",
        "study_uid": uids.new_uid(),
        "series_uid": uids.new_uid(),
        "uid_seed": uids.new_uid(),
        "created": made.strftime("%Y%m%d%H%M%S%z"),
        "study_date": made.strftime("%Y%m%d"),
        "study_time": made.strftime("%H%M%S"),
        **given,
    }
    return SlideCase.from_json(case)


def study_level(case: SlideCase) -> dict[str, Any]:
    """Return patient and study level as DICOM JSON (PS3.18 annex F)."""
    import pydicom

    level = pydicom.Dataset()
    level.StudyDate = case.study_date
    level.StudyTime = case.study_time
    level.AccessionNumber = case.accession_number
    level.Modality = "SM"
    level.InstitutionName = case.institution_name
    level.StudyDescription = case.study_description
    level.PatientName = case.patient_name
    level.PatientID = case.patient_id
    level.IssuerOfPatientID = case.issuer
    level.PatientBirthDate = case.birth_date
    level.PatientSex = case.sex
    level.StudyInstanceUID = case.study_uid
    return dict(level.to_json_dict())


def decided(
    options: dict[str, Any],
    case: SlideCase,
    slide: Slide,
    values: dict[str, Any],
    sent: Callable[[str, str], str | None],
) -> dict[str, Any]:
    """Return what the source and its request decide of a slide's transfer.

    A slide of a watched folder is held where nobody has named its patient, and digested
    before its transfer begins, unless that is urgent: then while it is being sent.

    Parameters
    ----------
    values : dict
        Of the transfer, as the job's options and the rules make it.
    sent : callable
        As for :func:`sender.ingest.scan`.

    Raises
    ------
    AlreadySent, SourceChanged
    """
    made: dict[str, Any] = {}
    said: dict[str, Any] = {}
    if attested := _attested(options, case, slide):
        said["spacing"] = attested
    if noted := notes.made(_encoded_again(slide)):
        said[notes.KEY] = noted
    if said:
        made["request"] = json.dumps(json.loads(values["request"]) | said, ensure_ascii=False)
    watched = options.get("watched")
    if watched is None:
        return made
    if (failure := _held_for(watched, case, slide)) is not None:
        return made | {"state": TransferState.HELD, "error": fault(failure)}
    if values["priority"] != "urgent":
        digest = slide.file_digest()
        slide.check()
        if (before := sent(digest, case.patient_id)) is not None:
            raise AlreadySent(transfer=before[:8])
        made["source_sha256"] = digest
    return made


def _held_for(watched: dict[str, Any], case: SlideCase, slide: Slide) -> TodokeError | None:
    if wrong := watched.get("wrong"):
        return RequestUnreadable(**wrong)
    if not case.patient_id:
        return PatientUnknown(path=slide.path.name)
    if watched.get("patients", 1) > 1:
        return MixedPatients(count=watched["patients"])
    return None


def _encoded_again(slide: Slide) -> list[str]:
    """Return for each picture that is coded again, and not as it is stored, which way that is."""
    return [
        notes.ENCODED_WITH_LOSS if one.recoded is not None else notes.ENCODED_AGAIN
        for one in slide.instances
        if one.encoding == "reencoded"
    ]


def _attested(options: dict[str, Any], case: SlideCase, slide: Slide) -> dict[str, Any] | None:
    """Return the pixel size and who attests it, where the file holds none of its own."""
    if case.spacing_um is None:
        return None
    without = SlideCase.from_json(case.to_json() | {"spacing_um": None})
    try:
        open_slide(slide.path, without).close()
    except SlideUnsupported:  # it was opened a moment ago: this is what it lacked
        by = options.get("slide", {}).get("spacing_by") or "sender"
        return {"um": case.spacing_um, "by": by}
    except SlideUnreadable as failure:
        raise SourceChanged(path=slide.path) from failure
    return None
