"""Parts beside a slide that lead elsewhere: refused by name, before OpenSlide sees them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from common import workers
from common.errors import SidecarOutside
from sender import ingest, sidecars
from sender.outbox import Job
from tests.sender.slides import made_slides
from tests.sender.slides.vendor_files import CASE

SLIDEDAT = """[GENERAL]
SLIDE_ID=1
[HIERARCHICAL]
INDEXFILE={0}
[DATAFILE]
FILE_COUNT=1
FILE_0={1}
"""


def scan(folder: Path) -> ingest.Found:
    slide = {"patient_id": "1", "patient_name": "SATO^KEN"}
    return ingest.scan(Job(1, "", [str(folder)], {"slide": slide}, "", False, 0))


def mrxs(folder: Path, index: str = "Index.dat", data: str = "Data0000.dat") -> Path:
    path = folder / "bad.mrxs"
    path.write_bytes(b"\xff\xd8\xff\xd9")
    parts = folder / "bad"
    parts.mkdir()
    (parts / "Slidedat.ini").write_text(SLIDEDAT.format(index, data))
    for name in ("Index.dat", "Data0000.dat"):
        (parts / name).write_bytes(bytes(64))
    return path


def vms(folder: Path, key: str, value: str) -> Path:
    path = made_slides.vms(folder, "bad")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{key}={value}" if x.startswith(key) else x for x in lines))
    return path


def through_a_link(folder: Path) -> Path:
    path = made_slides.vms(folder, "bad")
    (folder / "bad.opt").unlink()
    (folder / "bad.opt").symlink_to("/etc/passwd")
    return path


@pytest.mark.requirement("WSI-04")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda folder: mrxs(folder, data="../../secret.dat"),
            marks=pytest.mark.badinput(69, "MRXS with ../"),
        ),
        pytest.param(
            lambda folder: mrxs(folder, index="..\\secret.dat"),
            marks=pytest.mark.badinput(69, "MRXS with ../"),
        ),
        pytest.param(
            lambda folder: vms(folder, "MacroImage", "../secret.jpg"),
            marks=pytest.mark.badinput(69, "VMS with ../"),
        ),
        pytest.param(
            lambda folder: vms(folder, "ImageFile", "/etc/passwd"),
            marks=pytest.mark.badinput(69, "VMS with ../"),
        ),
        pytest.param(
            lambda folder: vms(folder, "MapFile", r"\\server\share\a.jpg"),
            marks=pytest.mark.badinput(69, "sidecar on a UNC path"),
        ),
        pytest.param(through_a_link, marks=pytest.mark.badinput(69, "sidecar through a symlink")),
    ],
)
def test_a_part_that_leads_elsewhere_is_refused(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(workers.Worker, "ask", lambda *words: asked.append(words))
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("secret.dat", "secret.jpg"):
        (tmp_path / name).write_bytes(b"not to be read")
    path = make(folder)
    with caplog.at_level(logging.INFO):
        found = scan(folder)
    assert not found.transfers
    refused = dict(found.refused)
    error = refused.pop(str(path))
    assert isinstance(error, SidecarOutside)
    assert error.words("ja")
    assert not asked, "OpenSlide was never started"
    assert "SATO" not in caplog.text
    # of a slide that is not sound no part is swallowed: each is refused under its own name
    rest = {str(one) for one in folder.rglob("*") if one.is_file() or one.is_symlink()}
    assert set(refused) == rest - {str(path)}


def test_a_slide_cannot_hide_a_dicom_file(tmp_path: Path) -> None:
    """A text file that names a patient's image as its part does not make it vanish."""
    vms(tmp_path, "OptimisationFile", "image.dcm")
    (tmp_path / "image.dcm").write_bytes(bytes(128) + b"DICM" + bytes(64))
    found = scan(tmp_path)
    assert str(tmp_path / "image.dcm") in dict(found.refused)
    assert not found.transfers


def test_a_text_file_without_end_is_not_read(tmp_path: Path) -> None:
    path = mrxs(tmp_path)
    with (tmp_path / "bad" / "Slidedat.ini").open("ab") as file:
        file.truncate(1 << 30)
    assert sidecars.owned([str(path)]) == set()
    assert all(
        str(path) != one or "1048576" in error.words("en") for one, error in scan(tmp_path).refused
    )


def test_a_broken_mrxs_does_not_take_the_sender_down(tmp_path: Path) -> None:
    """Every part is in place and none is sound: OpenSlide says so, apart."""
    path = mrxs(tmp_path)
    made_slides.vms(tmp_path, "sound")
    found = scan(tmp_path)
    assert found.files == 2, "both count as one, with all their parts"
    assert [one for one, _ in found.refused] == [str(path)]
    assert "OpenSlide" in found.refused[0][1].words("en")
    assert len(found.transfers) == 1
    assert CASE.patient_id not in found.refused[0][1].words("en")
