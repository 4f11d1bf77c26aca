"""Without WebGL the same picture: drawn by the processor, and said so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, BrowserType, expect

from samples import names
from tests.receiver.viewer.conftest import Ward, start
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_radiology import at_one_to_one, windowed

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]

_GL = "['webgl', 'webgl2'].map(kind => document.createElement('canvas').getContext(kind) !== null)"


@pytest.fixture(
    scope="module",
    params=[
        "--disable-3d-apis",
        pytest.param("--disable-software-rasterizer", marks=pytest.mark.slow),
    ],
)
def bare(chromium: BrowserType, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium that has no WebGL at all."""
    started = start(chromium, more=(request.param,))
    yield started
    started.close()


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.slow
def test_the_processor_draws_the_same_pixels_and_says_so(bare: Browser, ward: Ward) -> None:
    context = bare.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    screen = Screen(context.new_page(), ward.address)
    page = screen.page
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    screen.sign_in()
    assert page.evaluate(_GL) == [False, False]
    screen.open(ward.keys["takahashi"])
    screen.press("End", "6")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    screen.frames(3)
    view = screen.view()
    assert view["processor"] is True
    expect(page.get_by_text("画像処理装置なしで動作中 (表示は同じです)")).to_be_visible()
    ds = pydicom.dcmread(ward.ct.files[11])
    assert view["sop"] == ds.SOPInstanceUID
    expected = windowed(ds, view["width"], view["center"])
    assert np.abs(at_one_to_one(screen, ds.Rows, ds.Columns) - expected).max() <= 1
    page.locator(".banner .home").click()
    screen.open(ward.keys["slide"])
    screen.press("j")
    screen.settled()
    assert screen.text("patient-name") == names.YAMAZAKI.name.split("=")[1].replace("^", " ")
    assert screen.pixels(".slide-area .openseadragon-canvas canvas")[..., :3].std() > 5
    assert not wrong
    context.close()
