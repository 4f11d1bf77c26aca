"""One key hands a study to the certified viewer, and list and study say how far that is."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.settings import Receiver
from receiver import forward_targets
from receiver.forwarder import Forwarder
from tests.receiver.filled import RECEIVER, Filled
from tests.receiver.viewer.room import PASSWORD
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]


@pytest.mark.requirement("REG-02", "PRI-06")
def test_one_key_forwards_from_list_and_study(page: Page, tmp_path: Path) -> None:
    filled = Filled(tmp_path / "receiver")
    Node.create(filled.data, Institution(*RECEIVER, "北海道"), Role.SUPPORTER, hosts=["localhost"])
    filled.user(password=PASSWORD)
    key = filled.ct(count=12)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    with filled.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        walk(screen, filled, key, inbox)
    filled.close()


def walk(screen: Screen, filled: Filled, verified: str, inbox: Path) -> None:
    """Ask from the list, see it arrive, and ask once more from the study."""
    page = screen.page
    row = page.locator(f"tr[data-key='{verified}']")
    chip = row.locator("[data-role='forward']")
    press_at(screen, row)
    expect(page.get_by_text("転送先がありません")).to_be_visible()
    screen.press("Escape")
    target = forward_targets.folder("viewer", inbox, "契約7", "abe")
    forward_targets.add(filled.index, target)
    press_at(screen, row)
    page.get_by_role("button", name="転送する").click()
    expect(chip).to_contain_text(re.compile("転送待ち 0/"))
    Forwarder.of(filled.index, filled.data, Receiver()).look()
    expect(chip).to_contain_text("転送済み 12/12")
    assert len(list(inbox.rglob("*.dcm"))) == 12
    screen.open(verified)
    panel = page.locator(".hand-off")
    expect(panel).to_contain_text("転送済み 12/12")
    screen.press("Shift+F")
    expect(page.get_by_role("dialog")).to_contain_text("山本医師")
    page.get_by_label("全部を送り直す").check()
    page.get_by_role("button", name="転送する").click()
    expect(panel).to_contain_text("転送待ち 0/12")
    page.get_by_role("button", name="en", exact=True).click()
    expect(panel).to_contain_text("Waiting")


def press_at(screen: Screen, row: Locator) -> None:
    """Press the key at a row; once more where the list was drawn anew just then."""
    dialog = screen.page.get_by_role("dialog")
    for _ in range(3):
        row.focus()
        screen.press("Shift+F")
        with contextlib.suppress(TimeoutError):
            dialog.wait_for(timeout=5000)
            return
    raise AssertionError("no dialogue")
