"""Overlay planes (60xx) lie over the pixels that they are about, however the picture is turned."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect
from pydicom.uid import MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from tests.receiver.viewer import greys
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.slow,
    pytest.mark.timeout(180),
]
Bits = npt.NDArray[np.bool_]
ZOOM = 4
FRAMES = 4


def bits(rows: int, columns: int, frames: int = 1) -> npt.NDArray[np.uint8]:
    """Return an overlay of no symmetry, frames x rows x columns of 0 and 1."""
    chance = np.random.default_rng(rows * columns)
    return (chance.random((frames, rows, columns)) < 0.3).astype(np.uint8)


def put(
    ds: pydicom.Dataset, group: int, plane: npt.NDArray[np.uint8], origin: tuple[int, int]
) -> None:
    """Add an overlay of its own element (C.9.2), its bits without a gap between frames."""
    base = group << 16
    for offset, value in (
        (0x10, plane.shape[1]),
        (0x11, plane.shape[2]),
        (0x100, 1),
        (0x102, 0),
    ):
        ds.add_new(base + offset, "US", value)
    ds.add_new(base + 0x40, "CS", "G")
    ds.add_new(base + 0x50, "SS", list(origin))
    packed = np.packbits(plane.reshape(-1), bitorder="little").tobytes()
    ds.add_new(base + 0x3000, "OW", packed + b"\0" * (len(packed) % 2))


def over(ds: pydicom.Dataset, frame: int = 0) -> Bits:
    """Return which pixels of the image lie under a bit, by pydicom's overlay_array."""
    found = np.zeros((greys.ROWS, greys.COLUMNS), bool)
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x3000) not in ds:
            continue
        plane = ds.overlay_array(group)
        if plane.ndim == 3:
            at = frame + 1 - int(ds[group, 0x51].value)
            if not 0 <= at < len(plane):
                continue
            plane = plane[at]
        top, left = (int(part) - 1 for part in ds[group, 0x50].value)
        for row, column in np.argwhere(plane) + np.array((top, left)):
            if 0 <= row < greys.ROWS and 0 <= column < greys.COLUMNS:
                found[row, column] = True
    return found


def _grounded(ds: pydicom.Dataset) -> None:
    """Grey that is bright where a bit is to lie and nowhere else."""
    frames = int(ds.get("NumberOfFrames", 1))
    values = np.stack([over(ds, frame) for frame in range(frames)]).astype(np.int32) * 4000
    greys.put(ds, values if frames > 1 else values[0], signed=False, bits=12)
    greys.window(ds, 100, 1000)


def _inline(ds: pydicom.Dataset) -> None:
    put(ds, 0x6000, bits(greys.ROWS, greys.COLUMNS), (1, 1))
    _grounded(ds)


def _bulk(ds: pydicom.Dataset) -> None:
    """Two planes: one larger than the picture on every side, and one in its middle."""
    put(ds, 0x6000, bits(300, 200), (-19, -29))
    put(ds, 0x601E, bits(20, 11), (40, 60))
    _grounded(ds)


def _frames(ds: pydicom.Dataset) -> None:
    """Four frames; two of an overlay from the second on, of 35 bits each."""
    ds.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    ds.NumberOfFrames = FRAMES
    put(ds, 0x6002, bits(5, 7, 2), (30, 50))
    ds.add_new(0x60020015, "IS", 2)
    ds.add_new(0x60020051, "US", 2)
    _grounded(ds)


def _embedded(ds: pydicom.Dataset) -> None:
    """A plane in the highest bit of the pixels (retired)."""
    values = greys.ramp(0, 4000) | (0x8000 * bits(greys.ROWS, greys.COLUMNS)[0].astype(np.int32))
    greys.put(ds, values, signed=False, bits=12)
    greys.window(ds, 100, 1000)
    for offset, value in ((0x10, greys.ROWS), (0x11, greys.COLUMNS), (0x100, 16), (0x102, 15)):
        ds.add_new(0x60000000 + offset, "US", value)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])


def _short(ds: pydicom.Dataset) -> None:
    """Fewer bits than rows and columns say."""
    _inline(ds)
    ds[0x60003000].value = ds[0x60003000].value[:100]


KINDS: dict[str, greys.Change] = {
    "inline": _inline,
    "bulk": _bulk,
    "frames": _frames,
    "embedded": _embedded,
    "short": _short,
}


