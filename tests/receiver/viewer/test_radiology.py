"""CT and MR in the browser: what is on the screen is what is in the object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Page
from pydicom.pixels import apply_modality_lut, apply_windowing

from samples.pixelcode import read_code
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import PICTURE, Screen

pytestmark = pytest.mark.browser


def windowed(ds: pydicom.Dataset, width: float, center: float) -> npt.NDArray[np.float64]:
    """Return 0-255 by PS3.3 C.11.2.1.2.1, by pydicom and no code of ours."""
    ds.WindowWidth, ds.WindowCenter = width, center
    for tag in ("VOILUTSequence", "VOILUTFunction"):
        if tag in ds:
            delattr(ds, tag)
    shown = apply_windowing(apply_modality_lut(ds.pixel_array, ds), ds)
    lowest, highest = (0, 2**ds.BitsStored - 1)
    if ds.PixelRepresentation == 1:
        lowest, highest = -(2 ** (ds.BitsStored - 1)), 2 ** (ds.BitsStored - 1) - 1
    slope, intercept = float(ds.get("RescaleSlope", 1)), float(ds.get("RescaleIntercept", 0))
    low, high = lowest * slope + intercept, highest * slope + intercept  # pydicom's black, white
    return np.asarray((shown - low) / (high - low) * 255.0)


def at_one_to_one(screen: Screen, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Return the picture's part of the canvas at one image pixel a device pixel."""
    screen.press("j")
    screen.frames(4)
    assert screen.view()["scale"] == pytest.approx(1, abs=1e-6)
    canvas = screen.pixels(PICTURE)[..., 0]
    top, left = (canvas.shape[0] - rows + 1) // 2, (canvas.shape[1] - columns + 1) // 2
    return canvas[top : top + rows, left : left + columns]


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.parametrize(("key", "width", "center"), [("4", 400, 40), ("5", 1500, -600)])
def test_pixels_on_the_screen_are_those_that_pydicom_computes(
    screen: Screen, ward: Ward, key: str, width: int, center: int
) -> None:
    screen.open(ward.keys["takahashi"])
    screen.press(key)
    screen.frames()
    view = screen.view()
    assert (view["width"], view["center"]) == (width, center)
    assert f"W {width} L {center}" in screen.text("window")
    ds = pydicom.dcmread(ward.ct.files[view["place"]])
    assert str(ds.SOPInstanceUID) == view["sop"]
    expected = windowed(ds, width, center)
    shown = at_one_to_one(screen, ds.Rows, ds.Columns)
    assert np.abs(shown - expected).max() <= 1


def test_scrolling_shows_each_slice_in_its_place(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    for keys, place in (("Home", 0), ("ArrowDown", 1), ("End", 11), ("ArrowUp", 10)):
        screen.press(keys)
        screen.until(f"window.__todoke.view.place === {place}", f"slice {place}")
        screen.frames()
        assert screen.text("image-number") == f"{place + 1}/12"
        ds = pydicom.dcmread(ward.ct.files[place], stop_before_pixels=True)
        assert screen.text("position") == f"{float(ds.ImagePositionPatient[2]):.1f} mm"
        _, drawn = read_code(at_one_to_one(screen, 512, 512))
        assert drawn == ds.InstanceNumber
    picture = screen.page.locator("[data-role='picture']")
    picture.hover()
    screen.page.mouse.wheel(0, -100)
    screen.until("window.__todoke.view.place === 9", "one slice by the wheel")


def test_the_window_follows_the_hand_and_stays_over_slices(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    screen.press("4")
    screen.frames()
    box = screen.page.locator("[data-role='picture']").bounding_box()
    assert box is not None
    x, y = box["x"] + 400, box["y"] + 400
    mouse = screen.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 100, y + 50, steps=4)  # right is wider, down is brighter
    mouse.up()
    screen.frames()
    dragged = screen.view()
    assert dragged["width"] > 400
    assert dragged["center"] < 40
    assert "手動" in screen.text("window")
    screen.press("End")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    screen.frames()
    after = screen.view()
    assert (after["width"], after["center"]) == pytest.approx((dragged["width"], dragged["center"]))
    ds = pydicom.dcmread(ward.ct.files[11])
    expected = windowed(ds, after["width"], after["center"])
    assert np.abs(at_one_to_one(screen, 512, 512) - expected).max() <= 1


def test_windows_in_hu_are_for_ct_only(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["yoshida"])
    before = screen.view()
    screen.press("5")
    screen.frames()
    assert screen.view()["width"] == before["width"]
    assert screen.page.locator("button[data-preset='5']").is_disabled()
    screen.page.get_by_role("button", name="一覧").click()
    screen.open(ward.keys["takahashi"])
    assert screen.page.locator("button[data-preset='5']").is_enabled()


def test_the_scale_bar_and_the_zoom_are_true(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    spacing = float(pydicom.dcmread(ward.ct.files[0]).PixelSpacing[1])
    for keys in ((), ("NumpadAdd",), ("j",)):
        screen.press(*keys)
        screen.frames()
        scale = screen.view()["scale"]
        assert screen.text("zoom") == f"{scale * 100:.0f} %"
        bar = screen.page.locator("[data-role='scale-bar']")
        box = bar.locator("i").bounding_box()
        assert box is not None
        millimetres = float(bar.get_attribute("data-mm") or 0)
        assert box["width"] / scale * spacing == pytest.approx(millimetres, rel=0.02)


def test_edges_name_the_patients_sides_and_follow_a_flip(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])

    def read() -> list[str]:
        sides = ("left", "right", "top", "bottom")
        return [screen.page.locator(f".edge.{side}").inner_text() for side in sides]

    assert read() == ["右", "左", "前", "後"]
    before = at_one_to_one(screen, 512, 512)
    screen.press("h")
    screen.frames(4)
    assert read() == ["左", "右", "前", "後"]
    assert (at_one_to_one(screen, 512, 512)[:, 1:-1] == before[:, ::-1][:, 1:-1]).mean() > 0.98


_OTHER_RENDERER = """
for (const kind of [WebGLRenderingContext, WebGL2RenderingContext]) {
  const ask = kind.prototype.getParameter;
  kind.prototype.getParameter = function (name) {
    return name === 0x9246 ? 'a graphics card' : ask.call(this, name);
  };
}"""


@pytest.mark.slow
def test_a_graphics_card_draws_the_same_picture(page: Page, ward: Ward) -> None:
    page.add_init_script(_OTHER_RENDERER)
    screen = Screen(page, ward.address)
    screen.sign_in()
    screen.open(ward.keys["takahashi"])
    assert screen.view()["processor"] is False
    screen.press("4", "End")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    screen.frames(5)
    assert screen.view()["width"] == pytest.approx(400)
    assert screen.text("window").startswith("W 400 L 40")
    assert screen.text("image-number") == "12/12"
    expected = windowed(pydicom.dcmread(ward.ct.files[11]), 400, 40)
    shown = at_one_to_one(screen, 512, 512)
    difference = np.abs(shown - expected)
    assert difference.max() <= 1
