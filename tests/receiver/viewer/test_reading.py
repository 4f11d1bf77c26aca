"""The radiology screen: panes in step, lengths and values, marks that are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, Page
from typer.testing import CliRunner

from common.web.accounts import Accounts
from receiver.cli import app as receiver
from tests.receiver.viewer import phantoms
from tests.receiver.viewer.room import PASSWORD, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]
OTHER = "kobayashi"
#: A canvas is as wide and high as it is shown: squeezed, its millimetres and its zoom are false.
ROUND = """[...document.querySelectorAll('.viewport canvas')].every(one => {
  const box = one.getBoundingClientRect();
  return Math.abs(one.width - box.width) < 2 && Math.abs(one.height - box.height) < 2;
})"""


@dataclass
class Reading:
    """A reader before a study with an earlier one beside it."""

    screen: Screen
    key: str
    now: Instances
    before: Instances
    room: Room
    aspect: float = 1.0  # of the pixels of the series on the screen

    @property
    def page(self) -> Page:
        """The page."""
        return self.screen.page

    def fresh(self) -> None:
        """Open the study anew."""
        self.page.goto(f"{self.screen.address}/study/{self.key}")
        self.screen.until("window.__todoke.view?.ready === true", "a picture")
        self.screen.frames(4)

    def series(self, words: str) -> None:
        """Open a series by its description."""
        self.page.locator(".thumb", has_text=words).click()
        self.page.locator(".pane.active, .pane").first.locator(".picture").focus()
        self.screen.until("window.__todoke.view.ready", words)
        self.screen.frames(4)
        self.aspect = phantoms.ROWS / phantoms.COLUMNS if words == "oblong" else 1.0

    def text(self, pane: int, role: str) -> str:
        """Return a corner's text of one pane."""
        return self.page.locator(f".pane:nth-child({pane}) [data-role='{role}']").inner_text()

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of a picture lies that is shown in the middle at 1:1."""
        box = self.page.locator(".picture").first.bounding_box()
        assert box is not None
        size = phantoms.SIZE / 2
        scale = float(self.screen.view()["scale"])
        return (
            box["x"] + box["width"] / 2 + (x - size) * scale,
            box["y"] + box["height"] / 2 + (y - size) * scale * self.aspect,
        )

    def mark(self, key: str, *points: tuple[float, float]) -> str:
        """Make a mark by clicks and return what stands beside it."""
        self.screen.press(key)
        for x, y in points:
            self.page.mouse.move(*self.point(x, y))
            self.page.mouse.down()
            self.page.mouse.up()
        self.screen.frames(2)
        return " | ".join(
            self.page.locator(".marks .mark").last.locator("text").all_text_contents()
        )


@pytest.fixture(scope="module")
def reading(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """One page for the tests of this file: each begins with a fresh study."""
    folder = tmp_path_factory.mktemp("reading")
    room = Room(folder / "receiver")
    Accounts(room.index).add(OTHER, PASSWORD, "小林医師")
    now, before = phantoms.current(folder), phantoms.earlier(folder)
    key = room.open_study(now)
    room.open_study(before)
    room.bring(now.files)
    room.bring(before.files)
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        yield Reading(screen, key, now, before, room)
        context.close()
    room.close()


def first_number(words: str) -> float:
    """Return the first figure of a label."""
    found = re.search(r"-?\d+(\.\d+)?", words)
    assert found is not None, words
    return float(found[0])


@pytest.mark.requirement("RAD-04")
def test_lengths_are_those_of_the_phantom(reading: Reading) -> None:
    reading.fresh()
    reading.series("oblong")
    reading.screen.press("1")
    sloped = reading.mark("d", (20, 30), (100, 90))
    wanted = np.hypot(80 * phantoms.COLUMNS, 60 * phantoms.ROWS)
    assert first_number(sloped) == pytest.approx(wanted, rel=0.005)
    assert "mm" in sloped
    assert "検出器面" not in sloped
    right = reading.mark("a", (100, 40), (40, 40), (40, 100))
    assert first_number(right) == pytest.approx(90, abs=0.2)
    half = reading.mark("a", (100, 20), (60, 20), (60 + 40, 20 + 40 * 2.5))  # 45 degrees in mm
    assert first_number(half) == pytest.approx(45, abs=0.5)


@pytest.mark.requirement("RAD-04")
def test_values_under_the_probe_and_in_an_ellipse_are_of_the_modality_lut(
    reading: Reading,
) -> None:
    reading.fresh()
    reading.series("oblong")
    column, row = 37, 81
    assert reading.mark("u", (column + 0.5, row + 0.5)) == f"{2 * (3 * row + column) - 1000} HU"
    words = reading.mark("e", (30, 50), (70, 90))
    y, x = np.mgrid[0 : phantoms.SIZE, 0 : phantoms.SIZE]
    inside = ((x + 0.5 - 50) / 20) ** 2 + ((y + 0.5 - 70) / 20) ** 2 <= 1
    values = (2 * (3 * y + x) - 1000)[inside]
    mean, deviation = re.findall(r"-?\d+\.\d", words)[:2]
    assert float(mean) == pytest.approx(values.mean(), abs=4)  # half a pixel of the hand
    assert float(deviation) == pytest.approx(values.std(), rel=0.02)
    area = float(re.findall(r"(\d+\.\d) mm²", words)[0])
    assert area == pytest.approx(np.pi * 400 * phantoms.ROWS * phantoms.COLUMNS, rel=0.01)


@pytest.mark.slow
@pytest.mark.neverhappen
@pytest.mark.requirement("RAD-04")
def test_a_length_at_the_detector_says_so_and_without_spacing_it_is_of_pixels(
    reading: Reading,
) -> None:
    reading.fresh()
    reading.series("plate")
    words = reading.mark("d", (20, 60), (100, 60))
    assert first_number(words) == pytest.approx(80 * phantoms.IMAGER, rel=0.005)
    assert "検出器面" in words
    assert "実寸ではありません" in reading.text(1, "spacing")
    reading.series("sound")
    words = reading.mark("d", (10, 20), (50, 20))
    assert first_number(words) == pytest.approx(40 * phantoms.ULTRASOUND * 10, rel=0.005)
    assert "mm" in words
    words = reading.mark("d", (40, 60), (100, 60))  # out of the region that is measured
    assert words.split(" ")[-1] == "px"
    assert first_number(words) == pytest.approx(60, abs=1)


@pytest.mark.slow
@pytest.mark.neverhappen
def test_sides_are_right_after_turning_and_mirroring(reading: Reading) -> None:
    reading.fresh()

    def read() -> list[str]:
        return [
            reading.page.locator(f".edge.{side}").inner_text()
            for side in ("left", "right", "top", "bottom")
        ]

    assert read() == ["右", "左", "前", "後"]
    reading.screen.press("r")
    reading.screen.frames(4)
    assert read() == ["後", "前", "右", "左"]
    reading.screen.press("h")
    reading.screen.frames(4)
    assert "反転表示" in reading.page.locator(".corner.bl").inner_text()
    turned = read()
    assert set(turned[:2]) == {"前", "後"}
    assert set(turned[2:]) == {"右", "左"}
    reading.series("plate")
    assert read() == ["右", "左", "頭", "足"]
    reading.screen.press("h")
    reading.screen.frames(4)
    assert read() == ["左", "右", "頭", "足"]


def position(path: object) -> float:
    """Return where a slice lies along the table, mm."""
    return float(pydicom.dcmread(str(path), stop_before_pixels=True).ImagePositionPatient[2])


@pytest.mark.neverhappen
def test_the_prior_lies_beside_in_a_frame_of_its_own_and_scrolls_in_step(reading: Reading) -> None:
    reading.fresh()
    reading.screen.press("p")
    reading.page.locator(".pane.prior [data-role='image-number']").wait_for()
    reading.screen.until("window.__todoke.view.places.every(place => place >= 0)", "both")
    reading.screen.until(ROUND, "pictures that no layout has squeezed")
    assert reading.text(2, "prior-tag").startswith("過去 2025-04-01")
    assert reading.text(1, "image-name") == reading.text(2, "image-name")
    border = "getComputedStyle(document.querySelector('.pane.prior')).borderTopStyle"
    assert reading.page.evaluate(border) == "double"
    reading.screen.press("Home")
    reading.screen.until("window.__todoke.view.place === 0", "the first slice")
    reading.screen.press("l")
    assert reading.screen.view()["linked"] == "position"
    start = reading.screen.view()["places"]
    reading.screen.press("End")
    reading.screen.until("window.__todoke.view.place === 11", "the last slice")
    reading.screen.frames(6)
    now, then = (
        [position(p) for p in reading.now.files[:12]],
        [position(p) for p in reading.before.files],
    )
    wished = then[start[1]] + (now[11] - now[start[0]])
    nearest = int(np.argmin(np.abs(np.array(then) - wished)))
    reading.screen.until(f"window.__todoke.view.places[1] === {nearest}", f"the prior at {nearest}")
    reading.screen.press("p")
    assert reading.page.locator(".pane.prior").count() == 0


@pytest.mark.slow
def test_lines_show_where_the_other_plane_cuts(reading: Reading) -> None:
    reading.fresh()
    reading.page.locator("[data-layout='1x2']").click()
    reading.page.locator(".pane:nth-child(2) .picture").click()
    reading.series("coronal")
    reading.page.locator(".pane:nth-child(1) .picture").focus()
    reading.screen.press("y")
    line = reading.page.locator(".pane:nth-child(2) .marks .reference")
    line.wait_for(state="attached")
    coronal = pydicom.dcmread(reading.now.files[13])
    place = int(reading.text(1, "image-number").split("/")[0]) - 1
    row = (float(coronal.ImagePositionPatient[2]) - position(reading.now.files[place])) / 2 + 0.5
    scale = reading.screen.view()["scales"][1]
    box = reading.page.locator(".pane:nth-child(2) .picture").bounding_box()
    assert box is not None
    y1, y2 = (float(line.get_attribute(name) or 0) for name in ("y1", "y2"))
    assert y1 == pytest.approx(y2, abs=0.5)
    assert y1 == pytest.approx(box["height"] / 2 + (row - phantoms.SIZE / 2) * scale, abs=1.5)


def test_tab_goes_from_pane_to_pane_and_f6_leaves_them(reading: Reading) -> None:
    reading.fresh()
    reading.page.locator("[data-layout='2x2']").click()
    reading.page.locator(".pane:nth-child(1) .picture").focus()
    seen = []
    for _ in range(4):
        reading.screen.press("Tab")
        seen.append(reading.screen.view()["active"])
    assert seen == [1, 2, 3, 0]
    reading.screen.press("F6")
    assert reading.page.evaluate("document.activeElement.closest('.tools') !== null")
    reading.page.locator("[data-layout='1x1']").click()


@pytest.mark.slow
def test_keys_are_known_by_their_place_while_an_input_method_is_on(reading: Reading) -> None:
    reading.fresh()
    reading.page.evaluate(
        """document.dispatchEvent(new KeyboardEvent('keydown',
           {code: 'KeyD', key: 'Process', keyCode: 229, bubbles: true}))"""
    )
    assert reading.page.locator(".tools [aria-pressed='true']").first.inner_text() == "距離 D"


@pytest.mark.neverhappen
def test_marks_come_back_for_their_reader_and_for_no_other(
    reading: Reading, browser: Browser
) -> None:
    reading.fresh()
    reading.series("oblong")
    before = reading.screen.view()["marks"]
    label = reading.mark("d", (25, 15), (105, 15))
    reading.screen.press("k")
    reading.screen.until("window.__todoke.view.saved", "marks are kept")
    reading.fresh()
    reading.series("oblong")
    reading.screen.until(f"window.__todoke.view.marks === {before + 1}", "marks are back")
    reading.screen.frames(2)
    assert label in reading.page.locator(".marks text").all_text_contents()
    assert reading.text(1, "key-image").startswith("★")
    reading.screen.press("Delete")
    assert reading.screen.view()["marks"] == before
    reading.screen.press("Control+z")
    assert reading.screen.view()["marks"] == before + 1
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    other = Screen(context.new_page(), reading.screen.address)
    other.sign_in(OTHER)
    other.open(reading.key)
    answer = other.page.request.get(f"{other.address}/api/studies/{reading.key}/marks")
    assert answer.json() == {"marks": [], "keys": [], "layout": None}
    assert other.view()["marks"] == 0
    context.close()


@pytest.mark.slow
def test_the_verb_says_who_has_marked_what(reading: Reading) -> None:
    folder = reading.room.store.root.parent
    told = CliRunner().invoke(receiver, ["marks", "list", "--json", "--data", str(folder)])
    assert told.exit_code == 0, told.output
    (one,) = json.loads(told.stdout)["marks"]
    assert one["study"] == reading.key
    assert one["marks"] > 0


def test_planes_through_the_volume_lie_where_the_slices_do(reading: Reading) -> None:
    reading.fresh()
    reading.screen.press("m")
    reading.screen.until("window.__todoke.view.mpr === true", "the volume")
    ds = pydicom.dcmread(reading.now.files[0])
    z = [position(path) for path in reading.now.files[:12]]
    middle = np.array(reading.screen.view()["crosshair"])
    wanted = [
        float(ds.ImagePositionPatient[0]) + 255.5 * float(ds.PixelSpacing[1]),
        float(ds.ImagePositionPatient[1]) + 255.5 * float(ds.PixelSpacing[0]),
        (min(z) + max(z)) / 2,
    ]
    assert middle == pytest.approx(wanted, abs=0.01)
    coronal = reading.screen.pixels("canvas[data-face='coronal']")[..., 0]
    spacing = float(ds.PixelSpacing[0])
    assert coronal.shape == (round((max(z) - min(z)) / spacing) + 1, 512)
    view = reading.screen.view()
    # the first row of the coronal plane is row 255.5 of the slice nearest the head
    top = pydicom.dcmread(reading.now.files[int(np.argmax(z))])
    line = top.pixel_array[255:257].mean(axis=0) * float(top.RescaleSlope) + float(
        top.RescaleIntercept
    )
    low = view["center"] - 0.5 - (view["width"] - 1) / 2
    expected = np.clip((line - low) / (view["width"] - 1) * 255, 0, 255)
    assert np.abs(coronal[0] - expected).max() <= 1
    reading.page.locator("[data-role='slab']").select_option("20")
    reading.screen.frames(2)
    slab = reading.screen.pixels("canvas[data-face='coronal']")[..., 0]
    assert (slab.astype(int) >= coronal.astype(int) - 1).mean() > 0.999
    assert slab.mean() > coronal.mean()
    reading.screen.press("m")


@pytest.mark.slow
def test_an_image_is_gone_to_by_number_and_cine_walks_on(reading: Reading) -> None:
    reading.fresh()
    reading.screen.press("g")
    reading.page.locator("[data-role='go-to']").fill("3")
    reading.screen.press("Enter")
    reading.screen.until("window.__todoke.view.place === 2", "image 3")
    reading.screen.press("c")
    reading.screen.until("window.__todoke.view.place > 3", "cine")
    reading.screen.press("c")
    assert "false" in str(
        reading.page.get_by_role("button", name="動画 C").get_attribute("aria-pressed")
    )
