from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from common.dicom.testmark import is_test_dataset
from samples.ct import images, slices
from samples.forged import CASES
from samples.make import make_samples
from samples.names import TAKAHASHI
from samples.study import Study

pytestmark = pytest.mark.filterwarnings("ignore:Found unknown escape sequence")


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
def test_every_case_is_marked_and_its_pixels_can_be_read(forged: Path) -> None:
    for case in CASES:
        for ds in files(forged, case.name):
            assert is_test_dataset(ds), case.name
            assert ds.pixel_array.size > 0


def test_cases_are_what_they_say(forged: Path) -> None:
    assert {ds.SOPClassUID.keyword for ds in files(forged, "sc-only")} == {
        "SecondaryCaptureImageStorage"
    }
    mixed = files(forged, "mixed-patients")
    assert len({ds.PatientID for ds in mixed}) == 2
    assert len({ds.StudyInstanceUID for ds in mixed}) == 1
    assert {ds.SOPClassUID.keyword for ds in files(forged, "photo-as-ct")} == {"CTImageStorage"}
    assert {ds.BitsStored for ds in files(forged, "ct-8bit")} == {8}
    assert {ds.LossyImageCompression for ds in files(forged, "ct-lossy-restored")} == {"01"}
    assert {ds.LossyImageCompression for ds in files(forged, "ct-lossy-hidden")} == {"00"}
    assert files(forged, "mip")[0].ImageType[1] == "SECONDARY"
    assert files(forged, "ct-enhanced")[0].NumberOfFrames == 3


@pytest.mark.parametrize("name", ["ct-rle", "ct-j2k"])
def test_reversible_coding_loses_nothing(forged: Path, name: str) -> None:
    source = slices(Study(f"forged-{name}", TAKAHASHI, 1, 3))
    for ds, (_, pixels) in zip(files(forged, name), source, strict=True):
        assert ds.file_meta.TransferSyntaxUID.is_compressed
        assert np.array_equal(ds.pixel_array, pixels)


def test_lossy_case_lost_a_little(forged: Path) -> None:
    source = images(Study("forged-ct-lossy", TAKAHASHI, 1, 3))
    for ds, whole in zip(files(forged, "ct-lossy"), source, strict=True):
        before = np.frombuffer(whole.PixelData, "<i2").reshape(512, 512).astype(float)
        error = np.abs(ds.pixel_array - before).mean()
        assert 3 < error < 40
        assert 6 < before.size * 2 / len(ds.PixelData) < 60


@pytest.mark.parametrize(("name", "equal"), [("same", True), ("other", False)])
def test_twins_share_their_uid(forged: Path, name: str, equal: bool) -> None:
    *_, first, twin = files(forged, f"same-uid-{name}-pixels")
    assert first.SOPInstanceUID == twin.SOPInstanceUID
    assert (first.PixelData == twin.PixelData) is equal


@pytest.mark.parametrize(("name", "start"), [("pe", b"MZ"), ("tiff", b"II*\0")])
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
    ],
)
def test_misdeclared_names_stand_as_their_raw_bytes(forged: Path, name: str, raw: bytes) -> None:
    (path,) = (forged / f"seed1-charset-{name}").iterdir()
    assert raw in path.read_bytes()
    assert ("SpecificCharacterSet" in pydicom.dcmread(path)) is (name != "none")


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools are not installed")
@pytest.mark.parametrize("name", ["ct-enhanced", "ct-rle", "ct-j2k", "sc-only", "photo"])
def test_right_objects_satisfy_dciodvfy(forged: Path, name: str) -> None:
    path = forged / f"seed1-{name}" / "IM0001.dcm"
    checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
    assert "Image" in checked.stderr
    assert "Error" not in checked.stderr


def test_same_seed_same_bytes(forged: Path, tmp_path: Path) -> None:
    make_samples(tmp_path, only=("forged",))
    for path in sorted(forged.rglob("*.dcm")):
        again = tmp_path / "forged" / path.relative_to(forged)
        assert (
            hashlib.sha256(path.read_bytes()).digest()
            == hashlib.sha256(again.read_bytes()).digest()
        )
