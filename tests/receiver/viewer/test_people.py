"""Signing in with a second factor, the lock, and the pages of people, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserType, Page, expect

from common import tls
from common.proof.identity import Institution
from common.settings import Receiver
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import setup
from receiver.viewer_services import ViewerServices
from receiver.web_app import viewer_app
from receiver.web_root import write_web_root
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import PASSWORD
from tests.receiver.viewer.screen import PICTURE, Screen
from tests.receiver.viewer.test_https import Secure, reading_machine

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]


@pytest.fixture(scope="module")
def strict(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """The ward by https, where everybody has a second factor; people of this file alone."""
    door = Accounts(ward.room.index, second_factor=True)
    for name, display, role in (
        *(("mori", "森医師", "reader"), ("hayashi", "林医師", "reader")),
        ("kanri", "管理 太郎", "administrator"),
    ):
        door.add(name, PASSWORD, display, role)
    folder = tmp_path_factory.mktemp("strict")
    settings = Receiver(hosts=("localhost",))
    hospital = Institution("旭川支援病院", "0112345675")
    node = setup.init(folder / "receiver", hospital, settings, operator="test")
    roots = write_web_root(node, settings, folder / "root")
    context = tls.server_context(node.credentials, profile="dicom-b12", client_required=False)
    services = ViewerServices(
        index=ward.room.index,
        store=ward.room.store.root,
        institution_name="旭川支援病院",
        institution_code="0112345675",
        https=True,
        version="0",
    )
    listener = Listener(viewer_app(services), "127.0.0.1", 0, tls=context, grace=1)
    with listener.in_thread() as (_, port):
        root = next(path for path in roots if path.suffix == ".pem")
        yield Secure(f"https://localhost:{port}", root)


@pytest.fixture(scope="module")
def machine(
    chromium: BrowserType, strict: Secure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A reading machine with the receiver's root installed."""
    started = reading_machine(chromium, tmp_path_factory.mktemp("home"), strict.root)
    yield started
    started.close()


@pytest.fixture
def desk(machine: Browser) -> Iterator[Page]:
    context = machine.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    yield context.new_page()
    context.close()


def first_step(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.get_by_label("利用者名").fill(name)
    page.get_by_label("パスワード").fill(PASSWORD)
    page.get_by_role("button", name="サインイン").click()


def sign_out(page: Page) -> None:
    with page.expect_navigation():  # a new page, with a memory of its own
        page.get_by_role("button", name="サインアウト").click()
    page.get_by_label("利用者名").wait_for()


def enrol_totp(page: Page) -> str:
    """Enrol the authenticator program; gives its secret."""
    page.get_by_role("button", name="認証アプリ").click()
    expect(page.locator("img.qr")).to_have_js_property("complete", True)
    page.get_by_text("読み取れないときの鍵").click()
    secret = page.locator(".key").inner_text()
    page.get_by_label("確認コード").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="続ける").click()
    expect(page.locator("[data-role='recovery-codes'] li")).to_have_count(10)
    return secret


@pytest.mark.requirement("AUT-02")
def test_code_recovery_and_the_pages(desk: Page, strict: Secure, tmp_path: Path) -> None:
    first_step(desk, strict.address, "kanri")
    expect(desk.get_by_role("heading", name="二要素認証の登録")).to_be_visible()
    enrol_totp(desk)
    code = desk.locator("[data-role='recovery-codes'] li").first.inner_text()
    desk.screenshot(path=tmp_path / "recovery.png")
    desk.get_by_role("button", name="保管しました").click()
    # an administrator has people and no patients
    expect(desk.get_by_role("heading", name="利用者の管理")).to_be_visible()
    expect(desk.locator("tr[data-name='mori']")).to_be_visible()
    expect(desk.locator("tr.row")).to_have_count(0)
    desk.get_by_label("利用者名").fill("asano")
    desk.get_by_label("画面に出る名前").fill("浅野医師")
    desk.get_by_label("パスワード").fill("Eight-8!")
    desk.get_by_role("button", name="利用者を加える").click()
    expect(desk.locator("tr[data-name='asano']")).to_contain_text("浅野医師")
    desk.screenshot(path=tmp_path / "people.png")
    desk.get_by_role("button", name="en", exact=True).click()
    expect(desk.get_by_role("heading", name="People")).to_be_visible()
    desk.get_by_role("button", name="ja", exact=True).click()
    desk.get_by_role("button", name="管理 太郎").click()
    expect(desk.locator("tr[data-factor='totp']")).to_be_visible()
    desk.screenshot(path=tmp_path / "account.png")
    sign_out(desk)
    first_step(desk, strict.address, "kanri")
    desk.get_by_role("button", name="復旧コードを使う").click()
    desk.get_by_label("復旧コード").fill(code)
    desk.get_by_role("button", name="続ける").click()
    desk.get_by_role("button", name="管理 太郎").click()
    expect(desk.get_by_text("残り 9 個")).to_be_visible()


