"""VIEWING section 9: what must never happen in the reading room, a test a row."""

from __future__ import annotations

import pytest

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.neverhappen]


def test_row_2_compared_slides_are_all_of_the_patient_on_the_line(
    screen: Screen, ward: Ward
) -> None:
    page = screen.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    screen.open(ward.keys["slide"])
    screen.press("x", "x")
    screen.until("window.__todoke.view.panes === 4", "four panes")
    screen.settled()
    of_slide = {url.split("/studies/")[1].split("/")[0] for url in asked if "/dicomweb/" in url}
    assert len(of_slide) == 1, "panes ask for one study alone"
    name = screen.text("patient-name")
    page.locator("button.back").click()
    assert page.locator(".slide-pane").count() == 0, "panes go with their patient"
    asked.clear()
    screen.open(ward.keys["yamada"])
    assert screen.text("patient-name") != name
    assert page.locator(".slide-pane").count() == 0
    late = {url.split("/studies/")[1].split("/")[0] for url in asked if "/dicomweb/" in url}
    assert late.isdisjoint(of_slide)
