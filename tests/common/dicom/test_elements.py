"""The quick reading of a header: the same as a parser's, or none."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from common.dicom import dataset, elements, testmark
from common.errors import NotDicom

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
REAL = Path(os.environ.get("TODOKE_REAL_DATA", "")) / "dicom"


def image(**values: Any) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    ds.PatientID, ds.PatientBirthDate, ds.InstanceNumber = "0012", "19700101", 7
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored = 2, 2, 16, 12
    ds.HighBit, ds.PixelRepresentation = 11, 0
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.PixelData = b"\0" * 8
    ds["PixelData"].VR = "OW"
    return ds


def written(ds: Dataset, syntax: str, *, undefined: bool = False) -> bytes:
    """Return a data set encoded; its sequences may have undefined lengths."""
    for element in ds.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    out = io.BytesIO()
    implicit = syntax == IMPLICIT
    pydicom.dcmwrite(out, ds, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return out.getvalue()


def agree(whole: bytes, at: int, syntax: str, path: Path) -> elements.Elements | None:
    """Hold what is found quickly against the parser."""
    found = elements.scan(whole, at, syntax, whole=True)
    if found is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header, pixels_at = dataset.open_header(path)
        assert found.pixels_at == (pixels_at if pixels_at < len(whole) else None)
        for keyword in KEYWORDS:
            assert (found.get(keyword) or None) == (header.get(keyword) or None), keyword
        assert found.marked == testmark.is_test_dataset(header)
    return found


KEYWORDS = [keyword for keyword, _ in elements._WANTED.values()]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_are_passed_over_whatever_their_lengths(syntax: str, undefined: bool) -> None:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID, inner.StudyInstanceUID = "9.9", "9.9.9"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    ds = image(ReferencedStudySequence=Sequence([outer]), RequestAttributesSequence=Sequence([]))
    data = written(ds, syntax, undefined=undefined)
    found = elements.scan(data, 0, syntax, whole=True)
    assert found is not None
    assert (found.get("StudyInstanceUID"), found.get("Rows")) == ("1.2.3", 2)
    assert found.pixels_at == len(data) - 8 - (8 if syntax == IMPLICIT else 12)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_mark_is_found(syntax: str) -> None:
    ds = image(SpecificCharacterSet="ISO_IR 192")
    testmark.mark_test_dataset(ds)
    found = elements.scan(written(ds, syntax), 0, syntax, whole=True)
    assert found is not None
    assert found.marked
    plain = elements.scan(written(image(), syntax), 0, syntax, whole=True)
    assert plain is not None
    assert not plain.marked


@pytest.mark.parametrize(
    "values",
    [
        {"PatientID": "髙橋1", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientID": "1\\2"},
        {"StudyInstanceUID": ["1.2", "1.3"]},
        {"Rows": [2, 3]},
    ],
)
def test_what_is_not_plain_is_left_to_a_parser(values: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = written(image(**values), EXPLICIT)
    assert elements.scan(data, 0, EXPLICIT, whole=True) is None


def test_a_cut_or_deep_or_deflated_one_is_left_to_a_parser() -> None:
    data = written(image(), EXPLICIT)
    assert elements.scan(data[:60], 0, EXPLICIT, whole=True) is None
    assert elements.scan(data[:100], 0, EXPLICIT, whole=False) is None
    assert elements.scan(data, 0, "1.2.840.10008.1.2.1.99", whole=True) is None
    assert elements.scan(data, 0, "1.2.840.10008.1.2.2", whole=True) is None
    begin = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    assert elements.scan(begin * 1000, 0, EXPLICIT, whole=True) is None


@given(
    place=st.integers(min_value=0, max_value=400),
    byte=st.integers(min_value=0, max_value=255),
    syntax=st.sampled_from([EXPLICIT, IMPLICIT]),
)
@example(place=4, byte=0, syntax=EXPLICIT)
@example(place=83, byte=83, syntax=EXPLICIT)  # a UID that says it is a number
@example(place=8, byte=32, syntax=EXPLICIT)  # a UID behind a space
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_read_as_a_parser_reads_it_or_not_at_all(
    tmp_path: Path, place: int, byte: int, syntax: str
) -> None:
    prefix = dataset.file_prefix("1.2", "1.2.3.4", syntax)
    data = bytearray(written(image(), syntax))
    data[place % len(data)] = byte
    path = tmp_path / "x.dcm"
    path.write_bytes(prefix + bytes(data))
    # where the parser takes less than is read here, the caller checks the same values
    with contextlib.suppress(NotDicom):
        agree(path.read_bytes(), len(prefix), syntax, path)


@pytest.mark.skipif(not REAL.is_dir(), reason="TODOKE_REAL_DATA names no folder of real samples")
def test_real_headers_are_read_as_a_parser_reads_them() -> None:
    read = total = 0
    for path in sorted(REAL.rglob("*")):
        if not path.is_file():
            continue
        whole = path.read_bytes()
        try:
            part10 = dataset.read_part10(path)
            total += 1
            read += agree(whole, part10.offset, part10.transfer_syntax_uid, path) is not None
        except NotDicom:
            continue
    assert read > total * 0.7, "most are ordinary"
