"""A case of several slides in the browser: each is chosen from the tray, and seen."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from samples import names
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import Room
from tests.receiver.viewer.screen import SLIDE, Screen
from tests.sender.slides.vendor_files import Svs

pytestmark = pytest.mark.browser


@pytest.mark.requirement("WSI-08")
def test_the_slides_of_a_case_are_chosen_from_the_tray(browser: Browser, tmp_path: Path) -> None:
    with closing(Room(tmp_path / "receiver")) as room:
        case = case_of(names.YOSHIDA, "2.25.4711")
        for number, stain in enumerate(("HE", "PAS"), 1):
            svs = Svs(width=100 + 600 * number, height=600, macro=False, label=False)
            one = dataclasses.replace(
                case, series_uid=f"2.25.4711.{number}", uid_seed=stain,
                series_number=number, series_description=stain,
            )  # fmt: skip
            slide = room.open_slide(svs.write(tmp_path / f"{stain}.svs"), one)
            slide.lay_out()
            slide.bring_all()
        with room.serve() as address:
            page = browser.new_page(viewport={"width": 1100, "height": 700}, locale="ja-JP")
            failures: list[str] = []
            page.on("pageerror", lambda error: failures.append(str(error)))
            screen = Screen(page, address)
            screen.sign_in()
            screen.open(slide.key)
            thumbs = page.locator(".tray .thumb")
            assert thumbs.all_inner_texts() == ["1 HE", "2 PAS"]
            scales: dict[int, float] = {}
            for chosen, key in ((0, ","), (1, "."), (0, ","), (1, "")):
                screen.press(key) if key else thumbs.nth(chosen).click()
                screen.until(
                    f"document.querySelectorAll('.tray .thumb')[{chosen}].ariaPressed === 'true'",
                    "the slide is chosen",
                )
                screen.press("0")
                screen.settled()
                screen.frames(3)
                assert screen.pixels(SLIDE)[..., :3].std() > 30, "there is a picture"
                assert page.locator(".overview canvas").count() >= 1
                scale = screen.view()["scale"]
                assert scales.setdefault(chosen, scale) == pytest.approx(scale)
            assert scales[0] != scales[1], "the whole of each is shown: they differ in width"
            assert failures == []
            page.close()
