"""The case of a slide: from the words of a verb to what the headers and the opening say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.dicom import uids
from sender.slides import SlideCase

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
    "study_uid",
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
