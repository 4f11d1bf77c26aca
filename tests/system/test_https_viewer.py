"""The viewer over https, as a reading machine sees it that has the receiver's root installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from tests.receiver.viewer.conftest import SWITCHES
from tests.system.ends import Ends, must
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.browser]
NAME, PASSWORD = "yamamoto", "Nagai-Hosomichi-7"


@pytest.fixture(scope="module")
def https(ends: Ends) -> str:
    """Address of the viewer when other machines may reach it; one study has arrived."""
    must(
        *("receiver", "user", "add", NAME, "--display", "山本医師", "--password-stdin"),
        *("--data", ends.receiver),
        stdin=f"{PASSWORD}\n",
    )
    ends.stop_receiver()
    ends.start_receiver({**os.environ, "TODOKE_RECEIVER_VIEWER_BIND": "0.0.0.0"})
    write_series(ends.folder / "ct", 1, slices=5)
    must("sender", "send", ends.folder / "ct", "--data", ends.sender)
    assert ends.viewer.startswith("https://localhost:")
    return ends.viewer


@pytest.fixture(scope="module")
def home(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of a person on whose machine the administrator installed the root."""
    certutil = shutil.which("certutil")
    if certutil is None:
        pytest.skip("no certutil (libnss3-tools) on this machine")
    folder = Path(tmp_path_factory.mktemp("home"))
    written = must("receiver", "web-root", folder / "root", "--data", ends.receiver)
    root = next(Path(p) for p in written["files"] if str(p).endswith(".pem"))
    store = folder / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for line in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "todoke", "-i", str(root)]):
        subprocess.run([certutil, "-d", f"sql:{store}", *line], check=True)
    return folder


@pytest.fixture
def browser(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """Chromium of that person, or with the parameter "stranger" of somebody without the root."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    lives = tmp_path if getattr(request, "param", None) == "stranger" else home
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=list(SWITCHES),
            env={**os.environ, "HOME": str(lives)},
        )
        yield started
        started.close()


@pytest.mark.requirement("DAT-02", "CHR-06")
def test_a_reader_signs_in_and_opens_a_ct_without_a_warning(browser: Browser, https: str) -> None:
    page = browser.new_context(locale="ja-JP").new_page()
    page.goto(https)
    page.locator("input").first.fill(NAME)
    page.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    row = page.locator("tr", has_text="髙橋 花子")
    expect(row).to_be_visible()
    cookies = {c["name"]: c for c in page.context.cookies()}
    session = cookies["__Host-todoke_session"]
    assert session["secure"]
    assert session["httpOnly"]
    assert session["sameSite"] == "Strict"
    row.click()
    page.keyboard.press("Enter")
    expect(page.get_by_text("参照用・診断用ではありません").first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    shown = json.dumps(page.evaluate("[document.title, location.href]"), ensure_ascii=False)
    assert "髙橋" not in shown
    assert "T1" not in shown


@pytest.mark.parametrize("browser", ["stranger"], indirect=True)
def test_a_machine_without_the_root_is_warned(browser: Browser, https: str) -> None:
    page = browser.new_page()
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(https)
