"""A slide through the whole path: the tiles of its file, in order of use, seen while it arrives."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openslide
import pytest
import tifffile
from pydicom import dcmread
from pydicom.encaps import generate_frames
from sqlalchemy import Row, select
from wsidicom import WsiDicom

from common.states import InstanceState
from receiver import index, transfers
from sender.outbox import now as moment
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import SENDER_CODE, Ends, must, until
from tests.system.line import Line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")
PICTURES = ("--label", "--macro")
RATE = 1e6  # bytes a second
UNDER_WAY = 1e6  # bytes that are under way at a time, more than such a line needs
PASSWORD = "kenbikyou-77-Shiken"
ADOBE = bytes.fromhex("ffee000e41646f62650064") + bytes(5)  # APP14 that says RGB (TN 5116)


@dataclass(frozen=True)
class Stored:
    """A slide's file, and the folder in which the receiver keeps its series."""

    source: Path
    folder: Path
    files: dict[str, Path]  # by SOP Instance UID

    def level(self, columns: int, rows: int) -> Any:
        """The stored instance of one level of the pyramid."""
        headers = (dcmread(p, defer_size=1024) for p in self.files.values())
        (found,) = (
            h
            for h in headers
            if (h.TotalPixelMatrixColumns, h.TotalPixelMatrixRows) == (columns, rows)
            and h.ImageType[2] == "VOLUME"
        )
        return found


def _rows(ends: Ends, study: str) -> list[Row[Any]]:
    with ends.index() as known, known.read() as db:
        wanted = select(index.instances).where(index.instances.c.study_uid == study)
        return list(db.execute(wanted.order_by(index.instances.c.id)))


@pytest.fixture(scope="module", params=["synthetic", "real"])
def stored(
    request: pytest.FixtureRequest, ends: Ends, tmp_path_factory: pytest.TempPathFactory
) -> Stored:
    """Send a slide and find what the receiver keeps of it."""
    if request.param == "real":
        folder: Path = request.getfixturevalue("real_data")
        source = folder / "wsi" / "aperio" / "cmu-1-small-region.svs"
    else:
        made = Path(tmp_path_factory.mktemp("made"))
        source = Svs(width=1500, height=1100).write(made / "three-levels.svs")
    said = must("sender", "send", source, *WHO, *PICTURES, "--data", ends.sender)
    (transfer,) = said["transfers"]
    assert (transfer["state"], transfer["digests_equal"]) == ("receipted", True)
    rows = _rows(ends, transfer["study_uid"])
    assert {row.state for row in rows} == {InstanceState.VERIFIED}
    files = {row.sop_uid: ends.receiver / "store" / row.path for row in rows}
    (parent,) = {path.parent for path in files.values()}
    assert sorted(parent.iterdir()) == sorted(files.values())
    return Stored(source, parent, files)


@pytest.mark.requirement("WSI-03", "DIR-08")
def test_each_stored_frame_is_the_tile_of_the_file(stored: Stored) -> None:
    compared = 0
    with tifffile.TiffFile(stored.source) as tiff:
        pages: list[Any] = list(tiff.pages)
        for page in (page for page in pages if page.is_tiled):
            level = stored.level(page.imagewidth, page.imagelength)
            tables = page.jpegtables[2:-2]
            spliced = (
                b"\xff\xd8" + tables,
                b"\xff\xd8" + tables + ADOBE,
                b"\xff\xd8" + ADOBE + tables,
            )
            frames = list(generate_frames(level.PixelData, number_of_frames=level.NumberOfFrames))
            assert len(frames) == len(page.dataoffsets)
            for offset, count, frame in zip(
                page.dataoffsets, page.databytecounts, frames, strict=True
            ):
                tiff.filehandle.seek(offset)
                tile = tiff.filehandle.read(count)
                assert tile[:2] == b"\xff\xd8"
                added = frame[: frame.index(tile[2:])]
                assert added in spliced
                assert frame[len(added) + count - 2 :] in {b"", b"\0"}
                compared += 1
    assert compared > 100


@pytest.mark.requirement("WSI-01", "WSI-08")
def test_openslide_opens_the_stored_series_as_the_same_slide(stored: Stored) -> None:
    source = openslide.OpenSlide(stored.source)
    opened = openslide.OpenSlide(min(stored.files.values()))
    assert opened.properties["openslide.vendor"] == "dicom"
    assert opened.level_count == source.level_count
    assert opened.level_dimensions == source.level_dimensions
    assert {"label", "macro"} <= set(opened.associated_images)


@pytest.mark.requirement("WSI-03")
def test_pixels_are_equal_at_200_random_regions(stored: Stored) -> None:
    source = openslide.OpenSlide(stored.source)
    opened = openslide.OpenSlide(min(stored.files.values()))
    draw = random.Random(7)
    for _ in range(200):
        level = draw.randrange(source.level_count)
        at = draw.randrange(source.dimensions[0]), draw.randrange(source.dimensions[1])
        here, there = (np.asarray(s.read_region(at, level, (80, 80))) for s in (opened, source))
        assert (here == there).all(), (at, level)


