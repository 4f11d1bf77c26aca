"""Pictures of the pages, kept as artefacts of CI; one of them is in the README.

With ``TODOKE_WRITE_DOCS=1`` in the environment ``docs/viewer.png`` is made anew.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "artifacts" / "viewer"
IN_README = ROOT / "docs" / "viewer.png"


#: A usual screen, a larger one, an upright one.
USUAL, *OTHERS = (1920, 1080), (2560, 1440), (1200, 1600)


def keep(screen: Screen, name: str, drawn: Callable[[], None] | None = None) -> Image.Image:
    """Keep pictures of the page at three sizes among the artefacts; return that of a usual one."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for size in (*OTHERS, USUAL):
        screen.page.set_viewport_size({"width": size[0], "height": size[1]})
        screen.frames(5)
        if drawn is not None:
            drawn()
        taken = screen.page.screenshot()
        (PICTURES / f"{name}-{size[0]}x{size[1]}.png").write_bytes(taken)
        picture = Image.open(io.BytesIO(taken)).convert("RGB")
        assert picture.size == size
        assert len(picture.getcolors(1 << 24) or []) > 50  # not an empty page
    return picture


def test_pictures_of_the_pages(page: Page, ward: Ward) -> None:
    page.goto(ward.address)
    page.get_by_label("利用者名").wait_for()
    screen = Screen(page, ward.address)
    keep(screen, "sign-in")
    screen.sign_in()
    work_list = keep(screen, "work-list")
    screen.open(ward.keys["takahashi"])
    screen.press("4")
    screen.frames(5)
    page.wait_for_timeout(500)  # thumbnails
    keep(screen, "ct")
    page.locator(".banner .home").click()
    screen.open(ward.keys["slide"])
    screen.press("4")
    screen.settled()
    page.wait_for_timeout(500)  # the label
    slide = keep(screen, "slide", screen.settled)
    if os.environ.get("TODOKE_WRITE_DOCS") == "1":
        both = Image.new("RGB", (1280, 720 + 240), "#1c1c1c")
        both.paste(slide.resize((1280, 720), Image.Resampling.LANCZOS), (0, 240))
        both.paste(work_list.crop((0, 0, 1920, 360)).resize((1280, 240), Image.Resampling.LANCZOS))
        IN_README.parent.mkdir(exist_ok=True)
        both.quantize(256).save(IN_README, optimize=True)
    assert IN_README.exists()
