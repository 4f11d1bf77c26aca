"""A scanned request form (依頼票, PDF) as an Encapsulated PDF instance of its study (UX-03).

The bytes of the PDF stand in the instance as they were.  It is an accessory: it never
makes a study one of images (PS3.3 A.45.1, C.8.6.1, C.24.2).
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from common import durable, request
from common.dicom import dataset, uids
from common.dicom.testmark import mark_test_dataset
from common.errors import RequestUnreadable
from sender.outbox import Instance, stamp
from sender.slides.elements import put, written

EXPLICIT_LE = "1.2.840.10008.1.2.1"
SERIES = 901  # behind everything that a scanner numbers
_TAIL = 2048  # bytes in which a PDF ends
_ENDS = re.compile(rb"startxref\s+\d+\s+%%EOF", re.ASCII)
#: Patient and study level, as the images of the study have them.
_KEPT = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription",
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyID",
)  # fmt: skip
_EMPTY = (  # of type 2, where the study does not say
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName",
    "PatientID", "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip


def read(path: Path) -> bytes:
    """Return the bytes of a request form.

    Raises
    ------
    RequestUnreadable
        It is no PDF, or larger than a form may be.
    """
    try:
        with path.open("rb") as file:
            data = file.read(request.LARGEST_FORM + 1)
    except OSError as failure:
        raise RequestUnreadable(place=path.name, cause=failure.strerror) from failure
    if len(data) > request.LARGEST_FORM:
        raise RequestUnreadable(place=path.name, cause=f"> {request.LARGEST_FORM >> 20} MiB")
    # ISO 32000-1 sections 7.5.2, 7.5.5; what is DICOM as well would be read in two ways
    if (
        not data.startswith(b"%PDF-")
        or not _ENDS.search(data[-_TAIL:])
        or data[dataset.PREAMBLE : dataset.PREAMBLE + 4] == b"DICM"
    ):
        raise RequestUnreadable(place=path.name, cause="PDF ではありません / no PDF")
    return data


def make(
    path: Path, level: Mapping[str, Any], number: int, folder: Path, *, test: bool = False
) -> tuple[Instance, dict[str, Any]]:
    """Make the instance of a request form.

    Parameters
    ----------
    level : mapping
        Patient and study level of its study, in the DICOM JSON model.
    number : int
        1-based, of the forms of the study.
    folder : Path
        Where the file is to lie.

    Returns
    -------
    Instance
    dict
        What the request says of it: ``uid``, ``sha256`` and ``length`` of the PDF.

    Raises
    ------
    RequestUnreadable, InputError, StorageError
    """
    data = read(path)
    try:
        study = Dataset.from_json(dict(level))
    except Exception as failure:  # pydicom raises anything on unusual values
        raise RequestUnreadable(place=path.name, cause=type(failure).__name__) from failure
    series, uid = uids.new_uid(), uids.new_uid()
    header = _header(study, series, uid, number)
    put(header, "EncapsulatedDocument", data + b"\0" * (len(data) % 2))
    put(header, "EncapsulatedDocumentLength", len(data))
    if test:
        mark_test_dataset(header)
    body = written(header)
    prefix = dataset.file_prefix(request.PDF, uid, EXPLICIT_LE)
    final = folder / f"form-{hashlib.sha256(uid.encode()).hexdigest()[:32]}.dcm"
    durable.save(final, prefix + body, private=True)
    made = Instance(
        uid, request.PDF, EXPLICIT_LE, series, number,
        str(final.absolute()), len(prefix), len(body), *stamp(final.stat()), role="accessory",
    )  # fmt: skip
    said = {"uid": uid, "sha256": hashlib.sha256(data).hexdigest(), "length": len(data)}
    return made, said


def _header(study: Dataset, series: str, uid: str, number: int) -> Dataset:
    now = datetime.now().astimezone()
    header = Dataset()
    put(header, "SpecificCharacterSet", "ISO_IR 192")
    for keyword in _KEPT:
        if keyword in study:
            header[keyword] = copy.copy(study[keyword])
    for keyword, value in {
        "SOPClassUID": request.PDF,
        "SOPInstanceUID": uid,
        "SeriesInstanceUID": series,
        "SeriesNumber": SERIES,
        "SeriesDescription": "依頼票 / request form",
        "Modality": "DOC",
        "InstanceNumber": number,
        "ConversionType": "SD",  # scanned document, PS3.3 C.8.6.1
        "Manufacturer": "todoke",
        "ManufacturerModelName": "todoke sender",
        "ContentDate": now.strftime("%Y%m%d"),
        "ContentTime": now.strftime("%H%M%S"),
        "AcquisitionDateTime": None,
        "BurnedInAnnotation": "YES",  # it is a form with a patient's name
        "DocumentTitle": "依頼票",
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
    }.items():
        put(header, keyword, value)
    for keyword in _EMPTY:
        if keyword not in header:
            put(header, keyword, None)  # type 2
    put(header, "ConceptNameCodeSequence", [])
    return header
