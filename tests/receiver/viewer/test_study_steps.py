"""引受け, 照会, 完了 from the open study, and what the lock takes away meanwhile."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

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
    held: list[Route] = []
    page.route("**/asks", lambda route: held.append(route))
    with page.expect_request("**/asks"):
        screen.press("Shift+Enter")
    page.locator(".banner .home").evaluate("(home) => home.click()")
    page.locator("tr.row").first.wait_for()
    for route in held:  # the answer that the question waits for comes late
        with page.expect_response("**/asks"):
            route.continue_()
    screen.frames(3)
    assert held
    expect(question).to_have_count(0)  # no question about a study that is not on the screen
    expect(page.locator(f"tr[data-key='{ward.keys['yamada']}']")).to_contain_text("完了")


_SHARES = """() => {
  const box = selector => document.querySelector(selector).getBoundingClientRect();
  const images = box('.panes');
  const edge = [...document.querySelectorAll('.banner *, .tools *')]
    .filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect().right);
  return {banner: box('.banner').height, tools: box('.tools').height, edge: Math.max(...edge),
    share: images.width * images.height / (innerWidth * innerHeight)};
}"""


def test_who_and_what_stand_in_one_line_and_the_images_have_the_screen(
    screen: Screen, ward: Ward
) -> None:
    page = screen.page
    screen.open(ward.keys["takahashi"])
    expect(page.locator("[data-role='reading-state']")).not_to_be_empty()
    seen = page.evaluate(_SHARES)
    assert seen["banner"] <= 33, seen
    assert seen["tools"] <= 41, seen
    assert seen["edge"] <= 1920, seen
    assert seen["share"] >= 0.85, seen  # VIEWING 1b
    screen.press("k")
    expect(page.locator(".load-chip")).to_contain_text("依頼側に届きます")
    expect(page.locator("[data-word='tool.key']").locator("..")).to_have_attribute(
        "title", "キー画像。依頼側に届きます"
    )
    screen.press("k", "Shift+?")
    expect(page.locator("dialog[open]")).to_contain_text("さらに前の過去画像")
    screen.press("Escape")
    # 200 % of this screen: what tells one patient from another is whole
    page.set_viewport_size({"width": 960, "height": 540})
    for role in ("banner", "patient-name", "patient-id"):
        part = page.locator(f".banner [data-role='{role}']")
        expect(part).to_be_visible()
        cut = part.evaluate("(one) => one.scrollWidth > one.clientWidth + 1")
        assert not cut, role
    assert page.evaluate(_SHARES)["edge"] <= 960
    for words in ("女 F", "1958-02-14"):
        expect(page.locator(".banner").get_by_text(words, exact=True)).to_be_visible()
