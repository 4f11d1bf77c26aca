"""What must never happen in the reading room (VIEWING, section 9): a test per row."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.neverhappen]


def test_2_two_windows_never_keep_two_patients(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    second = Screen(screen.page.context.new_page(), ward.address)
    second.page.goto(f"{ward.address}/study/{ward.keys['takahashi']}")
    second.until("window.__todoke.view?.ready === true", "the same patient in both")
    screen.frames(4)
    assert "髙橋" in screen.text("patient-name")
    second.page.goto(f"{ward.address}/study/{ward.keys['yamada']}")
    second.until("window.__todoke.view?.ready === true", "another patient")
    expect(screen.page.get_by_text("別の画面で他の患者を開いた")).to_be_visible()
    assert screen.page.locator(".viewport canvas").count() == 0
    assert screen.page.locator("[data-role='patient-name']").count() == 0
    assert "山田" in second.text("patient-name")


def test_3_a_window_of_ct_never_lies_on_another_modality(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    screen.press("5")
    screen.frames()
    assert screen.view()["width"] == 1500
    screen.page.locator(".banner .home").click()
    screen.open(ward.keys["yoshida"])
    own = screen.view()["width"]
    assert own != 1500
    screen.press("5")
    screen.frames()
    assert screen.view()["width"] == own
    assert f"W {own:.0f}" in screen.text("window")
    assert screen.page.locator(".ct-only").inner_text() == "CTのみ"
