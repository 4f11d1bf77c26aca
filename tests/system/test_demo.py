"""`todoke demo --once --json`: everything found is sent or refused in words, and receipted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
)

from common.errors import MixedPatients
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import command
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
REAL = ("dicom/ct_philips_phantom", "dicom/mr_siemens_t1_sag", "dicom/pet_qin_headneck")
REAL_SLIDES = "wsi/aperio"
TRANSFER_KEYS = [
    "kind",
    "instances",
    "bytes",
    "stored",
    "digests_equal",
    "state",
    "direct",
    "reasons",
    "seconds",
    "first_view_seconds",
]


@dataclass(frozen=True)
class Ran:
    """One run of the demo, and what it was given."""

    words: Any
    code: int
    errors: str
    tricks: Path
    real: Path | None

    def reason(self, path: Path) -> str:
        """Why a file was refused; it has to be, once."""
        (row,) = (row for row in self.words["refused"] if row["path"] == str(path))
        return str(row["reason"])


def _demo(*sources: Path) -> tuple[Any, int, str]:
    line = command("demo", "--once", "--json")
    for path in sources:
        line += ["--from", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=100)
    return json.loads(done.stdout), done.returncode, done.stderr


def _tricks(folder: Path) -> Path:
    """A sound series and a slide, and beside them all that is no image, or not twice."""
    first, second, third = write_series(folder / "ct", 1, slices=3, side=64)
    shutil.copy(first, folder / "ct" / "Z1-copied.dcm")
    other = dcmread(second)
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(folder / "ct" / "Z2-other-pixels.dcm", enforce_file_format=True)
    uid = dcmread(third).SOPInstanceUID.encode()
    odd = third.read_bytes().replace(uid, b"x" + uid[1:])
    (folder / "ct" / "Z3-no-uid.dcm").write_bytes(odd)
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, "2.25.1"
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    (folder / "README.TXT").write_text("no image", "utf-8")
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    (folder / "link.dcm").symlink_to(first)
    (capture,) = write_series(folder / "capture", 7, slices=1, side=32)
    screen = dcmread(capture)
    screen.SOPClassUID = screen.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    screen.ConversionType = "DV"
    screen.save_as(capture, enforce_file_format=True)
    Svs(width=600, height=400, factors=(1, 2)).write(folder / "synthetic.svs")
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the demo once, on the tricks and on real data where there is some."""
    tricks = _tricks(Path(tmp_path_factory.mktemp("tricks")))
    real = os.environ.get("TODOKE_REAL_DATA")
    root = Path(real) if real else None
    below = [root / name for name in (*REAL, REAL_SLIDES)] if root else []
    return Ran(*_demo(tricks, *below), tricks, root)


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if not p.is_dir()]


def _everything_is_told(ran: Ran, folders: list[Path]) -> None:
    found = sum(len(_files(folder)) for folder in folders)
    instances = sum(t["instances"] for t in ran.words["transfers"] if t["kind"] == "dicom")
    slides = sum(t["kind"] == "slide" for t in ran.words["transfers"])
    assert instances + slides + len(ran.words["refused"]) == found
    paths = [row["path"] for row in ran.words["refused"]]
    assert len(set(paths)) == len(paths)
    assert all(row["reason"] for row in ran.words["refused"])


def test_the_words_have_their_golden_keys(ran: Ran) -> None:
    assert ran.code == 0, ran.errors
    assert list(ran.words) == ["transfers", "refused", "receiver"]
    for transfer in ran.words["transfers"]:
        assert list(transfer) == TRANSFER_KEYS
        assert transfer["kind"] in {"dicom", "slide"}
        assert isinstance(transfer["direct"], bool)
        assert all(isinstance(reason, str) and reason for reason in transfer["reasons"])
        assert transfer["direct"] is (transfer["reasons"] == []), "an operator attests them all"
        assert transfer["seconds"] > 0
        assert transfer["first_view_seconds"] is None or transfer["first_view_seconds"] > 0
    assert all(list(row) == ["path", "reason"] for row in ran.words["refused"])
    assert list(ran.words["receiver"]) == ["url"]
    assert ran.words["receiver"]["url"].startswith("http://localhost:")


@pytest.mark.evidence
@pytest.mark.requirement("DIR-04")
def test_what_is_not_direct_goes_as_reference_and_says_why(ran: Ran) -> None:
    (captured,) = (t for t in ran.words["transfers"] if t["direct"] is False)
    assert (captured["state"], captured["digests_equal"]) == ("receipted", True)
    assert any("video signal (DV)" in reason for reason in captured["reasons"])
    assert all(t["direct"] for t in ran.words["transfers"] if t is not captured)


