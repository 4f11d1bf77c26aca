"""What a page does where images are many or the line is slow: what is in view comes first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Request, expect

from samples.pixelcode import read_code
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_radiology import _OTHER_RENDERER, at_one_to_one

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]

IMAGE = 512 * 512 * 2  # bytes in the cache
FIT = 5
#: Of the memory that a browser tells of, in GiB, a quarter is the cache's, of which 3/4 are filled.
MEMORY = (FIT + 0.5) * IMAGE / 0.75 * 4 / 2**30
SLOW = 1.2e6  # bit/s: an image takes 3.5 s


@dataclass
class Traffic:
    """Requests for pictures of a page, in their order."""

    began: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Take note from now on."""

        def noting(kept: list[str]) -> object:
            return lambda request: kept.append(request.url) if _is_picture(request) else None

        page.on("request", noting(self.began))  # type: ignore[call-overload]
        page.on("requestfinished", noting(self.done))  # type: ignore[call-overload]
        page.on("requestfailed", noting(self.given_up))  # type: ignore[call-overload]

    def rest(self, screen: Screen) -> None:
        """Wait until nothing is on its way and nothing more is asked for."""
        quiet, seen = 0, -1
        while quiet < 4:
            screen.frames()
            ended = len(self.done) + len(self.given_up)
            quiet = quiet + 1 if ended == len(self.began) == seen else 0
            seen = len(self.began)


def shaped(page: Page) -> Callable[[float | None], None]:
    """Return what sets the bits a second that a page receives, all its answers together."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")

    def shape(bits: float | None) -> None:
        rate = -1 if bits is None else bits / 8
        conditions = {"offline": False, "latency": 0, "uploadThroughput": -1}
        session.send("Network.emulateNetworkConditions", {**conditions, "downloadThroughput": rate})

    return shape


def _is_picture(request: Request) -> bool:
    return "/frames/" in request.url or request.url.endswith("/thumbnail")


@pytest.mark.parametrize("card", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_of_more_images_than_can_be_held_the_nearest_are_and_none_is_wrong(
    page: Page, ward: Ward, card: bool
) -> None:
    page.add_init_script(f"Object.defineProperty(navigator, 'deviceMemory', {{value: {MEMORY}}})")
    if card:
        page.add_init_script(_OTHER_RENDERER)
    screen, traffic = Screen(page, ward.address), Traffic()
    screen.sign_in()
    said = page.locator("[data-role='mem-full']")
    traffic.watch(page)
    screen.open(ward.keys["takahashi"])
    expect(said).to_contain_text("画像が多く全部を保持できません。現在の前後を優先します")
    traffic.rest(screen)
    assert screen.view()["processor"] is not card
    assert screen.view()["held"] == FIT * IMAGE
    assert _frames(traffic.began) == FIT, "it comes to rest where no more can be held"
    for keys, place in (
        ("End", 11),
        ("ArrowUp", 10),
        ("Home", 0),
        *(("ArrowDown", n) for n in (1, 2)),
    ):
        screen.press(keys)
        screen.until(f"window.__todoke.view.place === {place}", f"slice {place}")
        screen.frames()
        assert screen.text("image-number") == f"{place + 1}/12"
        assert read_code(at_one_to_one(screen, 512, 512))[1] == place + 1
        traffic.rest(screen)
        assert screen.view()["held"] <= FIT * IMAGE
    assert _frames(traffic.began) < 4 * FIT, "nothing is fetched and let go in rounds"
    expect(said).to_be_visible()
    page.locator(".banner .home").click()
    expect(said).to_be_hidden()


def _frames(urls: list[str]) -> int:
    return sum("/frames/" in url for url in urls)


def test_on_a_slow_line_the_image_in_view_comes_before_those_ahead_of_it(
    screen: Screen, ward: Ward
) -> None:
    page, before = screen.page, Traffic()
    before.watch(page)
    screen.open(ward.keys["yamazaki"])  # the program itself is here then
    before.rest(screen)
    page.locator(".banner .home").click()
    traffic = Traffic()
    shape = shaped(page)
    shape(SLOW)
    traffic.watch(page)
    screen.open(ward.keys["takahashi"])
    first = traffic.done[0]
    assert "/frames/" in first, "small pictures come after what is in view"
    screen.until("window.__todoke.view.place === 6", "the first picture")
    while _frames(traffic.began) < 5:  # four are fetched ahead
        screen.frames()
    begun = len(traffic.began)
    screen.press("End")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    said = page.locator("[data-role='net-slow']")
    expect(said).to_have_text(
        re.compile(r"回線が遅くなっています \([01]\.\d Mbit/s\)。開いている範囲を先に送ります"),
    )
    last = next(url for url in traffic.began[begun:] if "/frames/" in url)
    ahead = [url for url in traffic.began[:begun] if "/frames/" in url and url != first]
    assert not set(ahead) & set(traffic.done), "what was fetched ahead had to wait"
    assert set(ahead) <= set(traffic.given_up)
    shape(None)
    traffic.rest(screen)
    assert last in traffic.done
    assert len({url for url in traffic.done if "/frames/" in url}) == 12, (
        "their turn has come again"
    )
    expect(said).to_be_hidden(timeout=20_000)


@pytest.mark.slow
def test_on_a_slow_line_tiles_that_a_view_has_left_give_way(screen: Screen, ward: Ward) -> None:
    page, traffic = screen.page, Traffic()
    page.set_viewport_size({"width": 800, "height": 600})
    screen.open(ward.keys["slide"])
    screen.settled()
    shape = shaped(page)
    shape(SLOW / 4)
    traffic.watch(page)
    screen.press("j")
    screen.until("window.__todoke.view.settled === false", "tiles to come")
    while not (left := [url for url in traffic.began if "," in url]):  # several of one level
        screen.frames()
    screen.press("Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowUp", "Shift+ArrowUp")
    screen.settled()
    assert not set(left) & set(traffic.done), "what is in view was not behind it"
    assert set(left) & set(traffic.given_up)
    shape(None)
    screen.press("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown")
    screen.settled()
    assert screen.view()["missing"] == 0
