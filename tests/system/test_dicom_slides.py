"""DICOM whole slides from other makers' files through the whole path, as they are."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
from pydicom import dcmread
from sqlalchemy import Row, select
from wsidicom import WsiDicom

from common.states import InstanceState
from receiver import index
from receiver.facts import KnownFacts
from receiver.worklist import Worklist
from sender import identity
from sender.outbox import now
from tests.sender.slides import dicom_files
from tests.sender.slides.dicom_files import Level
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must, until
from tests.system.line import Line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
RATE = 5e5  # bytes a second


@dataclass(frozen=True)
class Stored:
    """What the receiver holds of a study, and the files it came from."""

    transfer: dict[str, Any]
    key: str
    rows: list[Row[Any]]
    store: Path

    @property
    def files(self) -> dict[str, Path]:
        return {row.sop_uid: self.store / row.path for row in self.rows}

    def data_sets(self) -> dict[str, bytes]:
        return {
            row.sop_uid: (self.store / row.path).read_bytes()[row.prefix_length :]
            for row in self.rows
        }


def data_set(path: Path) -> tuple[str, bytes]:
    known = identity.read(str(path))
    assert known is not None
    one = known.instance
    return one.sop_uid, path.read_bytes()[one.offset : one.offset + one.length]


def rows(ends: Ends, study: str) -> tuple[str, list[Row[Any]]]:
    with ends.index() as known, known.read() as db:
        table = index.instances
        query = select(table).where(table.c.study_uid == study).order_by(table.c.id)
        key = select(index.studies.c.key).where(index.studies.c.study_uid == study)
        return str(db.execute(key).scalar()), list(db.execute(query))


def send(ends: Ends, folder: Path) -> list[Stored]:
    said = must("sender", "send", folder, "--data", ends.sender)
    assert said["refused"] == []
    found = []
    for transfer in said["transfers"]:
        assert (transfer["state"], transfer["digests_equal"]) == ("receipted", True)
        key, held = rows(ends, transfer["study_uid"])
        assert {row.state for row in held} == {InstanceState.VERIFIED}
        found.append(Stored(transfer, key, held, ends.receiver / "store"))
    return found


def told(ends: Ends, key: str) -> list[dict[str, Any]]:
    """The levels of a slide as the viewer is told them, the largest first."""
    with ends.index() as known:
        pages = Worklist(known, KnownFacts(ends.receiver / "store"))
        study = pages.study(key)
    assert study["kind"] == "slide"
    (series,) = study["series"]
    return list(series["slide"]["levels"])


@dataclass(frozen=True)
class Case:
    """A slide whose largest level is sparse, and the next cut into parts."""

    levels: list[Level]
    kept: list[int]
    folder: Path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    made = Path(tmp_path_factory.mktemp("dicom"))
    levels = dicom_files.levels(made)
    kept = [n for n in reversed(range(len(levels[0].frames))) if n not in {0, 9, 13}]
    header, frames = dicom_files.sparse(levels[0], kept)
    folder = made / "case"
    folder.mkdir()
    dicom_files.write(folder / "a.dcm", header, frames, "extended")
    for number, (part, some) in enumerate(dicom_files.parts(levels[1], [4, 2])):
        dicom_files.write(folder / f"b{number}.dcm", part, some, "empty")
    dicom_files.write(folder / "c.dcm", levels[2].copy(), levels[2].frames)
    return Case(levels, kept, folder)


@pytest.fixture(scope="module")
def stored(ends: Ends, case: Case) -> Stored:
    (one,) = send(ends, case.folder)
    return one


@pytest.mark.requirement("WSI-01", "WSI-03", "WSI-10")
def test_frame_by_frame_and_byte_by_byte(stored: Stored, case: Case) -> None:
    assert stored.transfer["kind"] == "slide"
    files = sorted(case.folder.iterdir())
    assert stored.data_sets() == dict(map(data_set, files))
    frames = [row.frames for row in stored.rows]
    assert frames == [len(case.levels[2].frames), 4, 2, len(case.kept)]  # as it was sent
    (folder,) = {path.parent for path in stored.files.values()}
    for path in folder.iterdir():
        assert dcmread(path).pixel_array.ndim == 4


@pytest.mark.requirement("WSI-01")
def test_the_viewer_is_told_where_every_tile_lies(ends: Ends, stored: Stored, case: Case) -> None:
    sparse, cut, full = told(ends, stored.key)
    (part,) = sparse["parts"]
    places = base64.b64decode(part["places"])
    assert list(struct.unpack(f"<{len(places) // 4}I", places)) == case.kept
    first, second = cut["parts"]
    assert [(p["frames"], p["first"], p["places"]) for p in (first, second)] == [
        (4, 0, None),
        (2, 4, None),
    ]
    assert "parts" not in full
    assert [level["arrived"] for level in (sparse, cut, full)] == [
        len(case.kept),
        6,
        len(case.levels[2].frames),
    ]


@pytest.mark.requirement("WSI-01")
def test_wsidicom_reads_the_sparse_level_as_it_was(stored: Stored, case: Case) -> None:
    sparse = next(row for row in stored.rows if row.frames == len(case.kept))
    path = stored.files[sparse.sop_uid]
    with WsiDicom.open([path]) as opened:
        tile = case.levels[0].header.Columns
        for number in (case.kept[0], case.kept[5]):
            down, along = divmod(number, case.levels[0].across)
            region = opened.read_region((along * tile, down * tile), 0, (8, 8))
            frame = dcmread(path).pixel_array[case.kept.index(number)]
            assert np.abs(np.asarray(region)[:, :, :3].astype(int) - frame[:8, :8]).max() <= 2


def test_seen_while_it_arrives_and_never_sent_twice(ends: Ends, tmp_path: Path) -> None:
    levels = dicom_files.levels(tmp_path, Svs(width=1024, height=1024, label=False, macro=False))
    folder = tmp_path / "case"
    folder.mkdir()
    for number, level in enumerate(levels):
        header = level.copy()
        header.StudyInstanceUID = "2.25.8001"
        dicom_files.write(folder / f"{number}.dcm", header, level.frames, "empty")
    size = sum(path.stat().st_size for path in folder.iterdir())
    with Line(ends.ports["link"], RATE) as line, ends.through(link=line.port):
        line.hold_after(size * 2 // 3)
        sending = ends.send(folder)
        until(line.holding.is_set, "a part is on its way")
        key, held = rows(ends, "2.25.8001")
        full, *_, smallest = told(ends, key)
        assert smallest["arrived"] == smallest["frames"]
        assert full["arrived"] < full["frames"]
        assert len(held) == 3
        before = now()
        line.cut()
        line.go_on()
        said, _ = sending.communicate(timeout=60)
    assert sending.returncode == 0
    (transfer,) = json.loads(said)["transfers"]
    assert (transfer["state"], transfer["attempts"] >= 1) == ("receipted", True)
    assert transfer["delivered"] > before  # with its last frame, not with its opening
    _, held = rows(ends, "2.25.8001")
    stored = Stored(transfer, key, held, ends.receiver / "store")
    assert stored.data_sets() == dict(map(data_set, sorted(folder.iterdir())))


@pytest.mark.requirement("WSI-01", "WSI-03")
def test_slides_of_other_makers(ends: Ends, real_data: Path, tmp_path: Path) -> None:
    """JPEG without offsets goes frame by frame, native pixels whole; both are slides there."""
    folder = tmp_path / "real"
    folder.mkdir()
    cmu = sorted((real_data / "wsi" / "dicom_cmu1").glob("*.dcm"))
    boxes = sorted((real_data / "wsi" / "openslide-fixtures").glob("boxes_*.dcm"))
    control = real_data / "dicom" / "highdicom" / "sm_image_control.dcm"
    for path in (*cmu, *boxes, control):
        (folder / path.name).symlink_to(path)
    sources = dict(map(data_set, [*cmu, *boxes, control]))
    for path in folder.iterdir():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    found = {len(one.rows): one for one in send(ends, folder)}
    assert {n: one.transfer["kind"] for n, one in found.items()} == {
        len(cmu): "slide",
        2: "dicom",
        1: "dicom",
    }
    held: dict[str, bytes] = {}
    for one in found.values():
        assert told(ends, one.key)
        held |= one.data_sets()
    compressed = set(sources) & {uid for uid in held if held[uid] == sources[uid]}
    assert len(compressed) >= len(cmu) + 1
    folder = next(iter(found[len(cmu)].files.values())).parent
    was = openslide.OpenSlide(cmu[0])
    with contextlib.closing(openslide.OpenSlide(min(folder.iterdir()))) as opened:
        assert opened.level_dimensions == was.level_dimensions
        for level in range(4):
            here, there = (s.read_region((500, 700), level, (64, 64)) for s in (opened, was))
            assert here.tobytes() == there.tobytes()
