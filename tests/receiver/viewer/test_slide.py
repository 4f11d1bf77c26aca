"""Slides in the browser: full resolution as decoded, true scale, hatched where nothing has come."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openslide
import pytest
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page

from receiver.waiting import any_wanted
from samples import names, slide
from sender import identity
from sender.slides import dicom
from tests.receiver.viewer.conftest import Ward, case_of
from tests.receiver.viewer.room import Room, SlideOnItsWay
from tests.receiver.viewer.screen import HATCH, SLIDE, Screen
from tests.sender.slides import dicom_files
from tests.sender.slides.vendor_files import CASE, Svs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

GROUND, STROKE = (0x3A, 0x3A, 0x3A), (0x5C, 0x5C, 0x5C)


def field(screen: Screen, size: tuple[int, int]) -> tuple[slice, slice, int, int]:
    """Return where the slide lies in its canvas, and which slide pixel is there first."""
    view = screen.view()
    ratio = float(screen.page.evaluate("devicePixelRatio"))
    left, top = (round(part * ratio) for part in view["origin"])
    height, width = screen.pixels(SLIDE).shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + size[0]), min(height, top + size[1])
    return slice(y0, y1), slice(x0, x1), x0 - left, y0 - top


def shown_and_true(screen: Screen, svs: Path) -> tuple[npt.NDArray[np.int16], ...]:
    """Return what is on the canvas at full resolution, and what OpenSlide reads there."""
    with openslide.OpenSlide(svs) as source:
        rows, columns, x, y = field(screen, source.dimensions)
        shown = screen.pixels(SLIDE)[rows, columns, :3].astype(np.int16)
        size = (shown.shape[1], shown.shape[0])
        true = np.asarray(source.read_region((x, y), 0, size).convert("RGB"), np.int16)
    return shown, true


@pytest.mark.requirement("WSI-01")
def test_full_resolution_equals_openslide_pixel_by_pixel(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["slide"])
    screen.press("j")
    screen.settled()
    screen.frames(3)
    assert screen.view()["scale"] == pytest.approx(1)
    shown, true = shown_and_true(screen, ward.svs)
    assert shown.shape[0] * shown.shape[1] > 1_000_000
    assert np.abs(shown - true).max() <= 1
    assert true.std() > 10  # there is tissue to compare


@pytest.mark.slow
def test_the_padding_of_edge_tiles_is_not_shown(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["slide"])
    screen.press("j", *["Shift+ArrowRight"] * 4, *["Shift+ArrowDown"] * 4)
    screen.settled()
    screen.frames(3)
    shown, true = shown_and_true(screen, ward.svs)
    assert np.abs(shown - true).max() <= 1
    view, canvas = screen.view(), screen.pixels(SLIDE)
    right = round(view["origin"][0]) + slide.QUICK_SIZE[0]
    assert right < canvas.shape[1] - 20  # the slide's edge is in view
    assert canvas[100, right + 10, 3] == 0 or tuple(canvas[100, right + 10, :3]) == GROUND


def bar_pixels(screen: Screen, box: FloatRect) -> int:
    """Return how long the scale bar is in the pixels of the screen."""
    around = {"x": box["x"] - 4, "y": box["y"], "width": box["width"] + 8, "height": box["height"]}
    with Image.open(io.BytesIO(screen.page.screenshot(clip=around, scale="device"))) as shot:  # type: ignore[arg-type]
        light = np.asarray(shot.convert("L")).max(axis=0) > 0x80
    return int(np.flatnonzero(light)[-1] - np.flatnonzero(light)[0] + 1)


@pytest.mark.parametrize(
    "ratio", [1, *(pytest.param(ratio, marks=pytest.mark.slow) for ratio in (1.25, 2))]
)
def test_the_scale_bar_is_true_at_each_device_pixel_ratio(
    browser: Browser, ward: Ward, ratio: float
) -> None:
    context = browser.new_context(
        viewport={"width": 1100, "height": 700}, locale="ja-JP", device_scale_factor=ratio
    )
    screen = Screen(context.new_page(), ward.address)
    screen.sign_in()
    screen.open(ward.keys["slide"])
    for key in ("0", "3", "4", "5"):
        screen.press(key)
        screen.settled()
        screen.frames()
        view = screen.view()
        bar = screen.page.locator("[data-role='scale-bar']")
        box = bar.locator("i").bounding_box()
        assert box is not None
        device_pixels = box["width"] * ratio
        assert bar_pixels(screen, box) == pytest.approx(device_pixels, abs=1.5)
        micrometres = float(bar.get_attribute("data-um") or 0)
        assert device_pixels * slide.MPP / view["scale"] == pytest.approx(micrometres, rel=0.01)
        if key == "0":
            # how large the slide is on the canvas is measured on the canvas itself
            canvas = screen.pixels(SLIDE)
            drawn = np.flatnonzero(canvas[canvas.shape[0] // 2, :, 3])
            width = (drawn[-1] - drawn[0] + 1) * slide.MPP / view["scale"]
            assert width == pytest.approx(slide.QUICK_SIZE[0] * slide.MPP, rel=0.01)
        else:
            times = {"3": 5, "4": 10, "5": 20}[key]
            assert view["um"] == pytest.approx(10 / times, rel=0.02)
            said = float(screen.text("magnification").removesuffix("x"))
            assert said == pytest.approx(10 / view["um"], abs=0.01)
    context.close()


@pytest.fixture
def coming(tmp_path: Path) -> Iterator[tuple[str, SlideOnItsWay]]:
    """A slide of which nothing has come but its lengths."""
    svs, drawn = slide.write_slide(tmp_path, names.YOSHIDA, size=slide.QUICK_SIZE)
    room = Room(tmp_path / "receiver")
    on_its_way = room.open_slide(svs, case_of(names.YOSHIDA, drawn.study_uid))
    on_its_way.lay_out()
    with room.serve() as address:
        yield address, on_its_way
    room.close()


def hatched(screen: Screen) -> npt.NDArray[np.bool_]:
    """Return where the hatch covers the slide, and check that it is of its two greys."""
    pixels = screen.pixels(HATCH)
    covered: npt.NDArray[np.bool_] = pixels[..., 3] == 255
    assert covered.any()
    greys = pixels[covered][:, :3]
    is_grey = (greys == GROUND).all(axis=1) | (greys == STROKE).all(axis=1)
    assert is_grey.mean() > 0.9  # the rest are the words 未着
    assert (greys == STROKE).all(axis=1).mean() > 0.1
    assert greys.max() < 0xE0
    return covered


@pytest.mark.requirement("WSI-10")
def test_what_has_not_come_is_hatched_at_every_zoom_and_never_white(
    page: Page, coming: tuple[str, SlideOnItsWay]
) -> None:
    address, slide_coming = coming
    screen = Screen(page, address)
    largest = slide_coming.place(0)
    screen.sign_in()
    screen.open(slide_coming.key)
    assert hatched(screen).any()  # nothing has come: the whole slide
    # all but the largest level: the whole slide is seen, full resolution is hatched
    slide_coming.bring_all(but_level=0)
    screen.until("window.__todoke.view.missing === 0", "the small levels")
    screen.settled()
    screen.frames(3)
    assert (screen.pixels(HATCH)[..., 3] == 0).all()
    assert (screen.pixels(SLIDE)[..., :3] > 0xE0).all(axis=2).any()  # glass
    for key in ("5", "6", "j"):
        screen.press(key)
        screen.frames(3)
        covered = hatched(screen)
        rows, columns, _, _ = field(screen, slide.QUICK_SIZE)
        if key == "j":
            assert covered[rows, columns].all()
    # the reader waits here: the frames in view are wanted first
    with slide_coming.room.index.read() as db:
        screen.frames(20)
        assert any_wanted(db)
    # one frame comes: it alone is shown, without a touch
    across = -(-slide.QUICK_SIZE[0] // 240)
    before = screen.view()["missing"]
    slide_coming.bring(largest, [4 * across + 6])
    screen.until(f"window.__todoke.view.missing === {before - 1}", "one frame less")
    screen.settled()
    slide_coming.bring(largest, [n for n in range(across * 10) if n != 4 * across + 6])
    screen.until("window.__todoke.view.missing === 0", "all frames")
    screen.settled()
    screen.frames(3)
    shown, true = shown_and_true(screen, slide_coming.slide.path)
    assert np.abs(shown - true).max() <= 1


@pytest.mark.requirement("WSI-01")
def test_tiles_of_a_sparse_level_and_of_its_parts_stand_where_they_lie(
    page: Page, tmp_path: Path
) -> None:
    svs = Svs(width=1280, height=768, tile=256, factors=(1, 4), label=False, macro=False)
    largest, small = dicom_files.levels(tmp_path, svs)
    whole = range(len(largest.frames))
    gone, kept = 7, [n for n in reversed(whole) if n != 7]  # in the middle, in another order
    made = [dicom_files.sparse(largest, kept), *dicom_files.parts(small, [1, 1])]
    paths = [
        dicom_files.write(tmp_path / f"{number}.dcm", header, frames, "empty")
        for number, (header, frames) in enumerate(made)
    ]
    opened = dicom.open_instances([whole_file(path) for path in paths])
    assert opened is not None
    room = Room(tmp_path / "receiver")
    coming = room.announce(opened, CASE)
    coming.lay_out()
    coming.bring_all()
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(coming.key)
        screen.press("j")
        screen.settled()
        screen.frames(3)
        assert screen.view()["missing"] == 0  # a tile that nobody made is not awaited
        rows, columns, x, y = field(screen, (1280, 768))
        shown = screen.pixels(SLIDE)[rows, columns, :3].astype(np.int16)
    room.close()
    true = np.zeros((768, 1280, 3), np.int16)
    seen = np.zeros((768, 1280), bool)
    for number in kept:
        down, along = divmod(number, largest.across)
        at = slice(down * 256, down * 256 + 256), slice(along * 256, along * 256 + 256)
        true[at] = np.asarray(Image.open(io.BytesIO(largest.frames[number])), np.int16)
        seen[at] = True
    part = slice(y, y + shown.shape[0]), slice(x, x + shown.shape[1])
    assert not seen[part].all(), f"tile {gone} is in view"
    assert seen[part].sum() > 500_000
    assert np.abs(shown - true[part])[seen[part]].max() <= 2


def whole_file(path: Path) -> dicom.Whole:
    known = identity.read(str(path))
    assert known is not None
    one = known.instance
    uids = one.sop_uid, one.sop_class, one.transfer_syntax
    return dicom.Whole(path, *uids, one.offset, one.length)