@pytest.mark.requirement("DIR-07")
def test_every_file_is_sent_or_refused_and_all_that_is_sent_is_receipted(ran: Ran) -> None:
    real = [ran.real / name for name in (*REAL, REAL_SLIDES)] if ran.real else []
    _everything_is_told(ran, [ran.tricks, *real])
    for transfer in ran.words["transfers"]:
        assert (transfer["state"], transfer["digests_equal"]) == ("receipted", True)
        assert transfer["stored"] == transfer["instances"] > 0


@pytest.mark.parametrize("folder", REAL)
def test_real_series_are_sent_whole(ran: Ran, real_data: Path, folder: str) -> None:
    headers = {p: dcmread(p, stop_before_pixels=True) for p in _files(real_data / folder)}
    studies = Counter(h.StudyInstanceUID for h in headers.values() if "Rows" in h)
    sent = [t["instances"] for t in ran.words["transfers"] if t["kind"] == "dicom"]
    assert sent
    assert set(studies.values()) <= set(sent)
    # what has no picture is a directory of the medium it came on
    for path in (p for p, h in headers.items() if "Rows" not in h):
        assert "DICOMDIR" in ran.reason(path)


def test_a_real_slide_is_sent_and_the_broken_one_refused_in_words(
    ran: Ran, real_data: Path
) -> None:
    assert sum(t["kind"] == "slide" for t in ran.words["transfers"]) == 2
    reason = ran.reason(real_data / REAL_SLIDES / "broken.svs")
    assert reason.startswith("Not readable as a slide (")
    assert "?" not in reason


@pytest.mark.requirement("DAT-05")
def test_a_uid_twice_is_refused_and_spoils_nothing(ran: Ran) -> None:
    series = ran.tricks / "ct"
    same, other = series / "IM0001.dcm", series / "IM0002.dcm"
    assert ran.reason(series / "Z1-copied.dcm") == f"same instance as {same}"
    assert ran.reason(series / "Z2-other-pixels.dcm") == f"same UID, other content: {other}"
    assert 3 in [t["instances"] for t in ran.words["transfers"] if t["kind"] == "dicom"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("DICOMDIR", "DICOMDIR"),
        ("README.TXT", ".TXT"),
        ("empty", "Not an image"),
        ("pipe", "no regular file"),
        ("link.dcm", "no regular file"),
        ("ct/Z3-no-uid.dcm", "UID"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(ran: Ran, name: str, says: str) -> None:
    assert says in ran.reason(ran.tricks / name)


@pytest.mark.slow
@pytest.mark.requirement("DAT-04")
def test_the_exit_code_is_that_of_the_worst_transfer(tmp_path: Path) -> None:
    write_series(tmp_path / "sound", 2, slices=2, side=32)
    for path, patient in zip(write_series(tmp_path / "mixed", 3, 2, 32), "AB", strict=True):
        ds = dcmread(path)
        ds.PatientID = patient
        ds.save_as(path, enforce_file_format=True)
    words, code, _ = _demo(tmp_path)
    assert code == MixedPatients.exit_code
    by_state = {t["state"]: t for t in words["transfers"]}
    assert by_state["receipted"]["digests_equal"] is True
    assert by_state["held"]["digests_equal"] is False
    assert by_state["held"]["stored"] == 0
    assert "More than one patient" in by_state["held"]["reasons"][0]


def test_a_path_that_is_not_there_is_a_wrong_line() -> None:
    line = [*command("demo", "--once", "--json"), "--from", "not-there"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "not-there" in done.stdout + done.stderr


@pytest.fixture(scope="module", autouse=True)
def unchanged(real_files: Callable[[], str]) -> Any:
    """The sources are read and never written."""
    before = real_files()
    yield
    assert real_files() == before


@pytest.fixture(scope="module")
def real_files() -> Callable[[], str]:
    """Digest of all names, sizes and times below the real data."""
    root = os.environ.get("TODOKE_REAL_DATA")

    def look() -> str:
        rows = [
            f"{p} {p.stat().st_size} {p.stat().st_mtime_ns}"
            for name in ((*REAL, REAL_SLIDES) if root else ())
            for p in sorted(_files(Path(str(root)) / name))
        ]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    return look
