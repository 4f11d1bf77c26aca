from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from common.dicom.testmark import is_test_dataset
from common.dicom.uids import STORAGE_CLASSES, TRANSFER_SYNTAXES
from samples.foreseen import FATES, foreseen
from samples.forged import CASES, study_of, write_case
from samples.forged.base import ct, stack
from samples.make import make_samples
from samples.names import written_names

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.filterwarnings("ignore:Found unknown escape sequence"),
    pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 87'"),
]
BY_NAME = {case.name: case for case in CASES}
#: REQUIREMENTS section 8, as far as one study can show it, and the case that is it.
FIXTURES = {
    "CT axial 16-bit": "ct",
    "CT enhanced": "ct-enhanced",
    "MR": "mr",
    "CT dose sheet SC": "sc-only",
    "MIP DERIVED\\SECONDARY": "mip",
    "scanned 依頼票": "order-form",
    "CR": "cr",
    "RDSR": "rdsr",
    "VL Photographic of a monitor": "photo",
    "the same photo re-labelled CT": "photo-as-ct",
    "8-bit windowed CT": "ct-8bit",
    "screenshot WSD": "screenshot-wsd",
    "DV capture": "capture-dv",
    "DF film": "film-df",
    "lossy CT flagged": "ct-lossy",
    "lossy CT decompressed flagged": "ct-lossy-restored",
    "lossy CT decompressed unflagged": "ct-lossy-hidden",
    "J2K-reversible CT": "ct-j2k",
    "RLE": "ct-rle",
    "multi-patient set": "mixed-patients",
    "duplicate UID same pixels": "same-uid-same-pixels",
    "duplicate UID different pixels": "same-uid-other-pixels",
    "PE preamble": "preamble-pe",
    "TIFF preamble": "preamble-tiff",
    "H.3.1": "name-h31",
    "H.3.2": "name-h32",
    "鷗外 (IR 159)": "name-ougai",
    "髙橋": "name-takahashi",
    "山﨑": "name-yamazaki",
    "𠮷田": "name-yoshida",
    "no charset": "charset-none",
    "SJIS as Latin-1": "charset-sjis",
    "kana under IR 87": "charset-kana",
}


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of all cases."""
    folder = tmp_path_factory.mktemp("forged")
    made = make_samples(folder, only=("forged",))
    assert [one.path for one in made] == [f"forged/seed1-{case.name}" for case in CASES]
    assert all(one.about and one.about["ja"] and one.about["en"] for one in made)
    return folder / "forged"


def files(forged: Path, name: str) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in sorted((forged / f"seed1-{name}").iterdir())]


@pytest.mark.requirement("TST-02")
def test_every_fixture_of_the_kit_has_its_case() -> None:
    assert len(BY_NAME) == len(CASES)
    assert set(FIXTURES.values()) <= BY_NAME.keys()


@pytest.mark.requirement("TST-02")
def test_every_case_is_marked_and_its_pixels_can_be_read(forged: Path) -> None:
    for case in CASES:
        for ds in files(forged, case.name):
            assert is_test_dataset(ds), case.name
            assert ds.SOPClassUID in STORAGE_CLASSES, case.name
            assert ds.file_meta.TransferSyntaxUID in TRANSFER_SYNTAXES, case.name
            if "Rows" in ds:
                assert ds.pixel_array.size > 0


@pytest.mark.requirement("TST-02")
def test_instances_of_a_study_are_several(forged: Path) -> None:
    for case in CASES:
        uids = [ds.SOPInstanceUID for ds in files(forged, case.name)]
        twins = case.name.startswith("same-uid")
        assert len(uids) - len(set(uids)) == twins, case.name


def test_cases_are_what_they_say(forged: Path) -> None:
    assert {ds.SOPClassUID.keyword for ds in files(forged, "sc-only")} == {
        "SecondaryCaptureImageStorage"
    }
    for name, people in (("patients", 2), ("issuer", 1), ("birth", 1)):
        mixed = files(forged, f"mixed-{name}")
        assert len({ds.PatientID for ds in mixed}) == people
        assert len({(ds.PatientID, ds.IssuerOfPatientID, ds.PatientBirthDate) for ds in mixed}) == 2
        assert len({ds.StudyInstanceUID for ds in mixed}) == 1
    for name in ("bare", "as-ct", "jpeg", "careful"):
        (ds, *_) = files(forged, f"photo-{name}")
        assert ds.SOPClassUID.keyword == "CTImageStorage"
        assert (ds.SamplesPerPixel == 3) is (name != "careful")
    assert b"Exif\0\0" in files(forged, "photo-jpeg")[0].PixelData[:64]
    assert {ds.BitsStored for ds in files(forged, "ct-8bit")} == {8}
    assert files(forged, "ct-enhanced")[0].NumberOfFrames == 3
    for code in ("DV", "DF", "SI", "DRW", "DI", "WSD"):
        (case,) = (one for one in CASES if one.name.endswith(f"-{code.lower()}") and one.size == 1
                   and not one.name.startswith("ct-"))  # fmt: skip
        assert files(forged, case.name)[0].ConversionType == code


def test_a_projection_is_made_of_all_slices(forged: Path) -> None:
    *slices, projection = files(forged, "ct-mip")
    assert projection.ImageType[1] == "SECONDARY"
    highest = np.max([one.pixel_array for one in slices], axis=0)
    assert np.array_equal(projection.pixel_array, highest)
    assert not np.array_equal(slices[0].pixel_array, slices[-1].pixel_array)


@pytest.mark.requirement("DIR-14")
def test_the_careful_forgery_has_every_attribute_of_a_slice(forged: Path) -> None:
    for photo, slice_ in zip(files(forged, "photo-careful"), files(forged, "ct"), strict=True):
        differing = {one.keyword for one in photo if one != slice_.get(one.tag)}
        uids = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"}
        assert differing == {*uids, "PixelData", "AccessionNumber"}
        assert photo.keys() == slice_.keys()
        assert 2 < np.abs(photo.pixel_array - np.clip(slice_.pixel_array, -150, 250)).mean() < 40


@pytest.mark.parametrize("name", ["ct-rle", "ct-j2k"])
def test_reversible_coding_loses_nothing(forged: Path, name: str) -> None:
    source = stack(study_of(BY_NAME[name], 1))
    for ds, (_, pixels) in zip(files(forged, name), source, strict=True):
        assert ds.file_meta.TransferSyntaxUID.is_compressed
        assert np.array_equal(ds.pixel_array, pixels)


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("ct-lossy", "01"),
        ("ct-lossy-restored", "01"),
        ("ct-lossy-recoded", "01"),
        ("ct-lossy-hidden", "00"),
        ("ct-lossy-recoded-hidden", "00"),
        ("ct-lossy-unflagged", "00"),
        ("ct-lossy-as-lossless", "00"),
        ("ct-8bit-hidden", "00"),
    ],
)
def test_lossy_cases_lost_a_little_and_some_say_so(forged: Path, name: str, flag: str) -> None:
    source = ct(study_of(BY_NAME[name], 1))
    for ds, whole in zip(files(forged, name), source, strict=True):
        before = np.frombuffer(whole.PixelData, "<i2").reshape(512, 512).astype(float)
        if name == "ct-8bit-hidden":
            before = np.clip(before, -150, 250)
        assert 0.5 < np.abs(ds.pixel_array - before).mean() < 40
        assert ds.LossyImageCompression == flag
        if name == "ct-lossy":
            assert 6 < before.size * 2 / len(ds.PixelData) < 60


@pytest.mark.parametrize(("name", "equal"), [("same", True), ("other", False)])
def test_twins_share_their_uid(forged: Path, name: str, equal: bool) -> None:
    *_, first, twin = files(forged, f"same-uid-{name}-pixels")
    assert first.SOPInstanceUID == twin.SOPInstanceUID
    assert (first.PixelData == twin.PixelData) is equal


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("pe", b"MZ"),
        ("elf", b"\x7fELF"),
        ("macho", b"\xcf\xfa\xed\xfe"),
        ("script", b"#!/"),
        ("tiff", b"II*\0"),
    ],
)
def test_preambles_look_like_something_else(forged: Path, name: str, start: bytes) -> None:
    for path in (forged / f"seed1-preamble-{name}").iterdir():
        content = path.read_bytes()
        assert content.startswith(start)
        assert content[128:132] == b"DICM"


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("none", b"Yamada^Tarou=\x1b$B;3ED\x1b(B"),
        ("sjis", "YAMADA^TARO=山田^太郎".encode("shift_jis")),
        ("kana", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3="),
        ("ir87", b"ISO_IR 87 "),
    ],
)
def test_misdeclared_names_stand_as_their_raw_bytes(forged: Path, name: str, raw: bytes) -> None:
    (path,) = (forged / f"seed1-charset-{name}").iterdir()
    assert raw in path.read_bytes()
    assert ("SpecificCharacterSet" in pydicom.dcmread(path)) is (name != "none")


def test_right_names_are_read_as_they_are_meant(forged: Path) -> None:
    names = {one.text for one in written_names()} | {"MORI^OUGAI=森^鷗外=もり^おうがい"}
    cases = [case.name for case in CASES if case.name.startswith("name-")]
    assert {str(ds.PatientName) for name in cases for ds in files(forged, name)} == names


@pytest.mark.requirement("DIR-14")
def test_the_list_says_what_is_expected_of_each() -> None:
    for case in CASES:
        rules, checks = case.expected.rules, case.expected.checks
        assert all(rule in {f"R{n}" for n in range(1, 13)} for rule in rules)
        assert set(checks) <= {"DAT-04", "DAT-05", "DAT-14", "CHR-05"}
        ja, en = foreseen(case.expected.to_json())
        assert all(one in ja and one in en for one in (*rules, *checks))
    missed = {case.name for case in CASES if case.expected.missed}
    assert {"photo-careful", "ct-lossy-hidden"} <= missed
    assert len(FATES) == 4


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools are not installed")
@pytest.mark.parametrize(
    "name",
    [
        "ct-enhanced",
        "ct-rle",
        "ct-j2k",
        "mr",
        "cr",
        "us",
        "section",
        "sc-only",
        "order-form",
        "rdsr",
        "mip",
        "photo",
        "photo-video",
        "photo-careful",
        "capture-dv",
        "name-ougai",
    ],
)
def test_right_objects_satisfy_dciodvfy(forged: Path, name: str) -> None:
    path = forged / f"seed1-{name}" / "IM0001.dcm"
    checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
    assert name == "rdsr" or "Image" in checked.stderr
    assert "Error" not in checked.stderr


def test_same_seed_same_bytes(forged: Path, tmp_path: Path) -> None:
    for case in CASES:
        target, _ = write_case(case, tmp_path, 1)
        for path in target.iterdir():
            before = (forged / target.name / path.name).read_bytes()
            assert path.read_bytes() == before, case.name
