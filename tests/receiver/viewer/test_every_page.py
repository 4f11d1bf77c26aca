"""Every page as a newcomer meets it, in Japanese and English: axe-core finds no serious fault.

Nothing that is aimed at is smaller than 32 px (VIEWING 8), and nothing lies beyond the edge.
With ``TODOKE_SCREENSHOTS`` set to a folder, pictures of each page are kept there, as it is on
1920x1080, on 2560x1440 and on an upright monitor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page

from common.audit import Trail
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver.viewer_services import ViewerServices
from receiver.web_app import viewer_app
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import PASSWORD
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]

AXE = Path(__file__).parents[3] / "receiver/viewer/node_modules/axe-core/axe.min.js"
ROLES = ("reader", "administrator", "auditor")
LANDSCAPE, LARGE, PORTRAIT = (1920, 1080), (2560, 1440), (1200, 1600)
#: What is aimed at, but for links inside a sentence (WCAG 2.5.8), and is too small.
_SMALL = """() => [...document.querySelectorAll('button, summary, input, select, a')]
  .filter(one => one.checkVisibility() && !one.closest('p, li, .said') && !one.closest('[inert]'))
  .filter(one => one.type !== 'checkbox' && one.type !== 'range' && one.type !== 'radio')
  .map(one => [one, one.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.height < 31.5 || box.width < 31.5))
  .map(([one, box]) => `${one.outerHTML.slice(0, 120)} ${box.width}x${box.height}`)"""


@pytest.fixture(scope="module")
def door(ward: Ward) -> Iterator[str]:
    """The ward with a second factor for everybody; gives the address."""
    accounts = Accounts(ward.room.index, second_factor=True)
    for lang in ("ja", "en"):
        for role in ROLES:
            accounts.add(f"{role}-{lang}", PASSWORD, "森医師", role)
    trail = Trail(ward.room.store.root.parent / "audit", "walk")
    services = ViewerServices(
        note=trail.note,
        signing_certificate=ward.room.node.signing_certificate,
        index=ward.room.index,
        store=ward.room.store.root,
        institution_name="旭川支援病院",
        institution_code="0112345675",
        https=False,
        version="0",
    )
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (_, port):
        yield f"http://localhost:{port}"
    trail.close()


class Walk:
    """A person's way through the pages, and what is wrong on them."""

    def __init__(self, page: Page, address: str, lang: str) -> None:
        self.page = page
        self.address = address
        self.lang = lang
        self.found: list[str] = []
        self.kept = os.environ.get("TODOKE_SCREENSHOTS")

    def look(self, name: str) -> None:
        """Let axe-core look at what is on the screen."""
        self.keep(name)
        self.page.evaluate(AXE.read_text("utf-8") + "; 0")
        said: dict[str, Any] = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        assert said["testEngine"]["name"] == "axe-core"
        for one in said["violations"]:
            if one["impact"] not in ("serious", "critical"):
                continue
            for node in one["nodes"]:
                self.found.append(f"{name}: {one['id']} {node['target']} {node['html'][:200]}")
        self.found += [f"{name}: small {one}" for one in self.page.evaluate(_SMALL)]

    def keep(self, name: str) -> None:
        """Keep pictures of what is on the screen, if they are wanted."""
        if self.kept:
            for size in (LARGE, PORTRAIT, LANDSCAPE):
                self.turned(size)
                self.page.wait_for_timeout(100)
                end = "" if size == LANDSCAPE else f"-{size[0]}x{size[1]}"
                self.page.screenshot(path=f"{self.kept}/{name}-{self.lang}{end}.png")

    def turned(self, size: tuple[int, int]) -> None:
        """Turn the monitor; nothing of the page lies beyond its edge."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        wide = self.page.evaluate(
            "[document.documentElement, ...document.querySelectorAll("
            "'.banner *, .tools *, .slide-foot *')].filter(one => one.checkVisibility() &&"
            " Math.max(one.getBoundingClientRect().right, one === document.documentElement ?"
            " one.scrollWidth : 0) > innerWidth + 0.5).map(one => one.outerHTML.slice(0, 120))"
        )
        self.found += [f"beyond the edge on {size}: {one}" for one in wide]

    def sign_in(self, name: str) -> None:
        """Sign in for the first time: enrol an authenticator, see the recovery codes."""
        page = self.page
        page.goto(self.address)
        page.locator("#name").wait_for()
        self.look("01-sign-in")
        page.locator("#name").fill(name)
        page.locator("#password").fill(PASSWORD)
        page.locator("form button[type=submit]").click()
        page.locator(".enrol button").first.wait_for()
        self.look("02-enrol")
        page.locator(".enrol button").first.click()
        page.locator("img.qr").wait_for()
        page.locator("details summary").click()
        self.look("03-totp")
        self.secret = page.locator(".key").inner_text()
        page.locator(".enrol input").first.fill(pyotp.TOTP(self.secret).now())
        page.locator("form button[type=submit]").click()
        page.locator("[data-role='recovery-codes'] li").first.wait_for()
        self.look("04-recovery")
        page.locator("[data-role='recovery-codes'] ~ button").click()

    def sign_in_again(self, name: str) -> None:
        """The second factor's own page."""
        page = self.page
        page.context.clear_cookies()
        page.goto(self.address)
        page.locator("#name").fill(name)
        page.locator("#password").fill(PASSWORD)
        page.locator("form button[type=submit]").click()
        page.locator("#code").wait_for()
        self.look("05-second")
        # a code counts once, and that of the next 30 s counts already (RFC 6238 5.2)
        page.locator("#code").fill(pyotp.TOTP(self.secret).at(int(time.time()) + 30))
        page.locator("form button[type=submit]").click()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("role", ROLES)