@pytest.fixture
def overlaid(page: Page, tmp_path: Path) -> Iterator[tuple[Screen, dict[str, Path]]]:
    """A reader before a study of overlaid pictures, and its files."""
    files = greys.write(tmp_path, KINDS)
    room = Room(tmp_path / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        yield screen, dict(zip(KINDS, files, strict=True))
        page.goto("about:blank")
    room.close()


def series(screen: Screen, kind: str) -> None:
    screen.page.locator(f"button.thumb[title$=' {kind}']").click()
    thumb = screen.page.locator(f"button.thumb[title$=' {kind}'][aria-pressed='true']")
    expect(thumb).to_have_count(1)
    screen.until("window.__todoke.view?.ready === true", kind)
    screen.press("j", *["NumpadAdd"] * 4)  # 4 device pixels a pixel of the image
    screen.frames(4)
    assert screen.view()["scale"] == pytest.approx(ZOOM, abs=1e-6)


def middles(screen: Screen, *, turned: bool = False) -> npt.NDArray[np.int_]:
    """Return the colours in the middle of each pixel of the image, rows x columns x RGB."""
    page = screen.page
    page.evaluate("document.querySelector('.overlay').hidden = true")
    box = page.locator(".viewport canvas").bounding_box()
    assert box is not None
    taken = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    page.evaluate("document.querySelector('.overlay').hidden = false")
    columns, rows = (greys.ROWS, greys.COLUMNS) if turned else (greys.COLUMNS, greys.ROWS)
    left, top, *_ = screen.view()["box"]  # on whole device pixels, not in the very middle
    x = box["x"] + left + ZOOM * (np.arange(columns) + 0.5)
    y = box["y"] + top + ZOOM * (np.arange(rows) + 0.5)
    return taken[np.ix_(np.floor(y).astype(int), np.floor(x).astype(int))]


def drawn(picture: npt.NDArray[np.int_]) -> Bits:
    """Return where an overlay's colour is: no grey."""
    return np.asarray(picture[..., 2] - picture[..., 0] > 100)


@pytest.mark.requirement("RAD-02")
@pytest.mark.parametrize("kind", ["inline", "bulk"])
def test_an_overlay_lies_where_pydicom_has_it_and_moves_with_the_picture(
    overlaid: tuple[Screen, dict[str, Path]], kind: str
) -> None:
    screen, files = overlaid
    series(screen, kind)
    expect(screen.page.get_by_text("オーバーレイ X", exact=True)).to_be_visible()
    wanted = over(pydicom.dcmread(files[kind]))
    assert (drawn(middles(screen)) == wanted).all()
    for keys, turned in ((("h",), False), (("h", "v"), False), (("v", "r"), True), (("h",), True)):
        screen.press(*keys)
        screen.frames(4)
        seen = middles(screen, turned=turned)
        screen.press("x")
        expect(screen.page.get_by_text("オーバーレイを消した表示")).to_be_visible()
        bare = middles(screen, turned=turned)
        assert not drawn(bare).any()
        # the grey is bright under the bits and nowhere else, by whatever way it was turned
        assert (drawn(seen) == (bare[..., 0] > 128)).all(), keys
        assert drawn(seen).sum() == wanted.sum()
        screen.press("x")
        expect(screen.page.get_by_text("オーバーレイを消した表示")).to_be_hidden()


@pytest.mark.requirement("RAD-02")
def test_each_frame_has_its_own_plane_and_others_have_none(
    overlaid: tuple[Screen, dict[str, Path]],
) -> None:
    screen, files = overlaid
    series(screen, "frames")
    screen.press("Home")
    ds = pydicom.dcmread(files["frames"])
    for frame in range(FRAMES):
        screen.until(f"window.__todoke.view.frame === {frame + 1}", f"frame {frame + 1}")
        screen.frames(4)
        assert (drawn(middles(screen)) == over(ds, frame)).all(), frame
        assert over(ds, frame).any() == (frame in (1, 2))
        screen.press("ArrowDown")


@pytest.mark.requirement("RAD-02")
def test_an_overlay_that_is_not_drawn_is_said(overlaid: tuple[Screen, dict[str, Path]]) -> None:
    screen, _ = overlaid
    series(screen, "embedded")
    expect(screen.page.get_by_text("画素に埋め込まれたオーバーレイ")).to_be_visible()
    assert not drawn(middles(screen)).any()
    series(screen, "short")
    expect(screen.page.get_by_text("オーバーレイを表示できません")).to_be_visible()
    assert not drawn(middles(screen)).any()


@pytest.mark.neverhappen
def test_no_plane_stays_over_a_picture_whose_own_has_not_come(
    overlaid: tuple[Screen, dict[str, Path]],
) -> None:
    screen, _ = overlaid
    page = screen.page
    series(screen, "inline")
    asked: list[Route] = []
    page.route("**/bulkdata/**", lambda route: asked.append(route))
    page.locator("button.thumb[title$=' bulk']").click()
    expect(page.get_by_text("オーバーレイを読み込んでいます")).to_be_visible()
    groups = page.locator("[data-role='overlay-planes'] canvas")
    # the small plane came with the data set; that of the picture before had group 6000
    assert [one.get_attribute("data-group") for one in groups.all()] == ["601E"]
    for route in asked:
        route.continue_()
    expect(page.get_by_text("オーバーレイ X", exact=True)).to_be_visible()
    assert groups.count() == 2
