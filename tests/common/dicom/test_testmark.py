from __future__ import annotations

import io

import pydicom
import pytest
from pydicom import Dataset

from common.dicom.testmark import (
    TEST_DESCRIPTION,
    is_test_dataset,
    is_test_description,
    mark_test_dataset,
)


@pytest.mark.parametrize("charset", ["ISO_IR 192", ["", "ISO 2022 IR 87"]])
@pytest.mark.parametrize("implicit", [False, True])
def test_mark_survives_writing_in_either_vr(charset: str | list[str], implicit: bool) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = charset
    mark_test_dataset(ds)
    file = io.BytesIO()
    ds.save_as(file, implicit_vr=implicit, little_endian=True)
    file.seek(0)
    back = pydicom.dcmread(file, force=True)
    assert is_test_dataset(back)
    if not implicit:
        assert back.private_block(0x11, "TODOKE 1.0")[1].value == "試験"


def test_marking_twice_makes_one_block_and_keeps_others() -> None:
    ds = Dataset()
    ds.private_block(0x11, "SOMEONE ELSE", create=True).add_new(1, "LO", "x")
    mark_test_dataset(ds)
    mark_test_dataset(ds)
    assert ds[0x0011, 0x0011].value == "TODOKE 1.0"
    assert (0x0011, 0x0012) not in ds
    assert is_test_dataset(ds)


def test_unmarked_data_are_not_taken_for_samples() -> None:
    ds = Dataset()
    ds.StudyDescription = "試験 TEST"
    assert not is_test_dataset(ds)
    ds.private_block(0x11, "TODOKE 1.0", create=True)
    assert not is_test_dataset(ds)
    ds.private_block(0x11, "SOMEONE ELSE", create=True).add_new(1, "LO", "試験")
    assert not is_test_dataset(ds)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        (f"Aperio Image Library{TEST_DESCRIPTION}", True),
        (f"x{TEST_DESCRIPTION}|AppMag = 20", True),
        ("x|todoke=TEST", True),
        ("x|todoke = TESTED", False),
        ("x|Title = todoke = TEST", False),
        ("Aperio Image Library|AppMag = 20", False),
    ],
)
def test_description(text: str, marked: bool) -> None:
    assert is_test_description(text) is marked