def test_every_page(browser: Browser, ward: Ward, door: str, role: str, lang: str) -> None:
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale=lang)
    walk = Walk(context.new_page(), door, lang)
    walk.sign_in(f"{role}-{lang}")
    {"reader": reader, "administrator": administrator, "auditor": auditor}[role](walk, ward)
    context.close()
    assert not walk.found, "\n".join(walk.found)


def administrator(walk: Walk, _ward: Ward) -> None:
    page = walk.page
    page.locator("tr[data-name='yamamoto']").wait_for()
    walk.look("40-people")
    page.locator("tr[data-name='yamamoto'] button[data-what='disable']").click()
    walk.look("41-people-sure")
    common_pages(walk)


def auditor(walk: Walk, _ward: Ward) -> None:
    page = walk.page
    page.locator(".audit-lines tbody tr").first.wait_for()
    walk.look("50-audit")
    page.locator(".audit-filter button[type=button]").last.click()
    page.locator(".audit-said:not(:empty)").wait_for()
    walk.look("51-audit-verified")
    common_pages(walk)


def reader(walk: Walk, ward: Ward) -> None:
    page = walk.page
    page.locator("tr.row").first.wait_for()
    walk.sign_in_again(f"reader-{walk.lang}")
    page.locator("tr.row").first.wait_for()
    walk.look("10-list")
    page.keyboard.press("Shift+?")
    dialogue(walk, "11-list-keys")
    page.keyboard.press("ArrowDown")
    for keys, name in (("Shift+C", "12-query"), ("Shift+Enter", "13-done")):
        page.keyboard.press(keys)
        dialogue(walk, name)
    walk.turned(PORTRAIT)
    walk.look("14-list-portrait")
    walk.turned(LANDSCAPE)
    study(walk, ward.keys["takahashi"], "20-ct")
    study(walk, ward.keys["slide"], "30-slide")
    page.locator("[data-role='monitor-standing']").click()
    page.locator("[data-role='monitor']").wait_for()
    walk.look("61-monitor")
    common_pages(walk)
    page.goto(f"{walk.address}/study/0000000000")
    page.locator(".notice[role=alert]").wait_for()
    walk.look("63-gone")


def dialogue(walk: Walk, name: str) -> None:
    page = walk.page
    page.locator("dialog[open]").wait_for()
    walk.look(name)
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")


def study(walk: Walk, key: str, name: str) -> None:
    page = walk.page
    screen = Screen(page, walk.address)
    screen.open(key)
    if "slide" in name:
        screen.settled()
    screen.frames(5)
    walk.look(name)
    walk.turned(PORTRAIT)
    screen.frames(5)
    walk.look(f"{name}-portrait")
    walk.turned(PORTRAIT)
    page.locator("[data-role='menu']").click()
    walk.look(f"{name}-menu")
    page.keyboard.press("Escape")
    walk.turned(LANDSCAPE)
    page.keyboard.press("Shift+?")
    dialogue(walk, f"{name}-keys")
    page.keyboard.press("Shift+F")
    dialogue(walk, f"{name}-hand-off")
    if "slide" in name:
        page.keyboard.press("x")
        screen.settled()
        walk.look(f"{name}-compare")
        page.keyboard.press("Shift+R")
        page.locator(".ask-panel").wait_for()
        walk.look(f"{name}-rescan")
        page.keyboard.press("Escape")
    else:
        page.locator("[data-layout='2x2']").click()
        screen.frames(5)
        walk.look(f"{name}-2x2")
        page.locator("[data-layout='1x1']").click()
        page.locator("[data-role='windows']").click()
        walk.look(f"{name}-windows")
        page.keyboard.press("Escape")
        page.keyboard.press("m")
        page.locator(".sheet canvas").first.wait_for()
        walk.look(f"{name}-mpr")
        page.keyboard.press("m")
    page.keyboard.press("Shift+D")
    walk.look(f"{name}-dim")
    page.keyboard.press("Shift+D")
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    walk.keep(f"{name}-forced")  # axe-core does not know colours that a system forces
    forced(walk)
    page.emulate_media(forced_colors="none", reduced_motion="no-preference")
    page.locator("[data-step='Enter']").click()
    dialogue(walk, f"{name}-done")
    page.locator("[data-word='lock.now']").click()
    page.locator("dialog.lock").wait_for()
    walk.look(f"{name}-lock")
    page.locator("#unlock").fill(PASSWORD)
    page.locator("dialog.lock button[type=submit]").click()
    page.locator("dialog.lock").wait_for(state="detached")
    page.locator(".banner .home").click()
    page.locator("tr.row").first.wait_for()


_FORCED = """() => {
  const probe = document.createElement('div');
  probe.innerHTML = '<button aria-pressed="true">1</button><button aria-pressed="false">0</button>'
    + '<span class="hatched">x</span>';
  document.body.append(probe);
  const [on, off, hatch] = [...probe.children].map(one => getComputedStyle(one));
  const said = {on: on.backgroundColor, off: off.backgroundColor, hatch: hatch.backgroundImage,
    moving: [...document.querySelectorAll('*')].filter(one =>
      getComputedStyle(one).animationName !== 'none').length};
  probe.remove();
  return said;
}"""


def forced(walk: Walk) -> None:
    """With a reader's own colours what is pressed and what has not come are still told apart."""
    said = walk.page.evaluate(_FORCED)
    assert said["on"] != said["off"]
    assert "gradient" in said["hatch"], "what has not come keeps its hatch"
    assert said["moving"] == 0


def common_pages(walk: Walk) -> None:
    page = walk.page
    page.locator("[data-role='account']").click()
    page.locator("tr[data-factor]").first.wait_for()
    walk.look("60-account")
    page.goto(f"{walk.address}/purpose")
    page.locator("h1").first.wait_for()
    walk.look("62-purpose")
