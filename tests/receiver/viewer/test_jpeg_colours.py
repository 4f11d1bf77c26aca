"""JPEGs whose colours the browser alone would take for others, shown as they are meant."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Browser
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import convert_color_space, get_decoder
from pydicom.uid import JPEGBaseline8Bit

from tests.receiver import jpegs
from tests.receiver.viewer import colours, greys
from tests.receiver.viewer.robot import at_one_to_one, steady
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_colours import Shown, distance

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
TABLE = Path(colours.__file__).parent.parent / "jpeg_colours.json"
CASES: list[dict[str, Any]] = json.loads(TABLE.read_text("utf-8"))
#: Of 255: two libraries decode one lossy stream (their inverse DCTs round apart), and colour of
#: fewer samples is spread over the pixels by each in its way, widest at the picture's edges.
NEAR, NEAR_SPREAD = 3, 60
SHOWN = [case for case in CASES if case["photometric"]]
LETTERS = [82, 71, 66]


def _instance(case: dict[str, Any]) -> Callable[[pydicom.Dataset], None]:
    def change(ds: pydicom.Dataset) -> None:
        colours._sound(ds)
        frame = jpegs.made(colours.picture(), **jpegs.asked(case))
        ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
        ds.PhotometricInterpretation = case["photometric"] or "OF THE MAKER"
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        ds.LossyImageCompression = "01"

    return change


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Serve a study with a series for each case of the table; it is open on a page."""
    folder = tmp_path_factory.mktemp("jpegs")
    kinds = {f"case{n}": _instance(case) for n, case in enumerate(CASES)}
    files = greys.write(folder, kinds)
    room = Room(folder / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        screen.open(key)
        yield Shown(screen, dict(zip(kinds, files, strict=True)))
        context.close()
    room.close()


def is_for_pydicom(case: dict[str, Any]) -> bool:
    """True where pydicom decides by these witnesses, and its decoder can follow.

    Pillow beneath it undoes by itself what an Adobe marker says, and fails where it is asked
    for YCbCr of components that are named R, G, B; it knows no witness in the sampling.
    """
    markers = {"adobe0", "adobe1"} & set(case["markers"])
    return not markers and "factors" not in case and case["ids"] != LETTERS


def of_pydicom(ds: pydicom.Dataset) -> npt.NDArray[np.uint8]:
    """Return what pydicom makes of a frame, its own mind about the colours followed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it was not of the data set's mind
        stored, told = get_decoder(JPEGBaseline8Bit).as_array(ds, raw=True)
    if told["photometric_interpretation"] == "RGB":
        return np.asarray(stored)
    return np.asarray(convert_color_space(stored, "YBR_FULL", "RGB"))


@pytest.mark.requirement("RAD-02")
@pytest.mark.parametrize("case", SHOWN, ids=lambda case: case["why"])
def test_colours_are_those_that_are_meant(shown: Shown, case: dict[str, Any]) -> None:
    ds = shown.series(f"case{CASES.index(case)}")
    frame = get_frame(ds.PixelData, 0)
    space = "RGB" if case["rgb"] else "YCBCR"
    meant = imagecodecs.jpeg_decode(frame, colorspace=space, outcolorspace="RGB")
    near = NEAR_SPREAD if "factors" in case else NEAR
    found = shown.picture()
    assert distance(found, meant) <= near
    if is_for_pydicom(case):
        assert distance(found, of_pydicom(ds)) <= near
    # a picture, and neither the other colours nor a turned one
    assert meant.std(axis=(0, 1)).min() > 10
    assert np.abs(found.astype(float) - colours.picture()).mean() < 4
    said = shown.screen.page.locator("[data-role='colours']")
    assert said.count() == case["doubtful"]
    if case["doubtful"]:
        assert "食い違っています" in said.inner_text()


@pytest.mark.requirement("RAD-02")
def test_colours_of_an_unknown_kind_are_no_picture(shown: Shown) -> None:
    number = next(n for n, case in enumerate(CASES) if not case["photometric"])
    page = shown.screen.page
    page.locator(f"button.thumb[title$=' case{number}']").click()
    chip = "document.querySelector('.load-chip')?.textContent ?? ''"
    shown.screen.until(f"({chip}).includes('表示できません')", "words in its place")
    assert shown.screen.view()["ready"] is False


@pytest.mark.requirement("RAD-02")
def test_a_real_file_without_the_marker_has_its_own_colours(
    browser: Browser, real_data: Path, tmp_path: Path
) -> None:
    """It, and its sister that has the marker."""
    folder = real_data / "dicom/pydicom/test_files"
    names = ("SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform_2.dcm")
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    for name in names:
        room = Room(tmp_path / name)
        room.bring([folder / name])
        with room.serve() as address:
            screen = Screen(context.new_page(), address)
            screen.sign_in()
            key = screen.page.locator("tr.row").get_attribute("data-key")
            assert key is not None
            screen.open(key)
            assert at_one_to_one(screen)
            apart = steady(screen, folder / name, 0)
            assert apart is not None
            assert apart <= NEAR
            assert screen.page.locator("[data-role='colours']").count() == 0
        room.close()
    context.close()
