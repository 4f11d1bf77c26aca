"""Upright monitors, radiographs of the breast, and a second window on a screen of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Browser, BrowserType, Page, expect
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
)

from samples import ct, names
from tests.receiver.filled import uid
from tests.receiver.viewer.conftest import Ward, start
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]

ROWS, COLUMNS = 512, 160  # narrower than a pane: fitted, it would stand in the middle
WALL = 16  # columns of full brightness at the chest wall
#: As they came from the device: neither right before left nor view by view.
STORED = (("L", "MLO"), ("R", "CC"), ("L", "CC"), ("R", "MLO"))


def radiographs(folder: Path, kind: str) -> Instances:
    """Write four radiographs of the breast, or two of the chest, one series each."""
    study = ct.write_series(folder, names.YAMADA, seed=5, count=1)
    (template,) = (folder / study.folder).rglob("*.dcm")
    files = []
    for number, (side, view) in enumerate(STORED if kind == "MG" else STORED[:2], start=1):
        ds = pydicom.dcmread(template)
        ds.Modality = kind
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = (
            DigitalMammographyXRayImageStorageForPresentation
            if kind == "MG"
            else ComputedRadiographyImageStorage
        )
        ds.SeriesInstanceUID, ds.SOPInstanceUID = uid(f"{kind}/{number}"), uid(f"{kind}/{number}/1")
        ds.StudyInstanceUID = uid(f"{kind}/study")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.SeriesNumber, ds.InstanceNumber = number, 1
        for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
            delattr(ds, name)
        ds.ImageLaterality, ds.ViewPosition = side, view
        ds.PatientOrientation = ["P", "FR"] if side == "R" else ["A", "FL"]
        pixels = np.full((ROWS, COLUMNS), 200, np.int16)
        pixels[:, slice(-WALL, None) if side == "R" else slice(WALL)] = 1000
        ds.Rows, ds.Columns = ROWS, COLUMNS
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        ds.WindowCenter, ds.WindowWidth = 500, 1000
        ds.PixelData = pixels.tobytes()
        path = folder / f"{kind}-{number}.dcm"
        ds.save_as(path)
        files.append(path)
    return Instances(files)


@dataclass
class Films:
    """A room with radiographs in it."""

    address: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Films]:
    """One study of the breast, one of the chest."""
    folder = tmp_path_factory.mktemp("films")
    room = Room(folder / "receiver")
    keys = {}
    for kind in ("MG", "CR"):
        own = folder / kind
        own.mkdir()
        made = radiographs(own, kind)
        keys[kind] = room.open_study(made)
        room.bring(made.files)
    with room.serve() as address:
        yield Films(address, keys)
    room.close()


def desk(browser: Browser, address: str, width: int, height: int) -> Screen:
    context = browser.new_context(viewport={"width": width, "height": height}, locale="ja-JP")
    screen = Screen(context.new_page(), address)
    screen.sign_in()
    return screen


def all_drawn(screen: Screen, count: int) -> None:
    every = f"v?.places.length === {count} && v.places.every((one) => one === 0)"
    screen.until(f"((v) => {every})(window.__todoke.view)", f"{count} pictures")
    screen.frames(3)


def picture(screen: Screen, pane: int) -> npt.NDArray[np.uint8]:
    selector = f".panes > .pane:nth-child({pane + 1}) .viewport canvas"
    return screen.pixels(selector)[..., 0]


def test_an_upright_monitor_has_r_beside_l_with_chest_walls_touching(
    browser: Browser, films: Films
) -> None:
    screen = desk(browser, films.address, 1200, 1600)
    page = screen.page
    screen.open(films.keys["MG"])
    all_drawn(screen, 2)
    assert screen.view()["layout"] == "1x2"
    sides = page.locator(".corner .side").all_inner_texts()
    assert [side.split()[-1] for side in sides] == ["R", "L"], sides
    walls_touch(screen)
    strip, panes = (page.locator(one).bounding_box() for one in (".strip", ".panes"))
    assert strip
    assert panes
    assert strip["y"] >= panes["y"] + panes["height"], "the strip is at the bottom"
    tools = page.locator(".tools").bounding_box()
    assert tools
    assert tools["y"] < panes["y"], "the tools are at the top"
    # taken away by the reader's hand, and back with the view
    screen.press("t")
    page.locator(".pane .picture").first.focus()
    page.mouse.move(300, 800)
    page.mouse.down()
    page.mouse.move(200, 800)
    page.mouse.up()
    screen.frames(3)
    assert picture(screen, 0)[400:600, -4:].max() < 200
    screen.press("Escape")
    screen.frames(3)
    walls_touch(screen)
    page.set_viewport_size({"width": 1600, "height": 1200})
    screen.frames(5)
    walls_touch(screen)
    page.context.close()


def walls_touch(screen: Screen) -> None:
    """Where the two pictures meet both are chest wall; at the outer edges neither is."""
    left, right = picture(screen, 0), picture(screen, 1)
    middle = slice(left.shape[0] // 2 - 50, left.shape[0] // 2 + 50)
    assert left[middle, -4:].min() > 230
    assert right[middle, :4].min() > 230
    assert left[middle, :40].max() < 200
    assert right[middle, -40:].max() < 200
    between = screen.page.evaluate(
        "(() => { const [a, b] = [...document.querySelectorAll('.pane .picture')]"
        ".map((one) => one.getBoundingClientRect()); return b.left - a.right; })()"
    )
    assert between <= 1, "no rail and no gap between them"


def test_a_wide_monitor_has_both_views_and_an_upright_one_a_single_radiograph(
    browser: Browser, films: Films
) -> None:
    screen = desk(browser, films.address, 1920, 1080)
    screen.open(films.keys["MG"])
    all_drawn(screen, 4)
    assert screen.view()["layout"] == "2x2"
    views = [
        [side.split()[-1], corner]
        for side, corner in zip(
            screen.page.locator(".corner .side").all_inner_texts(),
            screen.page.locator(".corner.br").all_inner_texts(),
            strict=True,
        )
    ]
    assert [side for side, _ in views] == ["R", "L", "R", "L"]
    assert ["CC" in how for _, how in views] == [True, True, False, False], views
    screen.page.context.close()
    screen = desk(browser, films.address, 1200, 1600)
    screen.open(films.keys["CR"])
    all_drawn(screen, 1)
    assert screen.view()["layout"] == "1x1"
    screen.page.context.close()


@pytest.fixture(scope="module")
def two_screens(chromium: BrowserType) -> Iterator[Browser]:
    """Chromium with a second monitor beside the first, as its headless form can have one."""
    started = start(chromium, more=("--screen-info={1920x1080}{1920,0 1200x1600}",))
    yield started
    started.close()


@pytest.fixture
def first(two_screens: Browser, ward: Ward) -> Iterator[Screen]:
    context = two_screens.new_context(no_viewport=True, locale="ja-JP")
    screen = Screen(context.new_page(), ward.address)
    screen.sign_in()
    yield screen
    context.close()


def allow(page: Page) -> None:
    """Let this page's context manage windows, as its person may in the browser's settings."""
    browser = page.context.browser
    assert browser
    session = browser.new_browser_cdp_session()
    targets = session.send("Target.getTargets")["targetInfos"]
    (own,) = {one["browserContextId"] for one in targets if one["url"] == page.url}
    session.send(
        "Browser.grantPermissions",
        {"permissions": ["windowManagement"], "browserContextId": own},
    )


def second_of(first: Screen) -> Screen:
    with first.page.context.expect_page() as opened:
        first.page.get_by_role("button", name="第2画面").click()
    return Screen(opened.value, first.address)


def place(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "({x: screenX, y: screenY, w: outerWidth, h: outerHeight})"
    )
    return found


def test_the_second_window_shows_what_the_first_opens_and_keeps_its_place(
    first: Screen, ward: Ward
) -> None:
    second = second_of(first)
    expect(second.page.locator("[data-role='second']")).to_be_visible()
    assert second.page.locator("tr.row").count() == 0, "no list: images alone"
    for slug in ("takahashi", "yamada"):
        first.open(ward.keys[slug])
        for screen in (first, second):
            screen.until("window.__todoke.view?.ready === true", "a picture")
            screen.frames(3)
        assert (
            second.text("patient-name") == first.text("patient-name") == second.text("image-name")
        )
        expect(second.page.locator(".strip")).to_be_hidden()
        expect(second.page.locator("[data-role='banner']")).to_be_visible()
        first.page.locator(".tools .back").click()
        expect(second.page.locator("[data-role='second']")).to_be_visible()
        assert second.page.locator("canvas").count() == 0
    # where it stands is said once, and is where it opens after that
    second.page.evaluate("(resizeTo(900, 700), moveTo(240, 130))")
    second.until("screenX === 240 && screenY === 130 && outerWidth === 900", "the window moved")
    stands = place(second.page)
    second.page.get_by_role("button", name="この画面に置く").click()
    expect(second.page.get_by_text("この位置を覚えました")).to_be_visible()
    second.page.close()
    again = second_of(first)
    again.until("screenX === 240 && screenY === 130 && outerWidth === 900", "the place of before")
    assert place(again.page) == stands
    kept = first.page.evaluate("JSON.stringify({...localStorage})")
    assert "髙橋" not in kept
    assert ward.keys["takahashi"] not in kept


def test_a_browser_that_may_manage_windows_opens_it_on_the_other_monitor(first: Screen) -> None:
    allow(first.page)
    count = first.page.evaluate("getScreenDetails().then(({screens}) => screens.length)")
    assert count == 2
    second = second_of(first)
    second.until("screenX >= 1920", "the other monitor")
    assert place(second.page)["h"] > 1080


def test_marks_of_one_window_are_not_undone_by_the_other(first: Screen, ward: Ward) -> None:
    second = second_of(first)
    first.open(ward.keys["yoshida"])
    for screen in (first, second):
        screen.until("window.__todoke.view?.ready === true", "a picture")
        screen.until("window.__todoke.view.saved === true", "what was kept before")
    first.press("k")
    expect(second.page.locator("[data-word='tool.key']").locator("..")).to_have_attribute(
        "aria-pressed", "true"
    )
    place = second.view()["place"]
    second.press("ArrowDown")
    second.until(f"window.__todoke.view.place === {place + 1}", "the next image")
    second.press("k")
    second.until("window.__todoke.view.saved === true", "kept")
    first.until("window.__todoke.view.saved === true", "kept")
    kept = first.page.evaluate(
        "(key) => fetch(`/api/studies/${key}/marks`).then((answer) => answer.json())",
        ward.keys["yoshida"],
    )
    assert len(kept["keys"]) == 2, kept
