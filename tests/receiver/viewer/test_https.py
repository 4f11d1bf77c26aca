"""The reader's way through a day once over https, with the receiver's own root installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserType, Error, expect

from common import tls
from common.proof.identity import Institution
from common.settings import Receiver
from receiver import setup
from receiver.web_root import write_web_root
from tests.receiver.viewer.conftest import Ward, start
from tests.receiver.viewer.screen import Screen

pytestmark = pytest.mark.browser


@dataclass
class Secure:
    """The ward behind https, and the root that a reading machine installs."""

    address: str
    root: Path


@pytest.fixture(scope="module")
def secure(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Certificate and root as `receiver init` and `receiver web-root` make them."""
    folder = tmp_path_factory.mktemp("https")
    settings = Receiver(hosts=("localhost",))
    hospital = Institution("旭川支援病院", "0112345675")
    node = setup.init(folder / "receiver", hospital, settings, operator="test")
    roots = write_web_root(node, settings, folder / "root")
    context = tls.server_context(node.credentials, profile="dicom-b12", client_required=False)
    with ward.room.serve(tls=context) as address:
        yield Secure(address, next(path for path in roots if path.suffix == ".pem"))


def reading_machine(chromium: BrowserType, home: Path, root: Path | None) -> Browser:
    """Start Chromium of a user who has, or has not, installed the root."""
    certutil = shutil.which("certutil")
    if certutil is None:
        pytest.skip("no certutil on this machine")
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    made = ["-d", f"sql:{database}"]
    subprocess.run([certutil, "-N", *made, "--empty-password"], check=True)
    if root is not None:
        install = ["-A", "-t", "C,,", "-n", "todoke", "-i", str(root)]
        subprocess.run([certutil, *made, *install], check=True)
    return start(chromium, env={"HOME": str(home), "PATH": "/usr/bin:/bin"})


def test_a_machine_without_the_root_is_warned(
    chromium: BrowserType, secure: Secure, tmp_path: Path
) -> None:
    machine = reading_machine(chromium, tmp_path, None)
    page = machine.new_page()
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(secure.address)
    machine.close()


def test_sign_in_ct_window_and_slide_over_https(
    chromium: BrowserType, secure: Secure, ward: Ward, tmp_path: Path
) -> None:
    machine = reading_machine(chromium, tmp_path, secure.root)
    context = machine.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    screen = Screen(context.new_page(), secure.address)
    screen.sign_in()
    cookie = next(one for one in context.cookies() if "todoke_session" in one.get("name", ""))
    assert cookie["name"] == "__Host-todoke_session"
    assert cookie["secure"]
    assert cookie["httpOnly"]
    screen.open(ward.keys["takahashi"])
    screen.press("End", "5")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    screen.frames(3)
    assert screen.text("window") == "W 1500 L -600  肺野"
    assert screen.text("image-name") == "髙橋 花子"
    screen.page.get_by_role("button", name="一覧").click()
    screen.open(ward.keys["slide"])
    screen.press("j")
    screen.settled()
    assert screen.view()["scale"] == pytest.approx(1)
    expect(screen.page.locator("[data-role='patient-name']")).to_have_text("山﨑 一郎")
    machine.close()
