"""Colour, ultrasound, nuclear medicine and PET: what the canvas shows is what pydicom computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Browser

from tests.receiver.viewer import colours
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import PICTURE, Screen
from tests.receiver.viewer.test_radiology import _OTHER_RENDERER

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
#: Of 255: two ways of rounding YBR to RGB; a lossy coding is decoded by two libraries.
NEAR = {"ybr": 1, "ybr-planes": 1, "ybr-422": 1, "jpeg": 3}


@dataclass
class Shown:
    """The study on one of the two paths."""

    screen: Screen
    files: dict[str, Path]

    def series(self, kind: str) -> pydicom.Dataset:
        """Show a series; gives its data set."""
        ds = pydicom.dcmread(self.files[kind])
        script = f"window.__todoke.view?.series === '{ds.SeriesInstanceUID}'"
        self.screen.page.locator(f"button.thumb[title$=' {kind}']").click()
        self.screen.until(f"{script} && window.__todoke.view.ready", kind)
        self.screen.frames(3)
        return ds

    def picture(self) -> npt.NDArray[np.uint8]:
        """Return the picture at one to one, rows x columns x RGB."""
        self.screen.press("j")
        self.screen.frames(4)
        assert self.screen.view()["scale"] == pytest.approx(1, abs=1e-6)
        canvas = self.screen.pixels(PICTURE)
        top = (canvas.shape[0] - colours.ROWS + 1) // 2
        left = (canvas.shape[1] - colours.COLUMNS + 1) // 2
        return canvas[top : top + colours.ROWS, left : left + colours.COLUMNS, :3]

    def mark(self, key: str, *points: tuple[float, float]) -> list[str]:
        """Make a mark by clicks at 1:1; gives the lines beside it."""
        self.screen.press("j", key)
        self.screen.frames(2)
        page = self.screen.page
        box = page.locator(".picture").first.bounding_box()
        assert box is not None
        for x, y in points:
            page.mouse.click(
                box["x"] + box["width"] / 2 + x - colours.COLUMNS / 2,
                box["y"] + box["height"] / 2 + y - colours.ROWS / 2,
            )
        self.screen.frames(2)
        lines = page.locator(".marks .mark").last.locator("text").all_text_contents()
        self.screen.press("Delete")  # marks are kept for whoever opens the study next
        self.screen.frames(2)
        assert page.locator(".marks .mark").count() == 0
        return lines


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, dict[str, Path]]]:
    """Serve a room with the study of colours; gives address, key and files."""
    folder = tmp_path_factory.mktemp("colours")
    files = colours.write(folder)
    room = Room(folder / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        yield address, key, dict(zip(colours.KINDS, files, strict=True))
    room.close()


@pytest.fixture(scope="module", params=["processor", "card"])
def shown(
    browser: Browser, laid: tuple[str, str, dict[str, Path]], request: pytest.FixtureRequest
) -> Iterator[Shown]:
    """The study, opened on the processor's or the card's path."""
    address, key, files = laid
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    if request.param == "card":
        page.add_init_script(_OTHER_RENDERER)
    screen = Screen(page, address)
    screen.sign_in()
    screen.open(key)
    assert screen.view()["processor"] is (request.param == "processor")
    yield Shown(screen, files)
    context.close()
    assert not wrong, wrong


def distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> int:
    """Return the largest difference of two pictures, of 255."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.parametrize("kind", colours.COLOURED)
def test_every_colour_is_that_of_pydicom(shown: Shown, kind: str) -> None:
    wanted = colours.expected(shown.series(kind))
    assert wanted.std(axis=(0, 1)).min() > 10  # a picture, and no single colour
    found = shown.picture()
    assert distance(found, wanted) <= NEAR.get(kind, 0), kind


@pytest.mark.requirement("RAD-02")
@pytest.mark.parametrize("kind", ["loop", "grey-loop"])
def test_each_frame_of_an_ultrasound_loop_has_its_own_pixels(shown: Shown, kind: str) -> None:
    ds = shown.series(kind)
    screen = shown.screen
    screen.press("Home")
    for frame in range(colours.FRAMES):
        screen.until(f"window.__todoke.view.frame === {frame + 1}", f"frame {frame + 1}")
        screen.frames(3)
        if kind == "loop":
            assert distance(shown.picture(), colours.expected(ds, frame)) == 0, frame
        else:
            assert np.abs(shown.picture()[..., 0] - windowed(ds, frame, screen)).max() <= 1, frame
        screen.press("ArrowDown")


@pytest.mark.requirement("RAD-04")
def test_counts_of_nuclear_medicine_go_through_the_window_that_is_told(shown: Shown) -> None:
    ds = shown.series("nuclear")
    shown.screen.press("Home")
    for frame in range(2):
        shown.screen.until(f"window.__todoke.view.frame === {frame + 1}", f"frame {frame + 1}")
        shown.screen.frames(3)
        assert np.abs(shown.picture()[..., 0] - windowed(ds, frame, shown.screen)).max() <= 1
        assert shown.mark("u", (40.5, 30.5)) == [str(ds.pixel_array[frame, 30, 40])]
        shown.screen.press("ArrowDown")


@pytest.mark.requirement("RAD-04")
def test_uptake_of_a_known_phantom_stands_under_the_probe(shown: Shown) -> None:
    ds = shown.series("pet")
    assert np.abs(shown.picture()[..., 0] - windowed(ds, 0, shown.screen)).max() <= 1
    for x, uptake in ((30.5, 1), (100.5, 2.5)):
        suv, activity = shown.mark("u", (x, 40.5))
        assert suv == f"SUV {uptake:.2f}"
        assert activity.endswith(" Bq/ml")
        assert float(activity.split()[0]) == pytest.approx(uptake * colours.ONE, abs=0.5)
    mean = shown.mark("e", (8, 8), (40, 40))[0]
    assert re.fullmatch(r"SUV 1\.00 ± 0\.00", mean)
    assert shown.screen.text("suv") == "SUVbw"
    shown.screen.press("1")
    shown.screen.frames(3)
    view = shown.screen.view()
    assert (view["width"], view["center"]) == pytest.approx((5 * colours.ONE, 2.5 * colours.ONE))
    assert shown.picture()[40, 30, 0] == pytest.approx(255 / 5, abs=1)
    shown.screen.press("0")


@pytest.mark.requirement("RAD-04")
def test_uptake_that_cannot_be_computed_is_activity_and_says_why(shown: Shown) -> None:
    shown.series("pet-no-weight")
    (activity,) = shown.mark("u", (30.5, 40.5))
    assert activity.endswith(" Bq/ml")
    assert shown.screen.text("suv") == "SUV算出不可 (体重なし): Bq/ml"
    before = shown.screen.view()["width"]
    shown.screen.press("1")
    shown.screen.frames(3)
    assert shown.screen.view()["width"] == before


def windowed(ds: pydicom.Dataset, frame: int, screen: Screen) -> npt.NDArray[np.float64]:
    """Return 0-255 of a frame by the window on the screen, PS3.3 C.11.2.1.2.1."""
    view = screen.view()
    stored = ds.pixel_array[frame] if int(ds.get("NumberOfFrames", 1)) > 1 else ds.pixel_array
    values = pydicom.pixels.apply_modality_lut(stored, ds)
    low = view["center"] - 0.5 - (view["width"] - 1) / 2
    return np.asarray(np.clip((values - low) / (view["width"] - 1) * 255.0, 0, 255))
