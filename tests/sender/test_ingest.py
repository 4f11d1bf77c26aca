"""From paths to transfers: nothing is dropped in silence, and no file ends the scan."""

from __future__ import annotations

import os
import random
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword

from common.states import TransferState
from sender import ingest
from sender.ingest import Found
from sender.outbox import Job
from sender.routing import Rule
from tests.sender.slides.vendor_files import Svs
from tests.system.series import write_series

SLIDE = {"slide": {"patient_id": "1", "patient_name": "A^B"}}


def job(*paths: Path, partner: str = "asahikawa", **options: Any) -> Job:
    names = [str(path) for path in paths]
    return Job(1, partner, names, {**SLIDE, **options}, created="", scanned=False, found=0)


def scan(*paths: Path, **options: Any) -> Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what the files hold
        return ingest.scan(job(*paths, **options))


def told(found: Found) -> int:
    """Files that became instances, slides or refusals."""
    dicom = sum(len(i) for values, i in found.transfers if values["kind"] == "dicom")
    slides = sum(values["kind"] == "slide" for values, _ in found.transfers)
    return int(dicom + slides + len(found.refused))


def change(path: Path, **values: Any) -> Path:
    ds = dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(path, enforce_file_format=True)
    return path


def reason(found: Found, path: Path) -> str:
    (error,) = (error for name, error in found.refused if name == str(path))
    return error.number


