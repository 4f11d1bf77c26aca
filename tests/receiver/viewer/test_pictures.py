"""Pictures of the pages, kept as artefacts of CI; one of them is in the README.

With ``TODOKE_WRITE_DOCS=1`` in the environment ``docs/viewer.png`` is made anew.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "artifacts" / "viewer"
IN_README = ROOT / "docs" / "viewer.png"


def keep(page: Page, name: str) -> Image.Image:
    """Keep a picture of the page among the artefacts."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    taken = page.screenshot()
    (PICTURES / f"{name}.png").write_bytes(taken)
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    assert picture.size == (1920, 1080)
    assert len(picture.getcolors(1 << 24) or []) > 50  # not an empty page
    return picture


def test_pictures_of_the_pages(page: Page, ward: Ward) -> None:
    page.goto(ward.address)
    page.get_by_label("利用者名").wait_for()
    keep(page, "sign-in")
    screen = Screen(page, ward.address)
    screen.sign_in()
    work_list = keep(page, "work-list")
    screen.open(ward.keys["takahashi"])
    screen.press("4")
    screen.frames(5)
    page.wait_for_timeout(500)  # thumbnails
    keep(page, "ct")
    page.locator(".banner .home").click()
    screen.open(ward.keys["slide"])
    screen.press("4")
    screen.settled()
    page.wait_for_timeout(500)  # the label
    slide = keep(page, "slide")
    if os.environ.get("TODOKE_WRITE_DOCS") == "1":
        both = Image.new("RGB", (1280, 720 + 240), "#1c1c1c")
        both.paste(slide.resize((1280, 720), Image.Resampling.LANCZOS), (0, 240))
        both.paste(work_list.crop((0, 0, 1920, 360)).resize((1280, 240), Image.Resampling.LANCZOS))
        IN_README.parent.mkdir(exist_ok=True)
        both.quantize(256).save(IN_README, optimize=True)
    assert IN_README.exists()
