"""Small pictures of series: one that the receiver could not draw in time is asked for again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]


def test_a_small_picture_that_failed_is_asked_for_again(screen: Screen, ward: Ward) -> None:
    asked = []

    def late(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=406, body="{}")
        else:
            route.continue_()

    screen.page.route("**/thumbnail", late)
    screen.open(ward.keys["takahashi"])
    picture = "document.querySelector('img.thumb-picture')"
    screen.until(f"{picture}?.naturalWidth > 0", "a small picture")
    assert len(asked) == 2
    assert "none" not in (screen.page.locator("img.thumb-picture").get_attribute("class") or "")
