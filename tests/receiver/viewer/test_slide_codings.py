"""Tiles that the browser cannot decode are decoded in the page, with the colours they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pytest
from playwright.sync_api import Browser
from sqlalchemy import select

from receiver import index
from samples import names, slide
from tests.receiver.viewer.coded import CODINGS, SIZE, Coding, Pixels, write
from tests.receiver.viewer.room import CLINIC, Room
from tests.receiver.viewer.screen import SLIDE, Screen

pytestmark = pytest.mark.browser


@dataclass
class Coded:
    """A page with one study on it, one slide for each coding."""

    screen: Screen
    tissue: Pixels
    aperio: dict[str, Path]


@pytest.fixture(scope="module")
def coded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coded]:
    folder = tmp_path_factory.mktemp("coded")
    svs, _ = slide.write_slide(folder, names.YAMAZAKI, size=slide.QUICK_SIZE)
    with openslide.OpenSlide(svs) as source:
        tissue = np.asarray(source.read_region((1300, 900), 0, SIZE).convert("RGB"))
    assert tissue.std() > 10  # there is tissue to compare
    written = {coding.name: write(coding, tissue, folder) for coding in CODINGS}
    room = Room(folder / "receiver")
    room.bring([dicom for dicom, _ in written.values()], CLINIC)
    with room.index.read() as db:
        key = str(db.execute(select(index.studies.c.key)).scalar())
    context = browser.new_context(viewport={"width": 1100, "height": 900}, locale="ja-JP")
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        screen.open(key)
        yield Coded(screen, tissue, {n: svs for n, (_, svs) in written.items() if svs})
        context.close()
    room.close()


def shown(coded: Coded, coding: Coding) -> Pixels:
    """Return the slide of a coding as the canvas has it, at one pixel a pixel."""
    screen = coded.screen
    screen.page.locator(".tray .thumb").nth(CODINGS.index(coding)).click()
    screen.until("window.__todoke.view?.ready === true", "a slide")
    screen.press("j")
    screen.settled()
    screen.frames(3)
    view = screen.view()
    assert (view["missing"], view["scale"]) == (0, pytest.approx(1)), coding
    x, y = (round(part) for part in view["origin"])
    return screen.pixels(SLIDE)[y : y + SIZE[1], x : x + SIZE[0], :3]


def distance(one: Pixels, other: Pixels) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())


@pytest.mark.requirement("WSI-07")
@pytest.mark.parametrize("name", ["33005", "33003"])
def test_the_colour_of_jpeg_2000_is_openslides(coded: Coded, name: str) -> None:
    coding = next(one for one in CODINGS if one.name == name)
    with openslide.OpenSlide(coded.aperio[name]) as source:
        assert source.properties["openslide.vendor"] == "aperio"
        true = np.asarray(source.read_region((0, 0), 0, SIZE).convert("RGB"))
    page = shown(coded, coding)
    assert distance(page, true) <= 2
    assert 0 < distance(page, coded.tissue) < 60  # lossy, and the same tissue
    assert "非可逆" in coded.screen.page.locator(".facts").inner_text()


@pytest.mark.requirement("DCM-04", "WSI-05")
@pytest.mark.parametrize("name", ["rct", "rgb", "htj2k", "jls", "native"])
def test_lossless_tiles_are_shown_value_by_value(coded: Coded, name: str) -> None:
    page = shown(coded, next(one for one in CODINGS if one.name == name))
    assert distance(page, coded.tissue) == 0
    said = coded.screen.page.locator(".facts").inner_text()
    assert "可逆" in said
    assert "非可逆" not in said


def test_irreversible_htj2k_has_its_colours(coded: Coded) -> None:
    page = shown(coded, next(one for one in CODINGS if one.name == "htj2k-ict"))
    assert 0 < distance(page, coded.tissue) < 60
    mean = page.astype(float).mean((0, 1)) - coded.tissue.astype(float).mean((0, 1))
    assert np.abs(mean).max() < 1


@pytest.mark.requirement("WSI-05")
@pytest.mark.parametrize(("name", "doubtful"), [("jpeg-rgb", False), ("jpeg-jfif", True)])
def test_jpeg_has_the_colours_that_are_meant(coded: Coded, name: str, doubtful: bool) -> None:
    page = shown(coded, next(one for one in CODINGS if one.name == name))
    apart = np.abs(page.astype(int) - coded.tissue)
    assert apart.mean() < 3  # of a lossy coding; the wrong colours are far beyond
    assert np.abs(page.mean((0, 1)) - coded.tissue.mean((0, 1))).max() < 1
    said = "document.querySelector(\".facts [data-role='colours']\")"
    coded.screen.until(f"Boolean({said}) === {str(doubtful).lower()}", "what is in doubt")
