"""The auditor's page: filtered, checked, signed off, and itself in the trail (AUD-05, AUD-07)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.audit import files, heads
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import AUDITOR, READER
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.audit]
ROWS = ".audit-lines tbody tr"


def lines(ward: Ward, event: str) -> list[dict[str, Any]]:
    trails = ward.room.store.root.parent / "audit"
    found = (line.words or {} for line in files.lines(trails, "web"))
    return [words for words in found if words.get("event") == event]


@pytest.fixture
def audit(screen: Screen, ward: Ward) -> Screen:
    """The page, after a reader has looked at a study."""
    screen.open(ward.keys["takahashi"])
    screen.page.context.clear_cookies()
    screen.first_step(AUDITOR)
    screen.page.locator(ROWS).first.wait_for()
    return screen


@pytest.mark.requirement("AUD-05", "AUD-07", "AUD-10")
def test_the_page_shows_filters_and_is_noted(audit: Screen, ward: Ward) -> None:
    page = audit.page
    assert lines(ward, "audit-read"), "reading it is in it"
    page.get_by_label("出来事").select_option("study-accessed")
    page.get_by_role("button", name="表示").click()
    audit.until(
        f"document.querySelectorAll('{ROWS}:not([data-event=study-accessed])').length === 0",
        "filtered",
    )
    shown = page.locator(ROWS).first.inner_text()
    assert READER in shown
    assert ward.keys["takahashi"] in shown
    assert "高橋" not in page.locator(".audit").inner_text()
    page.get_by_label("利用者", exact=True).fill("nobody")
    page.get_by_role("button", name="表示").click()
    audit.until(f"document.querySelectorAll('{ROWS}').length === 0", "nobody")


@pytest.mark.slow
@pytest.mark.requirement("AUD-07")
def test_a_review_is_signed_off(audit: Screen, ward: Ward) -> None:
    page = audit.page
    page.get_by_role("button", name="定期確認を記録").click()
    audit.until("document.querySelector('.audit-said').textContent.includes('開始日')", "the days")
    page.get_by_label("開始日").fill("2026-04-01")
    page.get_by_label("終了日").fill("2099-03-31")
    page.get_by_label("所見").fill("異常なし")
    page.get_by_role("button", name="定期確認を記録").click()
    audit.until("document.querySelector('.audit-said').textContent.includes('記録しました')", "it")
    audit.until("document.querySelector('.audit-last').textContent.includes('2026-04-01')", "last")
    signed = lines(ward, "audit-signed-off")[-1]
    assert (signed["user"], signed["remark"], signed["from"]) == (
        AUDITOR,
        "異常なし",
        "2026-04-01",
    )


@pytest.mark.requirement("AUD-02")
def test_tampering_is_named_on_the_page(audit: Screen, ward: Ward) -> None:
    node, trails = ward.room.node, ward.room.store.root.parent / "audit"
    now = lines(ward, "audit-read")[-1]["at"]
    from datetime import datetime

    button = audit.page.get_by_role("button", name="改ざんを調べる")
    button.click()
    audit.until("document.querySelector('.audit-said.unsure') !== null", "nothing is signed yet")
    assert "確定できません" in audit.page.locator(".audit-said").inner_text()
    heads.seal(trails, node, node.signing_certificate, dict, datetime.fromisoformat(now))
    button.click()
    audit.until(
        "document.querySelector('.audit-said').textContent.includes('異常はありません')", "ok"
    )
    path = trails / "web.jsonl"
    whole = path.read_bytes()
    edited = whole.replace(READER.encode(), b"tanaka__", 1)
    assert len(edited) == len(whole)
    path.write_bytes(edited)
    button.click()
    audit.until("document.querySelector('.audit-said.alarm') !== null", "found")
    assert "書き換えられています" in audit.page.locator(".audit-said").inner_text()
    written = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + written)


@pytest.mark.slow
@pytest.mark.requirement("AUD-07")
def test_what_is_shown_can_be_saved(audit: Screen, ward: Ward, tmp_path: Path) -> None:
    with audit.page.expect_download() as coming:
        audit.page.get_by_role("button", name="書き出す").click()
    coming.value.save_as(tmp_path / "audit.jsonl")
    saved = [
        json.loads(line) for line in (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()
    ]
    assert {"study-accessed", "audit-read"} <= {one["event"] for one in saved}
    assert lines(ward, "audit-exported")
