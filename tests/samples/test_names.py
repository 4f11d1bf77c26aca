from __future__ import annotations

import io

import pydicom
import pytest
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from common.errors import InputError
from samples.names import KANJI, PATIENTS, TAKAHASHI, UTF8, Patient, WrittenName, written_names
from samples.study import Study, describe, encode


def written(patient: Patient) -> bytes:
    study = Study("ct", patient, 1, 1)
    ds = describe(study, sop_class="1.2.840.10008.5.1.4.1.1.2", modality="CT", description="x")
    ds.SOPInstanceUID = study.uid("image/1")
    return encode(ds)


@pytest.mark.requirement("CHR-01", "CHR-04")
@pytest.mark.parametrize("form", written_names(), ids=lambda form: form.title)
def test_each_form_is_written_and_read_as_its_bytes(form: WrittenName) -> None:
    encodings = convert_encodings(list(form.charset))
    assert PersonName(form.text).encode(encodings) == form.raw
    assert str(PersonName(form.raw, encodings)) == form.text


@pytest.mark.requirement("CHR-03")
@pytest.mark.parametrize("patient", PATIENTS, ids=lambda patient: patient.slug)
def test_names_stand_in_the_file_letter_for_letter(patient: Patient) -> None:
    file = written(patient)
    if patient.charset == UTF8:
        assert patient.name.encode() in file
    ds = pydicom.dcmread(io.BytesIO(file))
    assert str(ds.PatientName) == patient.name
    assert len(ds.PatientName.components) == 3
    ds.decode()
    assert pydicom.dcmread(io.BytesIO(file)).PatientName.original_string == (
        ds["PatientName"].value.encode(convert_encodings(list(patient.charset)))
    )


@pytest.mark.requirement("CHR-03")
def test_a_name_its_charset_cannot_hold_is_refused_not_replaced() -> None:
    patient = Patient("x", TAKAHASHI.name, "TEST-9", "20000101", "F", KANJI)
    with pytest.raises(InputError, match="character set"):
        written(patient)


def test_names_beyond_jis_are_among_the_patients() -> None:
    letters = "".join(patient.name for patient in PATIENTS)
    assert {"髙", "﨑", "𠮷"} <= set(letters)
    for letter in "髙﨑𠮷":
        with pytest.raises(UnicodeEncodeError):
            letter.encode("iso2022_jp")