def test_a_study_is_one_transfer_in_the_order_of_its_images(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", 1, slices=12, side=8)
    random.Random(1).shuffle(files)
    for place, path in enumerate(files):
        path.rename(path.with_name(f"x{place:02}"))
    write_series(tmp_path / "b", 2, slices=1, side=8)
    found = scan(tmp_path)
    assert sorted(len(instances) for _, instances in found.transfers) == [1, 12]
    (study,) = (instances for _, instances in found.transfers if len(instances) == 12)
    assert [i.number for i in study] == list(range(1, 13))
    assert (found.files, found.refused) == (13, [])


@pytest.mark.requirement("DAT-05")
@pytest.mark.parametrize("count", [1, 3])
def test_of_one_uid_the_first_is_sent(tmp_path: Path, count: int) -> None:
    first, second = write_series(tmp_path / "a", 1, slices=2, side=8)
    same = [Path(shutil.copy(first, first.with_name(f"s{n}"))) for n in range(count)]
    other = change(Path(shutil.copy(first, first.with_name("t"))), PatientComments="x")
    found = scan(tmp_path)
    ((_, instances),) = found.transfers
    assert [Path(i.path).name for i in instances] == [first.name, second.name]
    assert {reason(found, path) for path in same} == {"E-2006"}
    assert reason(found, other) == "E-2007"
    assert all(str(first) in str(error) for _, error in found.refused)


@pytest.mark.requirement("DAT-04")
def test_two_patients_in_one_study_are_held_both(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", 1, slices=3, side=8)
    change(files[2], PatientBirthDate="19990101")
    found = scan(tmp_path)
    assert [values["state"] for values, _ in found.transfers] == 2 * [TransferState.HELD]
    assert all("E-2123" in values["error"] for values, _ in found.transfers)


@pytest.mark.requirement("UX-02", "DAT-04")
@pytest.mark.parametrize("said", [{"clinical": "頭痛"}, {"reason": "出血"}, {"doctor": "山﨑"}])
def test_what_is_asked_of_one_patient_goes_with_no_other(
    tmp_path: Path, said: dict[str, str]
) -> None:
    write_series(tmp_path / "a", 1, slices=1, side=16)
    write_series(tmp_path / "b", 2, slices=1, side=16)
    found = scan(tmp_path, request=said)
    held = [values["state"] == TransferState.HELD for values, _ in found.transfers]
    assert held == 2 * ["doctor" not in said]


@pytest.mark.requirement("CHR-07")
def test_the_issuer_makes_another_patient(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", 1, slices=2, side=8)
    change(files[1], IssuerOfPatientID="1312345678")
    assert len(scan(tmp_path).transfers) == 2


@pytest.mark.requirement("PRI-02")
def test_without_a_partner_the_rules_say_where_or_it_is_held(tmp_path: Path) -> None:
    write_series(tmp_path / "a", 1, slices=1, side=8)
    rule = Rule("sapporo", "folder:w", ("CT",), "urgent", "advice")
    for source, state, partner in (
        ("folder:w", TransferState.QUEUED, "sapporo"),
        ("folder:other", TransferState.HELD, ""),
    ):
        ((values, _),) = ingest.scan(job(tmp_path, partner="", source=source), [rule]).transfers
        assert (values["state"], values["partner"]) == (state, partner)
    ((values, _),) = ingest.scan(job(tmp_path), [rule]).transfers
    assert values["partner"] == "asahikawa", "a partner that was named needs no rule"


def test_a_slide_is_one_file_and_several_instances(tmp_path: Path) -> None:
    Svs(width=600, height=400, factors=(1, 2)).write(tmp_path / "a.svs")
    (tmp_path / "broken.svs").write_bytes(b"II*\0" + bytes(200))
    found = scan(tmp_path)
    ((values, instances),) = found.transfers
    assert values["kind"] == "slide"
    assert len(instances) >= 3
    assert (found.files, told(found)) == (2, 2)


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "odd")
    return folder / "odd"


def _link(folder: Path) -> Path:
    (folder / "odd").symlink_to(folder / "z" / "IM0001.dcm")
    return folder / "odd"


def _loop(folder: Path) -> Path:
    (folder / "odd").symlink_to(folder, target_is_directory=True)
    return folder / "odd"


def _gone(folder: Path) -> Path:
    return folder / "odd"


def _empty(folder: Path) -> Path:
    (folder / "odd").touch()
    return folder / "odd"


@pytest.mark.parametrize("odd", [_fifo, _link, _loop, _gone, _empty])
def test_what_is_no_file_is_refused_and_stops_nothing(
    tmp_path: Path, odd: Callable[[Path], Path]
) -> None:
    write_series(tmp_path / "z", 1, slices=1, side=8)
    path = odd(tmp_path)
    found = scan(path, tmp_path / "z")
    assert [name for name, _ in found.refused] == [str(path)]
    assert (found.files, told(found)) == (2, 2)


def test_a_folder_that_vanishes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    write_series(tmp_path / "z", 1, slices=1, side=8)
    listed = os.scandir

    def vanishing(folder: str) -> Any:
        if Path(folder).name == "a":
            Path(folder).rmdir()  # between the question whether it is a folder and its list
        return listed(folder)

    monkeypatch.setattr(os, "scandir", vanishing)
    found = scan(tmp_path)
    assert [name for name, _ in found.refused] == [str(tmp_path / "a")]
    assert told(found) == found.files == 2


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound instance with a small picture, so that most of its bytes are elements."""
    folder = Path(tmp_path_factory.mktemp("image")) / "a"
    return write_series(folder, 1, slices=1, side=4)[0].read_bytes()


@pytest.mark.requirement("DAT-15")
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_file_ends_the_scan(tmp_path: Path, image: bytes, data: st.DataObject) -> None:
    """Any sound file with some bytes changed, cut or put in is an instance or refused."""
    made = bytearray(image)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(132, len(made) - 1))
        how = data.draw(st.sampled_from(["set", "set", "set", "cut", "insert"]))
        some = data.draw(st.binary(min_size=1, max_size=8))
        if how == "set":
            made[at : at + len(some)] = some
        elif how == "insert":
            made[at:at] = some
        else:
            del made[max(133, at) :]
    path = tmp_path / "one"
    path.write_bytes(made)
    found = scan(path)
    assert (found.files, told(found)) == (1, 1)
    for values, _ in found.transfers:
        assert values["study"]


@pytest.mark.parametrize("vr", [b"ZZ", b"IS", b"DS", b"SQ", b"UI", b"AT", b"FD"])
@pytest.mark.parametrize("tag", ["PatientID", "PatientName", "StudyDate", "InstanceNumber"])
def test_a_value_that_is_not_of_its_kind_is_told(
    tmp_path: Path, image: bytes, tag: str, vr: bytes
) -> None:
    """pydicom reads values when they are asked for; what it raises then is no failure of ours."""
    here = tag_for_keyword(tag) or 0
    head = struct.pack("<HH", here >> 16, here & 0xFFFF)
    at = image.find(head)
    if at < 0:
        at = image.index(struct.pack("<HH", 0x0008, 0x0060))
        image = image[:at] + head + vr + struct.pack("<H", 4) + b"\xff\\x1" + image[at:]
    (tmp_path / "one").write_bytes(image[: at + 4] + vr + image[at + 6 :])
    assert told(scan(tmp_path / "one")) == 1


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600))
def test_any_bytes_behind_the_preamble_are_refused(tmp_path: Path, some: bytes) -> None:
    (tmp_path / "one").write_bytes(bytes(128) + b"DICM" + some)
    found = scan(tmp_path / "one")
    assert told(found) == 1