@pytest.mark.requirement("WSI-01")
def test_wsidicom_opens_the_stored_series(stored: Stored) -> None:
    source = openslide.OpenSlide(stored.source)
    with WsiDicom.open(stored.folder) as opened:
        sizes = [(level.size.width, level.size.height) for level in opened.pyramids[0]]
        assert sizes == list(source.level_dimensions)
        assert opened.read_label().size == source.associated_images["label"].size
        assert opened.read_overview().size == source.associated_images["macro"].size


# -- while it arrives ---------------------------------------------------------


@pytest.fixture(scope="module")
def browser(ends: Ends) -> Iterator[httpx.Client]:
    """A reader who is signed in."""
    data = ("--data", ends.receiver)
    add = ("receiver", "user", "add", "reader", "--display", "読影医", "--password-stdin")
    must(*add, *data, stdin=f"{PASSWORD}\n")
    headers = {"X-Todoke": "1", "Origin": ends.viewer, "Accept": "image/jpeg"}
    with httpx.Client(base_url=ends.viewer, headers=headers, trust_env=False) as client:
        signed = {"name": "reader", "password": PASSWORD}
        client.post("/api/sign-in", json=signed).raise_for_status()
        yield client


def _held(ends: Ends, row: Row[Any]) -> set[int]:
    with ends.index() as known, known.read() as db:
        return transfers.held_frames(db, row.id)


def _frame(browser: httpx.Client, row: Row[Any], number: int, wait: int = 0) -> httpx.Response:
    study, series = f"studies/{row.study_uid}", f"series/{row.series_uid}"
    path = f"/dicomweb/at/{SENDER_CODE}/{study}/{series}/instances/{row.sop_uid}/frames/{number}"
    return browser.get(path, headers={"Prefer": f"wait={wait}"} if wait else {})


@pytest.mark.requirement("WSI-10")
def test_low_levels_are_seen_first_and_a_waiting_reader_is_served_next(
    ends: Ends, browser: httpx.Client, tmp_path: Path
) -> None:
    source = Svs(width=4096, height=4096, tile=256, label=False, macro=False).write(
        tmp_path / "big.svs"
    )
    with Line(ends.ports["link"], RATE) as line, ends.through(link=line.port):
        before = {t.id for t in _transfers(ends)}
        sending = ends.send(source, *WHO)
        until(lambda: len(_transfers(ends)) > len(before), "the transfer is in the outbox")
        (transfer,) = (t for t in _transfers(ends) if t.id not in before)
        until(lambda: bool(_rows(ends, transfer.study)), "the opening is known")
        levels = _rows(ends, transfer.study)
        smallest, largest = (f(levels, key=lambda r: r.frames) for f in (min, max))
        until(lambda: len(_held(ends, smallest)) == smallest.frames, "the lowest level is here")
        assert len(_held(ends, largest)) < largest.frames
        seen = _frame(browser, smallest, 1)
        assert seen.status_code == 200
        assert seen.content[:2] == b"\xff\xd8"
        last = largest.frames
        until(lambda: bool(_held(ends, largest)), "the largest level has begun")
        waiting = _frame(browser, largest, last)
        assert waiting.status_code == 404
        assert waiting.headers["X-Todoke"] == "not-here-yet"
        until(lambda: last - 1 in _held(ends, largest), "the frame the reader waits for")
        at_arrival = len(_held(ends, largest))
        brought = _frame(browser, largest, last - 2, wait=5)
        assert (brought.status_code, brought.content[:2]) == (200, b"\xff\xd8"), "as it comes"
        assert len(_held(ends, largest)) < last, "long before the end"
        midway = moment()
        said, _ = sending.communicate(timeout=60)
        assert sending.returncode == 0, said
    (sent,) = (t for t in _transfers(ends) if t.id == transfer.id)
    assert str(sent.delivered) >= midway, "when the last frame was taken, not the opening"
    # in its own turn it would have come with the last batches
    assert last - at_arrival > UNDER_WAY / _mean_tile(source)
    now = _frame(browser, largest, last)
    assert now.status_code == 200
    read = dcmread(ends.receiver / "store" / _path(ends, largest))
    frame = list(generate_frames(read.PixelData, number_of_frames=last))[-1]
    assert frame in {now.content, now.content + b"\0"}


def _transfers(ends: Ends) -> list[Any]:
    with ends.outbox() as box:
        return box.transfers()


def _path(ends: Ends, row: Row[Any]) -> str:
    return str(next(r.path for r in _rows(ends, row.study_uid) if r.id == row.id))


def _mean_tile(source: Path) -> float:
    with tifffile.TiffFile(source) as tiff:
        page: Any = tiff.pages[0]
        return float(np.mean(page.databytecounts))


def test_the_marker_says_that_components_are_rgb() -> None:
    """What the frames are compared with is itself right: APP14, version 100, transform 0."""
    marker, length = struct.unpack(">HH", ADOBE[:4])
    assert (marker, length, len(ADOBE)) == (0xFFEE, 14, 16)
    assert ADOBE[4:9] == b"Adobe"
    assert ADOBE[-1] == 0
