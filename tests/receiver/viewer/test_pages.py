"""Sign-in, work list and what every page carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select, update

from common.states import InstanceState
from receiver import index, stops
from samples import ct, names
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import HOSPITAL, READER, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = pytest.mark.browser

BANNER = "参照用・診断用ではありません"


def test_a_wrong_password_is_said_in_words(page: Page, ward: Ward) -> None:
    page.goto(ward.address)
    expect(page.get_by_text(BANNER)).to_be_visible()
    page.get_by_label("利用者名").fill(READER)
    page.get_by_label("パスワード").fill("wrong")
    page.get_by_role("button", name="サインイン").click()
    expect(page.get_by_role("alert").filter(has_text="サインインできません")).to_be_visible()
    assert page.get_by_label("パスワード").input_value() == ""


@pytest.mark.requirement("REG-01")
def test_every_page_says_that_it_is_not_for_diagnosis(screen: Screen, ward: Ward) -> None:
    expect(screen.page.get_by_text(BANNER)).to_be_visible()
    for slug in ("takahashi", "slide"):
        screen.open(ward.keys[slug])
        expect(screen.page.get_by_text(BANNER)).to_be_visible()
        screen.page.locator(".banner .home").click()
        screen.page.locator("tr.row").first.wait_for()
    screen.page.get_by_role("button", name="en", exact=True).click()
    expect(screen.page.get_by_text("For reference, not for diagnosis")).to_be_visible()
    screen.page.get_by_role("button", name="ja", exact=True).click()


@pytest.mark.requirement("CHR-03")
@pytest.mark.parametrize("patient", [names.TAKAHASHI, names.YAMAZAKI, names.YOSHIDA])
def test_letters_beyond_jis_are_right_in_list_and_viewer(
    screen: Screen, ward: Ward, patient: names.Patient
) -> None:
    romaji, kanji, kana = (part.replace("^", " ") for part in patient.name.split("="))
    row = screen.page.locator(f"tr[data-key='{ward.keys[patient.slug]}']")
    for group in (romaji, kanji, kana, patient.patient_id):
        expect(row).to_contain_text(group)
    screen.open(ward.keys[patient.slug])
    screen.frames(3)
    assert screen.text("patient-name") == screen.text("image-name") == kanji
    for group in (romaji, kana):
        expect(screen.page.locator("[data-role='who']")).to_contain_text(group)
        expect(screen.page.locator("[data-role='patient-line']")).to_contain_text(group)


def test_the_list_puts_urgent_first_and_finds_variants_of_a_name(screen: Screen) -> None:
    rows = screen.page.locator("tr.row")
    expect(rows.first).to_contain_text("緊急")
    expect(rows.first).to_contain_text("髙橋")
    search = screen.page.locator("#search")
    for sought, found in (
        ("高橋", "髙橋"),
        ("山崎", "山﨑"),
        ("たかはし", "髙橋"),
        ("吉田", "𠮷田"),
    ):
        search.fill(sought)
        expect(rows.first).to_contain_text(found)
    search.fill("だれもいない")
    expect(screen.page.get_by_text("この条件の検査はありません")).to_be_visible()


def test_a_study_is_opened_and_left_by_keys(screen: Screen, ward: Ward) -> None:
    screen.press("ArrowDown", "Enter")
    screen.until("window.__todoke.view?.ready === true", "a picture")
    assert screen.page.url.endswith(f"/study/{ward.keys['takahashi']}")
    screen.page.go_back()
    screen.page.locator("tr.row").first.wait_for()
    expect(screen.page.locator("[data-role='patient-name']")).to_have_count(0)


def test_silence_of_the_receiver_is_said(page: Page, ward: Ward) -> None:
    page.clock.install()
    screen = Screen(page, ward.address)
    screen.sign_in()
    stale = page.get_by_text("更新が止まっています")
    expect(stale).to_be_hidden()
    page.clock.fast_forward(16_000)
    expect(stale).to_be_visible()
    expect(stale).to_be_hidden(timeout=10_000)  # the next heartbeat


def test_a_receiver_that_is_not_reached_is_counted(page: Page, ward: Ward) -> None:
    page.clock.install()
    page.route("**/api/events", lambda route: route.abort())
    screen = Screen(page, ward.address)
    screen.sign_in()
    page.clock.fast_forward(16_000)
    bar = page.locator(".bars .inverse:visible, .bars [role]:visible").filter(
        has_text="つながりません"
    )
    expect(bar).to_have_text(re.compile(r"表示中の画像は有効です \([1-9]\d*回目\)"))


@dataclass
class Half:
    """A study of which seven of twelve images have come."""

    room: Room
    address: str
    key: str
    late: list[Path]


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Half]:
    """A CT that is arriving; its middle slices and the last are missing."""
    room = Room(tmp_path / "receiver")
    study = ct.write_series(tmp_path, names.TAKAHASHI, count=12)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    late = [*files[5:9], files[11]]
    key = room.open_study(Instances(files), test=True)
    room.bring([file for file in files if file not in late])
    with room.serve() as address:
        yield Half(room, address, key, late)
    room.close()


@pytest.mark.requirement("RAD-09")
def test_an_incomplete_study_asks_and_keeps_the_places_of_what_is_missing(
    page: Page, half: Half
) -> None:
    screen = Screen(page, half.address)
    screen.sign_in()
    row = page.locator(f"tr[data-key='{half.key}']")
    expect(row).to_contain_text("7/12枚")
    row.click()
    expect(page.get_by_text("12枚中7枚が届いています")).to_be_visible()
    assert page.locator("canvas").count() == 0
    page.get_by_role("button", name="届いた分を未完了のまま参照").click()
    screen.until("window.__todoke.view?.ready === true", "a picture")
    expect(page.get_by_text("未完了のまま参照しています: 12枚中7枚")).to_be_visible()
    screen.press("Home", *["ArrowDown"] * 5)
    missing = page.locator("[data-role='missing']")
    expect(missing).to_be_visible()
    expect(missing).to_contain_text("未着")
    expect(missing).to_contain_text("6/12")
    assert page.locator("[data-role='image-name']").count() == 0
    screen.press("ArrowUp")
    screen.until("window.__todoke.view.place === 4", "the slice before")
    expect(missing).to_be_hidden()
    screen.press("End")
    expect(missing).to_contain_text("12/12")
    half.room.bring(half.late)
    screen.until("window.__todoke.view.place === 11", "the slice that has come")
    expect(missing).to_be_hidden()
    expect(page.get_by_text("未完了のまま参照しています")).to_be_hidden()
    expect(page.locator(".banner")).to_contain_text("12/12枚")
    expect(page.locator(".watermark")).to_have_text("試験")


def test_waiting_opens_the_study_when_all_is_here(page: Page, half: Half) -> None:
    screen = Screen(page, half.address)
    screen.sign_in()
    page.locator(f"tr[data-key='{half.key}']").click()
    page.get_by_role("button", name="揃うまで待つ").click()
    expect(page.get_by_text("揃うのを待っています")).to_be_visible()
    half.room.bring(half.late)
    screen.until("window.__todoke.view?.ready === true", "the whole study")
    screen.frames(3)
    assert screen.view()["place"] == 6  # the middle


@pytest.mark.requirement("UX-01")
def test_new_rows_never_move_the_row_under_the_hand(page: Page, half: Half, tmp_path: Path) -> None:
    screen = Screen(page, half.address)
    screen.sign_in()
    rows = page.locator("tr.row")
    rows.first.hover()
    study = ct.write_series(tmp_path, names.YAMAZAKI, count=2)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    half.room.open_study(Instances(files), HOSPITAL, priority="urgent")
    fresh = page.get_by_role("button", name=re.compile("新着 1件"))
    expect(fresh).to_be_visible()
    expect(rows).to_have_count(1)
    half.room.bring(half.late)
    expect(rows.first).to_contain_text("12/12枚")  # what is shown goes on counting
    screen.press("n")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("山﨑")
    expect(page).to_have_title("(1) 緊急 – todoke")


@pytest.mark.requirement("DAT-01")
def test_a_damaged_image_is_called_so_in_the_list_and_in_its_place(page: Page, half: Half) -> None:
    rows = index.instances
    with half.room.index.write() as db:
        first = rows.c.id == db.execute(select(func.min(rows.c.id))).scalar()
        db.execute(update(rows).where(first).values(state=InstanceState.DAMAGED, path=None))
    screen = Screen(page, half.address)
    screen.sign_in()
    row = page.locator(f"tr[data-key='{half.key}']")
    expect(row.locator("[data-role='damaged']")).to_have_text("▲ 破損 1件")
    row.click()
    page.get_by_role("button", name="届いた分を未完了のまま参照").click()
    screen.until("window.__todoke.view?.ready === true", "a picture")
    expect(page.get_by_text("未完了のまま参照しています: 12枚中6枚 破損 1件")).to_be_visible()
    screen.press("Home")
    missing = page.locator("[data-role='missing']")
    expect(missing).to_contain_text("破損")
    expect(missing).not_to_contain_text("未着")


@pytest.mark.slow
@pytest.mark.requirement("RAD-09", "UX-01")
def test_since_when_nothing_has_come_is_what_the_receiver_knows(page: Page, half: Half) -> None:
    """Not since when this page was opened: two hours ago it stopped, and it is not arriving."""
    stopped = datetime.now().astimezone() - timedelta(hours=2)
    with half.room.index.write() as db:
        at = stopped.astimezone(UTC).isoformat(timespec="milliseconds")
        here = index.instances.c.stored_at.is_not(None)
        db.execute(update(index.instances).where(here).values(stored_at=at))
    screen = Screen(page, half.address)
    screen.sign_in()
    page.locator(f"tr[data-key='{half.key}']").click()
    asked = page.locator(".ask")
    clock = f"{stopped.hour}:{stopped:%M:%S}"
    expect(asked.get_by_text(f"受信が止まりました (最後 {clock})")).to_be_visible()
    half.room.bring(half.late[:1])
    expect(asked.get_by_text("12枚中8枚が届いています。受信中です")).to_be_visible()
    with half.room.index.write() as db:
        stops.take(db, db.execute(select(index.transfers)).one(), "E-2005")
    expect(asked.get_by_text("送信側で止まっています E-2005")).to_be_visible()


@pytest.mark.slow
@pytest.mark.requirement("UX-04")
def test_a_list_that_cannot_be_had_is_said_though_the_stream_lives(page: Page, half: Half) -> None:
    screen = Screen(page, half.address)
    screen.sign_in()
    page.route("**/api/worklist", lambda route: route.fulfill(status=503))
    half.room.bring(half.late[:1])
    stale = page.get_by_text("更新が止まっています")
    expect(stale).to_be_visible(timeout=25_000)  # heartbeats come all the while
    page.unroute("**/api/worklist")
    expect(stale).to_be_hidden(timeout=10_000)
    expect(page.locator(f"tr[data-key='{half.key}']")).to_contain_text("8/12枚")
