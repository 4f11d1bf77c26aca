"""Marks that cannot be sent while a study is left are kept, said, and sent later."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Route, expect

from common.web.accounts import Accounts
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import PASSWORD, READER
from tests.receiver.viewer.screen import Screen

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.neverhappen,
    pytest.mark.slow,
    pytest.mark.timeout(180),
]
BAR = "[data-role='unsent']"


class Line:
    """The way of marks to the receiver, which fails as long as the test says so."""

    def __init__(self, page: Page, status: int = 503) -> None:
        self.fails, self.status = True, status
        page.route("**/api/studies/*/marks", self._answer)

    def _answer(self, route: Route) -> None:
        if route.request.method == "POST" and self.fails:
            route.fulfill(status=self.status, body="{}")
        else:
            route.continue_()


def kept(screen: Screen, key: str) -> list[Any]:
    """Return the marks that the receiver has of the reader who is signed in."""
    answer = screen.page.request.get(f"{screen.address}/api/studies/{key}/marks")
    found: list[Any] = answer.json()["marks"]
    return found


def mark(screen: Screen) -> None:
    """Measure a length."""
    box = screen.page.locator(".picture").first.bounding_box()
    assert box is not None
    screen.press("d")
    before = screen.view()["marks"]
    for by in (0, 90):
        screen.page.mouse.click(box["x"] + 500 + by, box["y"] + 300 + 60 * before)
    screen.until(f"window.__todoke.view.marks === {before + 1}", "a mark")


@pytest.fixture
def reader(page: Page, ward: Ward, request: pytest.FixtureRequest) -> Iterator[Screen]:
    """A reader of one test: the ward is shared, and its marks with it."""
    name = f"r{zlib.crc32(request.node.name.encode())}"
    Accounts(ward.room.index).add(name, PASSWORD, "試験医師")
    screen = Screen(page, ward.address)
    screen.sign_in(name)
    yield screen
    page.unroute_all(behavior="ignoreErrors")


def test_marks_wait_after_their_study_has_been_left_and_come_when_the_line_is_back(
    reader: Screen, ward: Ward
) -> None:
    page, key = reader.page, ward.keys["takahashi"]
    line = Line(page)
    reader.open(key)
    mark(reader)
    expect(page.get_by_text("印を保存できません。再試行しています")).to_be_visible()
    page.locator(".banner .home").click()
    expect(page.locator(BAR)).to_contain_text("印を保存できていない検査が 1件")
    assert "髙橋" not in page.locator(BAR).inner_text()
    reader.open(key)  # they are there for whoever comes back to them
    reader.until("window.__todoke.view.marks === 1", "the mark that waits")
    mark(reader)
    page.locator(".banner .home").click()
    expect(page.locator(BAR)).to_be_visible()
    assert kept(reader, key) == []
    line.fails = False
    expect(page.locator(BAR)).to_be_hidden(timeout=15_000)
    assert len(kept(reader, key)) == 2
    reader.open(key)
    reader.until("window.__todoke.view.marks === 2", "marks from the receiver")
    reader.until("window.__todoke.view.saved", "nothing waits")


def test_marks_made_before_the_receiver_told_of_older_ones_are_added_to_these(
    reader: Screen, ward: Ward
) -> None:
    page, key = reader.page, ward.keys["takahashi"]
    reader.open(key)
    mark(reader)
    reader.until("window.__todoke.view.saved", "the older mark")
    page.locator(".banner .home").click()
    asked: list[Route] = []
    page.route("**/api/studies/*/marks", lambda route: asked.append(route))
    reader.open(key)
    mark(reader)  # what is kept is not known yet
    page.locator(".banner .home").click()
    page.locator("tr.row").first.wait_for()
    page.unroute("**/api/studies/*/marks")
    for route in asked:
        with contextlib.suppress(Error):  # the page has given it up with its study
            route.abort()
    reader.open(key)
    reader.until("window.__todoke.view.marks === 2", "the older and the newer")
    reader.until("window.__todoke.view.saved", "both are kept")
    assert len(kept(reader, key)) == 2


def test_signing_out_asks_before_marks_are_lost(reader: Screen, ward: Ward) -> None:
    page, key = reader.page, ward.keys["takahashi"]
    line = Line(page)
    reader.open(key)
    mark(reader)
    out = page.get_by_role("button", name="サインアウト", exact=True)
    out.click()
    question = page.locator("dialog[open]")
    expect(question).to_contain_text("サインアウトすると失われます")
    assert page.locator(".viewport canvas").count() == 0
    question.locator("button.plain").click()
    reader.until("window.__todoke.view?.ready === true", "the study is back")
    reader.until("window.__todoke.view.marks === 1", "with its mark")
    line.fails = False
    reader.until("window.__todoke.view.saved", "the mark is kept")
    line.fails = True
    mark(reader)
    out.click()
    with page.expect_navigation():
        page.locator("[data-role='lose']").click()
    page.get_by_label("利用者名").wait_for()
    line.fails = False
    reader.sign_in(READER)
    reader.open(key)
    reader.frames(4)
    assert reader.view()["marks"] == 0


def test_marks_that_the_receiver_refuses_are_not_lost_silently(reader: Screen, ward: Ward) -> None:
    page = reader.page
    line = Line(page, status=400)
    reader.open(ward.keys["takahashi"])
    mark(reader)
    expect(page.get_by_text("印を保存できません")).to_be_visible()
    page.locator(".banner .home").click()
    expect(page.locator(BAR)).to_contain_text("保存できませんでした")
    line.fails = False
    page.locator(f"{BAR} button").click()
    expect(page.locator(BAR)).to_be_hidden()
