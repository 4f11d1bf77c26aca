"""The monitor check: patterns at device pixels, a guided walk, and what it says of itself."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from receiver.monitors import Monitors
from tests.receiver.filled import Filled
from tests.receiver.viewer.room import PASSWORD
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]


@pytest.mark.requirement("RAD-05", "RAD-06")
@pytest.mark.parametrize(
    "scale", [1, *(pytest.param(one, marks=pytest.mark.slow) for one in (1.25, 2))]
)
@pytest.mark.slow
def test_a_daily_check_by_keys(browser: Browser, tmp_path: Path, scale: float) -> None:
    filled = Filled(tmp_path / "receiver")
    filled.user(password=PASSWORD)
    filled.ct(count=1)
    context = browser.new_context(
        viewport={"width": 1600, "height": 900}, locale="ja-JP", device_scale_factor=scale
    )
    page = context.new_page()
    with filled.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        standing = page.locator("[data-role='monitor-standing']")
        expect(standing).to_contain_text("日常点検の期限です")
        standing.click()
        expect(page.locator("[data-role='monitor']")).to_contain_text("この画面は輝度を測りません")
        expect(page.locator(".scaled")).to_have_count(0 if scale in (1, 2) else 1)
        canvas = page.locator("canvas.pattern")
        screen.press("y", "y")
        expect(page.locator("[aria-current='step']")).to_contain_text("線対")
        lines(screen, scale)
        screen.press("y", "n")
        steps = page.locator(".check-steps")
        expect(steps).to_contain_text("✕ 4 階調")
        screen.press("y")
        expect(canvas).to_be_hidden()
        expect(page.get_by_label("製造番号")).to_have_value("")
        page.get_by_label("製造番号").fill("EIZO-7")
        page.get_by_label("管理グレード").select_option("1B")
        page.get_by_label("最大輝度").fill("160")
        page.get_by_label("最小輝度").fill("0.5")
        page.get_by_role("button", name="記録する").click()
        expect(page.locator(".monitor .failed")).to_contain_text("不合格です")
        expect(standing).to_contain_text("前回の点検は不合格です")
        constancy, daily = Monitors(filled.index).every()
        assert (daily["passed"], daily["answers"]["steps"]) == (False, False)
        assert (constancy["grade"], constancy["misses"]) == ("1B", ["lmax"])
        page.get_by_role("button", name="en", exact=True).click()
        expect(page.locator(".never")).to_have_text(
            "This page does not measure luminance. Enter what a luminance meter shows"
        )
    context.close()
    filled.close()


def lines(screen: Screen, scale: float) -> None:
    """Whether each line of the pair pattern is one pixel of the device, on the screen itself."""
    picture = screen.pixels("canvas.pattern")[..., 0]
    height, width = picture.shape
    shot = screen.page.locator("canvas.pattern").screenshot(scale="device")
    shown = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert abs(shown.shape[0] - height) <= 2
    assert abs(shown.shape[1] - width) <= 2
    middle = width // 2
    for row in (picture, shown):
        run = row[height // 2, middle - 200 : middle - 100].astype(int)
        assert set(np.abs(np.diff(run))) == {255}, "upright lines"
        column = row[height // 2 - 50 : height // 2 + 50, middle + 50].astype(int)
        assert set(np.abs(np.diff(column))) == {255}, "level lines"