@pytest.mark.requirement("AUT-02", "AUT-06")
def test_passkey_signs_in_and_unlocks(desk: Page, strict: Secure, ward: Ward) -> None:
    """Chromium's virtual authenticator; the lock takes the pixels away and keeps the place."""
    devtools = desk.context.new_cdp_session(desk)
    devtools.send("WebAuthn.enable")
    options = {
        **{"protocol": "ctap2", "transport": "internal", "hasResidentKey": True},
        **{"hasUserVerification": True, "isUserVerified": True},
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    first_step(desk, strict.address, "mori")
    desk.get_by_role("button", name="パスキー").click()
    desk.get_by_role("button", name="保管しました").click()
    desk.locator("tr.row").first.wait_for()
    sign_out(desk)
    first_step(desk, strict.address, "mori")
    desk.get_by_role("button", name="パスキーを使う").click()
    desk.locator("tr.row").first.wait_for()
    screen = Screen(desk, strict.address)
    screen.open(ward.keys["takahashi"])
    screen.press("End")
    screen.until("window.__todoke.view.place === 11", "the last slice")
    screen.frames(3)
    before = screen.pixels(PICTURE)
    assert before[..., 3].any()
    desk.get_by_role("button", name="離席").click()
    expect(desk.locator("[data-role='lock']")).to_be_visible()
    assert not screen.pixels(PICTURE).any(), "the canvas keeps no pixel"
    expect(desk.locator("[data-role='patient-name']")).not_to_be_visible()
    desk.get_by_role("button", name="パスキーを使う").click()
    expect(desk.locator("[data-role='lock']")).to_have_count(0)
    assert (screen.pixels(PICTURE) == before).all(), "the work is as it was"
    assert screen.view()["place"] == 11
    # the receiver serves nothing to a locked session, and a page loaded anew shows nothing
    desk.get_by_role("button", name="離席").click()
    desk.reload()
    expect(desk.locator("[data-role='lock']")).to_be_visible()
    assert desk.locator("canvas").count() == 0
    desk.get_by_label("パスワード").fill(PASSWORD)
    desk.get_by_role("button", name="解除する").click()
    desk.locator(PICTURE).first.wait_for()  # the page is loaded anew
    screen.until("window.__todoke.view?.ready === true", "the same study")


@pytest.mark.slow
@pytest.mark.requirement("AUT-06")
def test_without_a_hand_every_window_is_hidden(browser: Browser, ward: Ward) -> None:
    services = replace(_services(ward), second_factor=False, lock_seconds=2)
    listener = Listener(viewer_app(services), "127.0.0.1", 0, grace=1)
    with listener.in_thread() as (_, port):
        context = browser.new_context(locale="ja-JP")
        screen = Screen(context.new_page(), f"http://localhost:{port}")
        screen.sign_in()
        other = context.new_page()
        other.goto(screen.address)
        for page in (screen.page, other):
            expect(page.locator("[data-role='lock']")).to_be_visible(timeout=20_000)
        other.get_by_label("パスワード").fill(PASSWORD)
        other.get_by_role("button", name="解除する").click()
        expect(other.locator("tr.row").first).to_be_visible()
        context.close()


def _services(ward: Ward) -> ViewerServices:
    return ViewerServices(
        index=ward.room.index,
        store=ward.room.store.root,
        institution_name="旭川支援病院",
        institution_code="0112345675",
        https=False,
        version="0",
    )
