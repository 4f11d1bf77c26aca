"""Display shutters: what lies outside is covered, what lies inside is the picture as it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.receiver.viewer import greys
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]
GREY = 0x8000 + 0x80  # Shutter Presentation Value; 128 on the screen
LEVEL = 128


def _bright(ds: pydicom.Dataset) -> None:
    greys.put(ds, np.full((greys.ROWS, greys.COLUMNS), 4000, np.int32), signed=False, bits=12)
    greys.window(ds, 100, 1000)
    ds.ShutterPresentationValue = GREY


def _rectangular(ds: pydicom.Dataset) -> None:
    _bright(ds)
    ds.ShutterShape = "RECTANGULAR"
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 21, 100
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 11, 60


def _circular(ds: pydicom.Dataset) -> None:
    _bright(ds)
    ds.ShutterShape = "CIRCULAR"
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [40, 70], 30


def _polygonal(ds: pydicom.Dataset) -> None:
    _bright(ds)
    ds.ShutterShape = "POLYGONAL"
    ds.VerticesOfThePolygonalShutter = [10, 10, 10, 110, 80, 60]


def _overlay(ds: pydicom.Dataset) -> None:
    _bright(ds)
    del ds.ShutterPresentationValue
    for offset, value in ((0x10, greys.ROWS), (0x11, greys.COLUMNS), (0x100, 1), (0x102, 0)):
        ds.add_new(0x60000000 + offset, "US", value)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60003000, "OW", bytes(greys.ROWS * greys.COLUMNS // 8))


KINDS: dict[str, greys.Change] = {
    "rectangular": _rectangular,
    "circular": _circular,
    "polygonal": _polygonal,
    "overlaid": _overlay,
}


def open_part(kind: str) -> npt.NDArray[np.bool_]:
    """Return which pixels of the image lie in the opening, by their middles."""
    row, column = np.mgrid[1 : greys.ROWS + 1, 1 : greys.COLUMNS + 1]
    if kind == "rectangular":
        return np.array((column >= 21) & (column <= 100) & (row >= 11) & (row <= 60))
    if kind == "circular":
        return np.array(np.hypot(row - 40, column - 70) <= 30)
    left = (column - 10) * (80 - 10) - (row - 10) * (60 - 10) >= 0
    right = (column - 110) * (80 - 10) - (row - 10) * (60 - 110) <= 0
    return np.array((row >= 10) & left & right)


@pytest.fixture
def shuttered(page: Page, tmp_path: Path) -> Iterator[Screen]:
    """A reader before a study of shuttered pictures."""
    files = greys.write(tmp_path, KINDS)
    room = Room(tmp_path / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        yield screen
    room.close()


@pytest.mark.requirement("RAD-02")
def test_shutters_cover_the_outside_and_can_be_taken_off(shuttered: Screen) -> None:
    screen, page = shuttered, shuttered.page
    for kind in ("rectangular", "circular", "polygonal"):
        page.locator(f"button.thumb[title$=' {kind}']").click()
        thumb = page.locator(f"button.thumb[title$=' {kind}'][aria-pressed='true']")
        expect(thumb).to_have_count(1)
        expect(page.locator("[data-role='shutter'] path")).to_have_count(1)
        screen.press("j")
        for _ in range(4):  # 4 device pixels a pixel of the image
            screen.press("NumpadAdd")
        screen.frames(4)
        assert screen.view()["scale"] == pytest.approx(4, abs=1e-6)
        inside = open_part(kind)
        shown = _middles(screen)
        # a middle may lie on a slanted edge, on either side of it by how the stage is rounded
        assert ((shown > 250) == inside).mean() > 0.985, kind
        assert (np.abs(shown - LEVEL) <= 1).sum() == pytest.approx((~inside).sum(), rel=0.01)
        screen.press("o")
        expect(page.get_by_text("シャッターを外した表示")).to_be_visible()
        assert (_middles(screen) > 250).mean() > 0.99
        screen.press("o")
        expect(page.locator("[data-role='shutter'] path")).to_have_count(1)
    page.locator("button.thumb[title$=' overlaid']").click()
    planes = page.locator("[data-role='overlay-planes'] canvas")
    expect(page.get_by_text("オーバーレイ X", exact=True)).to_be_visible()
    expect(planes).to_have_count(1)
    screen.press("x")
    expect(page.get_by_text("オーバーレイを消した表示")).to_be_visible()
    expect(planes).to_have_count(0)
    expect(page.locator("[data-role='shutter'] path")).to_have_count(0)


def _middles(screen: Screen) -> npt.NDArray[np.int_]:
    """Return what the screen shows at the middle of each pixel of the image, without text."""
    page = screen.page
    page.evaluate("document.querySelector('.overlay').hidden = true")
    box = page.locator(".viewport canvas").bounding_box()
    assert box is not None
    taken = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L")).astype(int)
    page.evaluate("document.querySelector('.overlay').hidden = false")
    left, top, *_ = screen.view()["box"]  # on whole device pixels, not in the very middle
    x = box["x"] + left + 4 * (np.arange(greys.COLUMNS) + 0.5)
    y = box["y"] + top + 4 * (np.arange(greys.ROWS) + 0.5)
    return taken[np.ix_(np.floor(y).astype(int), np.floor(x).astype(int))]
