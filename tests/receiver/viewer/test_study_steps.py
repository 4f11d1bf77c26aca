"""引受け, 照会, 完了 from the open study, and what the lock takes away meanwhile."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import PASSWORD
from tests.receiver.viewer.screen import PICTURE, Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]


@pytest.mark.requirement("AUT-06")
def test_steps_from_the_study_and_a_lock_over_a_question(screen: Screen, ward: Ward) -> None:
    page = screen.page
    screen.open(ward.keys["yamada"])
    state = page.locator("[data-role='reading-state']")
    expect(state).to_contain_text("開封")
    screen.press("Shift+T")
    expect(state).to_contain_text("読影中 山本医師")
    screen.until("window.__todoke.view.held > 0", "decoded images are held")
    screen.frames(3)
    before = screen.pixels(PICTURE)
    page.locator("[data-step='KeyC']").click()
    question = page.locator("dialog.question")
    question.locator("textarea").fill("造影の時相は")
    page.locator(".question .plain").click()
    screen.press("Shift+Enter")
    whose = question.get_by_text("山田 太郎")
    expect(whose).to_be_visible()
    expect(question.locator("[data-role='seen']")).to_have_text("この画面で表示した画像 1枚")
    page.evaluate("document.querySelector('[data-word=\"lock.now\"]').click()")  # as idleness does
    lock = page.locator("dialog.lock")
    expect(lock).to_be_visible()
    expect(whose).not_to_be_visible()
    screen.until("window.__todoke.view.held === 0", "no decoded image is held")
    screen.press("Escape", "Escape")
    expect(lock).to_be_visible()
    page.locator("#unlock").fill(PASSWORD)
    page.get_by_role("button", name="解除する").click()
    expect(lock).to_have_count(0)
    assert (screen.pixels(PICTURE) == before).all(), "the work is as it was"
    screen.until("window.__todoke.view.held > 0", "fetched again")
    expect(whose).to_be_visible()
    question.get_by_role("button", name="完了にする").click()
    expect(state).to_contain_text("完了 山本医師")
    screen.press("Shift+Enter")
    page.locator(".banner .home").evaluate("(home) => home.click()")
    page.locator("tr.row").first.wait_for()
    expect(question).to_have_count(0)  # no question about a study that is not on the screen
    expect(page.locator(f"tr[data-key='{ward.keys['yamada']}']")).to_contain_text("完了")
