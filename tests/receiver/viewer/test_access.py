"""axe-core on every page in Japanese and English, and everything by keyboard without a trap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.receiver.scope import scope
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]

VIEWER = Path(__file__).parent.parent.parent.parent / "receiver/viewer"
AXE = VIEWER / "node_modules/axe-core/axe.min.js"
GRAVE = {"serious", "critical"}
_RUN = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ['violations']});
  return violations.map(({id, impact, nodes}) => [impact, id, nodes.map(({html, failureSummary}) =>
    [html.slice(0, 200), failureSummary])]);
}"""
_PRESSABLE = """() => [...document.querySelectorAll(
    'button, a[href], input, summary, select, textarea, [role=button], [contenteditable]')]
  .filter(one => one.checkVisibility() && !one.closest('[inert]'))"""
#: Everything that a hand can press, and how the scope table knows it; kept for the questions below.
_CONTROLS = f"""() => {{
  window.controls = ({_PRESSABLE})();
  window.others = [];
  return window.controls.map(one => ({{
    words: [one, ...one.querySelectorAll('[data-word]')].map(w => w.dataset.word).filter(Boolean),
    html: one.outerHTML.slice(0, 200),
    disabled: one.matches(':disabled'),
  }}));
}}"""
_IS = "([number, selector]) => window.controls[number].matches(selector)"
#: Which has the focus, controls and then others as they come; -1 for the browser's own.
_FOCUS = """() => {
  const one = document.activeElement;
  if (one === document.body) return -1;
  if (!window.controls.includes(one) && !window.others.includes(one)) window.others.push(one);
  return [...window.controls, ...window.others].indexOf(one);
}"""
_THE_SAME = f"""() => {{
  const now = ({_PRESSABLE})();
  return now.length === window.controls.length && now.every((one, i) => one === window.controls[i]);
}}"""


def axe_faults(page: Page) -> list[Any]:
    """Run axe-core in the page; it is a text of ours, so the page's policy stays as it is."""
    page.evaluate(AXE.read_text("utf-8"))
    found: list[list[Any]] = page.evaluate(_RUN)
    return [one for one in found if one[0] in GRAVE]


def without_a_row(page: Page) -> list[str]:
    """Return the controls of a page that no row of the scope table knows."""
    table = scope.rows()
    words, roles = scope.claimed(table, "words"), scope.claimed(table, "roles")
    unknown = []
    for number, one in enumerate(page.evaluate(_CONTROLS)):
        if any(scope.covers(claim, word) for claim in words for word in one["words"]):
            continue
        if not any(page.evaluate(_IS, [number, role]) for role in roles):
            unknown.append(one["html"])
    return unknown


def unreached(page: Page) -> list[str]:
    """Tab once round the page; return the controls that the focus never came to.

    An alarm may ring, a row come, while the focus goes round: then it goes round again.
    """
    for _ in range(5):
        found = _round(page)
        if page.evaluate(_THE_SAME):
            return found
    raise AssertionError("the controls of the page never stood still")


def _round(page: Page) -> list[str]:
    page.evaluate("document.activeElement?.blur()")
    controls = page.evaluate(_CONTROLS)
    reached: list[int] = []
    for _ in range(len(controls) + 3):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUS)
        if reached and at == reached[0]:  # -1, the browser's own, lies between
            break
        reached.append(at)
    else:
        if page.evaluate(_THE_SAME):
            raise AssertionError(f"a trap: {reached[-3:]} of {len(controls)}")
    return [
        one["html"]
        for number, one in enumerate(controls)
        if number not in reached and not one["disabled"]
    ]


def look(page: Page, where: str) -> list[str]:
    """Judge the page as it is, in both languages."""
    faults = []
    for language in ("en", "ja"):
        page.get_by_role("button", name=language, exact=True).click()
        faults += [f"{where} {language}: {one}" for one in axe_faults(page)]
    faults += [f"{where}: no row: {one}" for one in without_a_row(page)]
    return faults + [f"{where}: no key reaches {one}" for one in unreached(page)]


@pytest.mark.requirement("UX-01", "SUB-08")
def test_axe_finds_nothing_grave_and_keys_reach_everything(page: Page, ward: Ward) -> None:
    if not AXE.exists():
        pytest.skip("the viewer's packages are not installed")
    screen = Screen(page, ward.address)
    page.goto(ward.address)
    page.get_by_label("利用者名").wait_for()
    faults = look(page, "sign-in")
    page.goto(f"{ward.address}/purpose")
    page.get_by_role("heading", level=1).wait_for()
    faults += look(page, "purpose")
    screen.sign_in()
    faults += look(page, "list")
    for slug in ("takahashi", "slide"):
        screen.open(ward.keys[slug])
        screen.frames(3)
        faults += look(page, slug)
        page.locator(".banner .home").click()
        page.locator("tr.row").first.wait_for()
    assert not faults, "\n".join(faults)
    # and what is wrong is seen
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [fault[1] for fault in axe_faults(page)] == ["button-name"]
    assert len(without_a_row(page)) == 1
    page.evaluate("document.querySelector('main > button:last-child').tabIndex = -1")
    assert len(unreached(page)) == 1


@pytest.mark.requirement("SUB-13", "REG-01", "REG-03")
def test_the_banner_opens_what_the_viewer_is_for_and_loses_no_case(
    screen: Screen, ward: Ward
) -> None:
    page = screen.page
    screen.open(ward.keys["takahashi"])
    with page.context.expect_page() as opened:
        page.locator("[data-role='banner'] a").press("Enter")
    other = opened.value
    said = other.locator("[data-role='purpose']")
    said.wait_for()
    for words in (
        "診断用のビューア",
        "画像管理システム",
        "レポートシステム",
        "UPS",
        "承認された機器",
    ):
        assert words in said.inner_text()
    other.get_by_role("button", name="en", exact=True).click()
    for words in ("no medical device", "Image archive", "Reporting", "UPS", "approved devices"):
        assert words in said.inner_text()
    other.get_by_role("button", name="ja", exact=True).click()
    assert screen.text("patient-name") == "髙橋 花子"  # the case is where it was
    other.close()
