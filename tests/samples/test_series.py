from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from common.dicom.testmark import is_test_dataset
from samples.ct import slices as ct_slices
from samples.make import Made
from samples.names import PATIENTS, TAKAHASHI
from samples.pixelcode import read_code
from samples.study import Study

QuickSet = tuple[Path, list[Made]]


def images(quick_set: QuickSet, *kinds: str) -> list[tuple[Made, Path, Dataset]]:
    folder, all_made = quick_set
    return [
        (made, path, pydicom.dcmread(path))
        for made in all_made
        if made.kind in kinds
        for path in sorted((folder / made.path).iterdir())
    ]


@pytest.mark.requirement("TST-02")
def test_series_are_whole_and_marked(quick_set: QuickSet) -> None:
    found = images(quick_set, "ct", "mr")
    assert [made.files for made in quick_set[1] if made.kind != "slide"] == [12, 12, 6]
    assert len({ds.SOPInstanceUID for _, _, ds in found}) == len(found) == 30
    for made, path, ds in found:
        assert path.name == f"IM{ds.InstanceNumber:04d}.dcm"
        assert ds.StudyInstanceUID == made.study_uid
        assert is_test_dataset(ds)
        assert "試験" in ds.StudyDescription
        assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


def test_slices_of_a_series_lie_evenly_in_one_frame_of_reference(quick_set: QuickSet) -> None:
    for made in quick_set[1]:
        if made.kind == "slide":
            continue
        series = [ds for one, _, ds in images(quick_set, made.kind) if one == made]
        assert len({ds.FrameOfReferenceUID for ds in series}) == 1
        gaps = np.diff([float(ds.ImagePositionPatient[2]) for ds in series])
        assert np.ptp(gaps) < 0.01
        assert abs(gaps[0]) > 1


@pytest.mark.requirement("TST-02")
def test_code_is_readable_in_every_slice_after_windowing(quick_set: QuickSet) -> None:
    codes = {patient.patient_id: patient.code for patient in PATIENTS}
    for _, _, ds in images(quick_set, "ct", "mr"):
        centres = np.atleast_1d(ds.WindowCenter).astype(float)
        widths = np.atleast_1d(ds.WindowWidth).astype(float)
        for centre, width in zip(centres, widths, strict=True):
            shown = (ds.pixel_array - (centre - width / 2)) / width * 255
            picture = np.clip(shown, 0, 255).astype(np.uint8)
            assert read_code(picture) == (codes[ds.PatientID], ds.InstanceNumber)


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools are not installed")
def test_dciodvfy_finds_no_error(quick_set: QuickSet) -> None:
    for made in quick_set[1]:
        if made.kind == "slide":
            continue
        for path in sorted((quick_set[0] / made.path).iterdir())[::5]:
            checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
            assert "Error" not in checked.stdout + checked.stderr
            assert f"{made.kind.upper()}Image" in checked.stderr  # it knew the object


def test_pixels_compress_as_pictures_and_not_as_noise(quick_set: QuickSet) -> None:
    for _, path, ds in images(quick_set, "ct", "mr"):
        pixels = ds.pixel_array.astype(np.int32)
        shifted = (pixels - pixels.min()).astype(np.uint16)
        ratio = shifted.nbytes / len(imagecodecs.jpegls_encode(shifted))
        assert 2.2 < ratio < 6, path.name


def test_noise_in_the_heart_is_about_twelve_hounsfield_units() -> None:
    stack = [pixels for _, pixels in ct_slices(Study("ct", TAKAHASHI, 1, 24))]
    heart = stack[17][226:242, 306:322].astype(float)  # inside the left ventricle
    assert 9 < heart.std() < 15
    assert heart.mean() > 150
    assert stack[17].min() >= -1024
    assert stack[17].max() == 3071  # the white cells of the code
