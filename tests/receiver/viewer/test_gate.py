"""Leaving, and what a person may see, in Chromium."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from common.web.accounts import Accounts
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import CLINIC, HOSPITAL, PASSWORD
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]


@pytest.fixture
def desk(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    yield context.new_page()
    context.close()


def test_a_name_that_is_typed_after_sign_out_stays(desk: Page, ward: Ward) -> None:
    """The page is loaded anew at sign-out; until then there is nothing to type into."""
    screen = Screen(desk, ward.address)
    screen.sign_in()
    held: list[Route] = []
    came = threading.Event()

    def hold(route: Route) -> None:
        held.append(route)
        came.set()

    desk.route("**/api/sign-out", hold)
    desk.get_by_role("button", name="サインアウト").click()
    expect(desk.get_by_text("サインアウトしています")).to_be_visible()
    assert desk.locator("tr.row").count() == 0, "and no patient is on the screen"
    assert desk.locator("input").count() == 0
    assert came.wait(20)
    with desk.expect_navigation():
        held[0].continue_()
    desk.get_by_label("利用者名").fill("mori")
    desk.wait_for_load_state("networkidle")
    assert desk.get_by_label("利用者名").input_value() == "mori"


def test_a_receiver_that_is_gone_at_sign_out_asks_for_the_next(desk: Page, ward: Ward) -> None:
    screen = Screen(desk, ward.address)
    screen.sign_in()
    desk.route("**/api/sign-out", lambda route: route.abort())
    desk.get_by_role("button", name="サインアウト").click()
    desk.get_by_label("利用者名").fill("mori")
    assert desk.get_by_label("利用者名").input_value() == "mori"
    assert desk.locator("tr.row").count() == 0


@pytest.mark.requirement("AUT-04")
def test_the_administrator_limits_a_reader(
    desk: Page, browser: Browser, ward: Ward, tmp_path: Path
) -> None:
    door = Accounts(ward.room.index)
    door.add("kanri-gate", PASSWORD, "管理 花子", "administrator")
    door.add("mori-gate", PASSWORD, "森医師")
    screen = Screen(desk, ward.address)
    screen.first_step("kanri-gate")
    row = desk.locator("tr[data-name='mori-gate']")
    row.get_by_role("button", name="全ての依頼元").click()
    dialog = desk.get_by_role("dialog")
    keep = dialog.get_by_role("button", name="決める")
    expect(keep).to_be_enabled()
    dialog.get_by_label("全ての依頼元").uncheck()
    expect(keep).to_be_disabled()
    dialog.get_by_label(CLINIC[1]).check()
    desk.screenshot(path=tmp_path / "limit.png")
    keep.click()
    expect(row.get_by_role("button", name=CLINIC[1])).to_be_visible()
    desk.screenshot(path=tmp_path / "limited.png")
    context = browser.new_context(locale="ja-JP")
    reader = Screen(context.new_page(), ward.address)
    reader.sign_in("mori-gate")
    codes = reader.page.locator("tr.row").all_inner_texts()
    assert codes
    assert all(CLINIC[1] in one and HOSPITAL[1] not in one for one in codes)
    # by address too: it is as if there were no such study
    for key in (ward.keys["takahashi"], "f" * 32):
        reader.page.goto(f"{ward.address}/study/{key}")
        expect(reader.page.get_by_text("E-1005")).to_be_visible()
        assert "髙橋" not in reader.page.locator("body").inner_text()
    context.close()
    door.disable("kanri-gate")
    door.disable("mori-gate")
