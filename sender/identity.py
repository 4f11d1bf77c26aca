"""What a file says it is: read from its first bytes, before anything is owed or sent.

Thousands of slices are read before the first is sent (a study of two patients
must not begin), so only what tells instances, studies and patients apart is
looked at here.  Digests are taken while the bytes are read for sending.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common import durable
from common.dicom import burned_in, dataset, digest, elements, patient, testmark
from common.dicom.patient import Patient
from common.errors import NotAnImage, NotDicom, ProgramToo
from sender import facts
from sender.facts import Facts
from sender.outbox import Instance, stamp
from sender.safety import notes, preamble

DICOMDIR = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage, PS3.4 annex I
_FIRST = 1 << 14  # bytes that hold most headers
_PATIENT = (*patient.TELLING, "IssuerOfPatientIDQualifiersSequence")
_DESCRIBING = (  # what D3 says of the samples
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
)  # fmt: skip
_COMPLETE = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_TOLD = (
    "SOPClassUID",
    "Modality",
    "LossyImageCompression",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "BitsStored",
    "Rows",
)
_JUDGED = ("Modality", "LossyImageCompression")
_ASKED = (*_COMPLETE, *_PATIENT, *_DESCRIBING, *_JUDGED, "InstanceNumber", "BurnedInAnnotation")
#: What the rules look at besides, read in the same pass.
BESIDES = elements.besides((*facts.VALUES, *facts.PRESENT))
_JPEG = "1.2.840.10008.1.2.4."
_WAVELETS = {_JPEG + tail for tail in ("90", "91", "201", "202", "203")}  # JPEG 2000, HTJ2K
_EXIF = b"Exif\0\0"
_CAMERA = 1 << 12  # bytes of a codestream in which a camera's words begin
_facts: dict[tuple[object, ...], Facts] = {}  # thousands of slices say the same
_MOST_FACTS = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """One DICOM file.

    Attributes
    ----------
    study : str
        Study Instance UID.
    patient : tuple of str
        Patient ID, its issuer and birth date: what tells two patients apart (DAT-04).
    marked : bool
        It carries the mark 試験.
    facts : Facts
        What the rules of direct transmission look at.
    noted : tuple of str
        What a person has to know of it (:mod:`sender.safety.notes`).
    """

    instance: Instance
    study: str
    patient: Patient
    marked: bool
    facts: Facts
    noted: tuple[str, ...] = ()


def read(path: str) -> Identity | None:
    """Read what a file is.

    Returns
    -------
    Identity or None
        None for what is no Part 10 file.

    Raises
    ------
    NotDicom
        It says it is one, and is not sound.
    ProgramToo
        Its preamble makes it a program or a document too.
    NotAnImage
        It is a DICOMDIR.
    OSError
        It cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        start = durable.read_at(fd, _FIRST, 0)
        if start[dataset.PREAMBLE : dataset.PREAMBLE + 4] != b"DICM":
            return None
        return _identity(path, fd, start)
    finally:
        os.close(fd)


def _identity(path: str, fd: int, start: bytes) -> Identity:
    known = os.fstat(fd)
    try:
        part10 = dataset.part10_of(start, known.st_size)
    except NotDicom:  # a long group 0002
        part10 = dataset.read_part10(Path(path))
    if (kind := preamble.program(start)) is not None:
        raise ProgramToo(cause=kind)
    if part10.sop_class_uid == DICOMDIR:
        raise NotAnImage(cause="DICOMDIR")
    syntax, whole = part10.transfer_syntax_uid, known.st_size == len(start)
    found = elements.scan(start, part10.offset, syntax, whole=whole, also=BESIDES)
    if found is None or not all(found.get(keyword) for keyword in _COMPLETE):
        found = _parsed(path)
    pixels_at = len(start) if found.pixels_at is None else found.pixels_at
    # one whose pixels are cut is refused here, alone, and not by the receiver with its study
    dataset.pixels_in(partial(_bytes, fd, start), pixels_at, known.st_size, syntax)
    instance, study = _instance(path, part10, found, known), str(found.get("StudyInstanceUID"))
    burned = burned_in.finding(instance.sop_class, found.get("BurnedInAnnotation"))
    noted = [notes.TIFF_TOO] if preamble.tiff(start) else []
    noted += [burned] if burned else []
    judged = _facts_of(found, syntax, start[pixels_at : pixels_at + _CAMERA])
    of = patient.of_values(found)
    return Identity(instance, study, of, found.marked, judged, tuple(noted))


def _facts_of(found: elements.Elements, syntax: str, pixels: bytes) -> Facts:
    """Return the facts of a file: one and the same object for what says the same."""
    exif = syntax.startswith(_JPEG) and _EXIF in pixels
    lost = syntax in _WAVELETS and facts.loses(pixels)
    values, raw = found.values, found.raw
    key = (syntax, exif, lost, *map(values.get, _TOLD), *raw, *raw.values())
    known = _facts.get(key)
    if known is None:
        if len(_facts) >= _MOST_FACTS:
            _facts.clear()
        made = facts.of_values(values, raw, syntax, exif=exif, irreversible=lost)
        known = _facts[key] = next((one for one in _facts.values() if one == made), made)
    return known


def _bytes(fd: int, start: bytes, size: int, at: int) -> bytes:
    """Return bytes of a file whose beginning is at hand."""
    return start[at : at + size] if at + size <= len(start) else durable.read_at(fd, size, at)


def _parsed(path: str) -> elements.Elements:
    """Read an unusual header with a parser, every value that is asked for later.

    Raises
    ------
    NotDicom
        A value cannot be read as its VR says.
    """
    header, pixels_at = dataset.open_header(Path(path))
    try:
        raw = {tag: _raw(header.get_item(tag)) for tag in BESIDES.values() if tag in header}
        values = {keyword: header.get(keyword) for keyword in _ASKED}
        marked = testmark.is_test_dataset(header)
    except Exception as failure:  # pydicom reads values late, and raises anything
        raise NotDicom(cause=type(failure).__name__) from failure
    for keyword in _DESCRIBING:
        if not isinstance(values[keyword], int | str | None):
            raise NotDicom(cause=f"{keyword}: several values")
    return elements.Elements(values, pixels_at, marked, raw)


def _raw(element: Any) -> bytes:
    """Return a value as it lies in the file; what is not plain bytes there has at least some."""
    value = element.value
    return value if isinstance(value, bytes) else b"?" if value else b""


def _instance(
    path: str, part10: dataset.Part10, header: dataset.Values, known: os.stat_result
) -> Instance:
    return Instance(
        str(header.get("SOPInstanceUID")),
        str(header.get("SOPClassUID") or ""),
        part10.transfer_syntax_uid,
        str(header.get("SeriesInstanceUID")),
        dataset.instance_number(header),
        os.path.abspath(path),  # noqa: PTH100 - links are not followed
        part10.offset,
        part10.length,
        *stamp(known),
    )


def d1(instance: Instance) -> str:
    """Return D1 of an instance's file.

    Raises
    ------
    NotDicom
        It has become shorter.
    """
    fd = durable.open_file(Path(instance.path))
    try:
        if os.fstat(fd).st_size < instance.offset + instance.length:
            raise NotDicom(cause="shorter than it was")
        return digest.sha256(digest.pieces(fd, instance.offset, instance.length))
    finally:
        os.close(fd)
