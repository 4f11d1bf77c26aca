"""From stored pixels to grey: what the canvas shows is what pydicom computes, on both paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Browser

from tests.receiver.viewer import greys
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_radiology import _OTHER_RENDERER, at_one_to_one

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]


@dataclass
class Shown:
    """The study on one of the two paths."""

    screen: Screen
    key: str
    files: dict[str, Path]

    def series(self, kind: str) -> pydicom.Dataset:
        """Show a series; gives its data set."""
        ds = pydicom.dcmread(self.files[kind])
        script = "window.__todoke.view?.series === '" + str(ds.SeriesInstanceUID) + "'"
        self.screen.page.locator(f"button.thumb[title$=' {kind}']").click()
        self.screen.until(f"{script} && window.__todoke.view.ready", kind)
        self.screen.frames(3)
        return ds

    def picture(self) -> npt.NDArray[np.uint8]:
        """Return the picture at one to one."""
        return at_one_to_one(self.screen, greys.ROWS, greys.COLUMNS)


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, dict[str, Path]]]:
    """Serve a room with the study of greys; gives address, key and files."""
    folder = tmp_path_factory.mktemp("greys")
    files = greys.write(folder, greys.KINDS)
    room = Room(folder / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        yield address, key, dict(zip(greys.KINDS, files, strict=True))
    room.close()


@pytest.fixture(scope="module", params=["processor", pytest.param("card", marks=pytest.mark.slow)])
def shown(
    browser: Browser, laid: tuple[str, str, dict[str, Path]], request: pytest.FixtureRequest
) -> Iterator[Shown]:
    """The study, opened on the processor's or the card's path."""
    address, key, files = laid
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    if request.param == "card":
        page.add_init_script(_OTHER_RENDERER)
    screen = Screen(page, address)
    screen.sign_in()
    screen.open(key)
    assert screen.view()["processor"] is (request.param == "processor")
    yield Shown(screen, key, files)
    context.close()
    assert not wrong, wrong


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.parametrize("kind", [kind for kind in greys.KINDS if kind != "frames"])
def test_every_way_to_grey_is_that_of_pydicom(shown: Shown, kind: str) -> None:
    ds = shown.series(kind)
    difference = np.abs(shown.picture() - greys.expected(ds))
    assert difference.max() <= 1, (kind, difference.max(), shown.screen.text("window"))


@pytest.mark.requirement("RAD-02", "RAD-04")
def test_each_frame_has_its_own_rescale_and_its_own_values(shown: Shown) -> None:
    ds = shown.series("frames")
    screen = shown.screen
    screen.press("Home")
    for frame in range(3):
        screen.until(f"window.__todoke.view.frame === {frame + 1}", f"frame {frame + 1}")
        screen.press("4", "0")  # from a preset back to what this frame brings
        screen.frames(3)
        assert np.abs(shown.picture() - greys.of_frame(ds, frame)).max() <= 1, frame
        screen.press("ArrowDown")
