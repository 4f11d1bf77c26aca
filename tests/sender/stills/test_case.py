"""Photographs become medical images when a person says so, in their case, and never otherwise."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from common.dicom import digest
from sender import identity, ingest
from sender.ingest import Found
from sender.outbox import Job
from sender.slides import SlideCase
from sender.stills import KINDS, look, make
from tests.sender.slides.vendor_files import CASE, Svs
from tests.sender.stills.photographs import NAME, PIXELS, PROFILE, jpeg, photograph, telling
from tests.system.series import write_series

WHO = {"patient_id": "0012345", "patient_name": "TAKAHASHI^HANAKO=髙橋^花子"}
FILES = {
    "baseline.jpg": jpeg(),
    "grey.jpg": jpeg(PIXELS[..., 0].copy(), icc_profile=b""),
    "lying.jpg": jpeg(exif=telling(6)),
    "progressive.jpg": jpeg(progressive=True),
    "rgb.png": photograph("PNG", icc_profile=PROFILE),
    "grey.png": photograph("PNG", PIXELS[..., 0].copy()),
    "odd.tif": photograph("TIFF", PIXELS[:7, :9].copy()),
}
#: Warnings of dciodvfy that were looked at; it names no error (see tests/sender/slides).
LOOKED_AT = ("Warning - Missing attribute or value that would be needed to build DICOMDIR",)
PRIVATE = "Unrecognized tag"


def scan(tmp_path: Path, *paths: Path, **options: Any) -> Found:
    options = {"slide": WHO, **options}
    job = Job(7, "asahikawa", [str(path) for path in paths], options, "", scanned=False, found=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ingest.scan(job, made=tmp_path / "made")


def reasons(found: Found) -> set[str]:
    return {error.number for _, error in found.refused}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "a.svs"
    return Svs(width=300, height=260, factors=(1,), macro=False).write(path)


@pytest.mark.requirement("DIR-05")
def test_a_photograph_in_a_folder_is_no_medical_image(tmp_path: Path, files: Path) -> None:
    found = scan(tmp_path, files)
    assert found.transfers == []
    photographs = {path: error for path, error in found.refused if not path.endswith(".tif")}
    assert len(photographs) == 6
    for error in photographs.values():
        assert error.number == "E-2050"
        assert "--micro" in error.words("ja")
        assert "--gross" in error.words("en")


@pytest.mark.requirement("DIR-05")
def test_named_photographs_go_in_one_transfer_by_kind(tmp_path: Path, files: Path) -> None:
    stills = {"micro": [str(files)], "gross": [str(files / "rgb.png")]}
    found = scan(tmp_path, stills=stills)
    ((values, instances),) = found.transfers
    assert found.refused == []
    assert (values["kind"], len(instances), found.files) == ("dicom", 8, 8)
    assert len({one.sop_uid for one in instances}) == 8
    by_series: dict[str, list[Dataset]] = {}
    for one in instances:
        known = identity.read(one.path)
        assert known is not None
        assert known.instance.offset == one.offset
        assert known.instance.length == one.length
        assert known.study == values["study"]
        read = dcmread(one.path)
        assert read.PatientID == "0012345"
        assert str(read.PatientName.ideographic) == "髙橋^花子"
        by_series.setdefault(one.series, []).append(read)
    assert sorted((of[0].Modality, len(of)) for of in by_series.values()) == [("GM", 7), ("XC", 1)]


@pytest.mark.requirement("DIR-05")
def test_photographs_join_the_study_of_the_slide(tmp_path: Path, files: Path, slide: Path) -> None:
    found = scan(tmp_path, slide, stills={"micro": [str(files / "rgb.png")]})
    kinds = {values["kind"]: values for values, _ in found.transfers}
    assert set(kinds) == {"slide", "dicom"}
    assert kinds["slide"]["study"] == kinds["dicom"]["study"]
    case = SlideCase.from_json(json.loads(kinds["slide"]["slide"]))
    ((read,),) = [
        [dcmread(one.path) for one in instances]
        for values, instances in found.transfers
        if values["kind"] == "dicom"
    ]
    assert (read.StudyDate, read.PatientID) == (case.study_date, case.patient_id)
    assert read.SeriesInstanceUID != case.series_uid


@pytest.mark.requirement("DIR-05")
def test_a_photograph_beside_radiology_alone_is_refused(tmp_path: Path, files: Path) -> None:
    write_series(tmp_path / "ct", 1, slices=2, side=8)
    found = scan(tmp_path, tmp_path / "ct", stills={"gross": [str(files / "rgb.png")]})
    assert len(found.transfers) == 1  # the study itself goes
    assert reasons(found) == {"E-2053"}
    assert "CT" in found.refused[0][1].words("en")
    assert not (tmp_path / "made").exists()


@pytest.mark.requirement("DIR-05", "DAT-04")
def test_photographs_join_a_pathology_study_in_dicom_of_the_same_patient(
    tmp_path: Path, files: Path
) -> None:
    (path,) = write_series(tmp_path / "sm", 1, slices=1, side=8)
    study = dcmread(path)
    study.Modality = "SM"
    study.save_as(path, enforce_file_format=True)
    stills = {"micro": [str(files / "rgb.png")]}
    found = scan(tmp_path, path, stills=stills, slide={})
    ours = [i for _, instances in found.transfers for i in instances if i.path != str(path)]
    read = dcmread(ours[0].path)
    assert read.StudyInstanceUID == study.StudyInstanceUID
    assert (read.PatientID, str(read.PatientName)) == (study.PatientID, str(study.PatientName))
    assert reasons(scan(tmp_path, path, stills=stills)) == {"E-2104"}


def test_several_cases_leave_open_whose_a_photograph_is(
    tmp_path: Path, files: Path, slide: Path
) -> None:
    other = Path(shutil.copy(slide, tmp_path / "b.svs"))
    found = scan(tmp_path, slide, other, stills={"micro": [str(files / "rgb.png")]})
    studies = {values["study"] for values, _ in found.transfers}
    assert len(studies) == 2
    assert reasons(found) == {"E-2000"}


def test_what_is_broken_is_refused_and_the_others_go(tmp_path: Path, files: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(FILES["baseline.jpg"][:500])
    (tmp_path / "text.jpg").write_text("no picture")
    named = [tmp_path / "cut.jpg", tmp_path / "text.jpg", tmp_path / "gone.jpg", files / "rgb.png"]
    found = scan(tmp_path, stills={"micro": [str(path) for path in named]})
    assert len(found.transfers) == 1
    assert reasons(found) == {"E-2051", "E-2052", "E-2000"}
    assert found.files == 4


@pytest.mark.requirement("WSI-04")
def test_the_original_can_be_had_back_from_what_was_sent(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        read = dcmread(make(tmp_path / name, CASE, "micro", 1, tmp_path / "made").path)
        of_file = read.private_block(0x0013, "TODOKE STILL 1.0")
        assert of_file[0x01].value == digest.sha256([data])
        if name.startswith("baseline") or name == "grey.jpg":
            (frame,) = generate_frames(read.PixelData, number_of_frames=1)
            assert frame[: len(data)] == data
            assert len(frame) - len(data) in {0, 1}
            continue
        block = read.private_block(0x7FE1, "TODOKE STILL 1.0")
        assert block[0x01].value[: block[0x02].value] == data


def test_others_read_the_same_pixels(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        picture = look(data)
        for kind in KINDS:
            path = make(tmp_path / name, CASE, kind, 1, tmp_path / kind).path
            read = dcmread(path)
            samples = np.frombuffer(picture.pixels, np.uint8)
            if picture.transfer_syntax.endswith("1.2.1"):
                assert (read.pixel_array.ravel() == samples).all(), name
            shown = highdicom.imread(path).get_frame(1, apply_icc_profile=False)
            assert shown.shape[:2] == (picture.rows, picture.columns)


@pytest.mark.requirement("WSI-01")
def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfyがありません (Debianのdicom3tools) / no dciodvfy on this machine")
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        for kind, iod in (("micro", "VLMicroscopicImage"), ("gross", "VLPhotographicImage")):
            path = make(tmp_path / name, CASE, kind, 1, tmp_path / kind).path  # type: ignore[arg-type]
            said = subprocess.run([tool, path], capture_output=True, text=True, check=False)
            lines = (said.stdout + said.stderr).splitlines()
            assert iod in lines, lines
            doubts = [one for one in lines if "Error" in one or "Warning" in one]
            assert [o for o in doubts if PRIVATE not in o and not o.startswith(LOOKED_AT)] == []


@pytest.mark.requirement("PRI-04")
def test_without_metadata_nothing_of_it_is_in_the_data_set(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        kept = Path(make(tmp_path / name, CASE, "micro", 1, tmp_path / "a").path).read_bytes()
        made = make(tmp_path / name, CASE, "micro", 1, tmp_path / "b", metadata=False)
        bare = Path(made.path).read_bytes()
        if NAME.encode() in data:
            assert NAME.encode() in kept
        assert b"YAMADA" not in bare
        assert b"Exif" not in bare
