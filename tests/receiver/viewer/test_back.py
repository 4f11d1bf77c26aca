"""What was taken back is said on the list; during an operation a label is asked for a yes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.settings import Receiver
from receiver import forward_targets, forwarding, index, recalls
from receiver.forwarder import Forwarder
from receiver.forwarding import Forwarding
from samples import names, slide
from tests.receiver.filled import READER, RECEIVER, Filled, ct_image
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import PASSWORD, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]


def taken_back(filled: Filled, transfer: str) -> None:
    with filled.index.write() as db:
        row = db.execute(select(index.transfers).where(index.transfers.c.id == transfer)).one()
        recalls.recall(db, row, "鈴木", "患者違い")


def newest(filled: Filled, key: str) -> str:
    query = select(index.studies.c.transfer).where(index.studies.c.key == key)
    with filled.index.read() as db:
        return str(db.execute(query).scalar_one())


@pytest.mark.requirement("REG-02", "UX-01")
def test_the_list_says_what_was_taken_back_and_who_has_it(page: Page, tmp_path: Path) -> None:
    filled = Filled(tmp_path / "receiver")
    Node.create(filled.data, Institution(*RECEIVER, "北海道"), Role.SUPPORTER, hosts=["localhost"])
    filled.user(password=PASSWORD)
    images = [ct_image("back", number) for number in range(1, 6)]
    key = filled.open(images[:3])
    filled.arrive(images[:3])
    filled.verify(key)
    first = newest(filled, key)
    filled.open(images[3:])
    filled.arrive(images[3:])
    filled.verify(key)
    second = newest(filled, key)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    forward_targets.add(filled.index, forward_targets.folder("viewer", inbox, "契約7", "abe"))
    other = [ct_image("plain", number) for number in range(1, 4)]
    plain = filled.open(other[:2])
    filled.arrive(other[:2])
    filled.verify(plain)
    filled.open(other[2:])
    filled.arrive(other[2:])
    taken_back(filled, newest(filled, plain))
    Forwarding(filled.index).ask(key, READER, "viewer")
    forwarder = Forwarder.of(filled.index, filled.data, Receiver())
    forwarder.look()
    taken_back(filled, second)
    forwarder.look()
    with filled.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        row = page.locator(f"tr[data-key='{key}']")
        expect(row.locator("[data-role='recalled-at']")).to_contain_text("取消 2枚 → viewer")
        expect(row).to_contain_text("3/3枚")
        beside = page.locator(f"tr[data-key='{plain}']")
        expect(beside.locator("[data-role='recalled']")).to_contain_text("取消 1枚 患者違い")
        page.screenshot(path=str(tmp_path / "list.png"))
        taken_back(filled, first)
        forwarder.look()
        expect(row.locator(".state")).to_contain_text("取消")
        expect(row.locator("[data-role='recalled-at']")).to_contain_text("5枚")
        row.focus()
        screen.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.locator("[data-role='to-settle']")).to_contain_text("5枚が転送先 viewer")
        page.screenshot(path=str(tmp_path / "settle.png"))
        dialog.get_by_role("button", name="転送先で処置した").click()
        expect(row).to_have_count(0)
    assert forwarding.every(filled.index)[0]["settled"][0] == READER.name
    filled.close()


@pytest.mark.requirement("WSI-08", "WSI-11")
def test_label_and_request_number_are_asked_for_a_yes_in_an_operation(
    page: Page, tmp_path: Path
) -> None:
    room = Room(tmp_path / "receiver")
    of_case = case_of(names.YOSHIDA, "2.25.4799")
    coming = []
    for number in (1, 2):
        path, _ = slide.write_slide(
            tmp_path / str(number), names.YOSHIDA, size=(900, 700), seed=number
        )
        one = dataclasses.replace(
            of_case, series_uid=f"2.25.4799.{number}", uid_seed=str(number), series_number=number
        )
        coming.append(room.open_slide(path, one))
    with room.index.write() as db:
        db.execute(
            index.transfers.update().values(request='{"intraoperative": true, "phone": "0152-00"}')
        )
    for slides in coming:
        slides.lay_out()
        slides.bring_all()
    key = coming[0].key
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        panel = page.locator("[data-role='label-check']")
        expect(panel).to_contain_text("ラベルと依頼番号は同じですか")
        expect(panel.locator("img")).to_have_js_property("complete", True)
        expect(panel).to_contain_text("依頼番号")
        page.screenshot(path=str(tmp_path / "label.png"))
        screen.press("1")
        expect(panel).to_have_attribute("data-series", "2.25.4799.2")
        screen.press("2")
        expect(page.get_by_role("dialog").locator("#query-text")).to_be_visible()
        screen.press("Escape")
        expect(page.locator("[data-role='label-differs']")).to_contain_text("0152-00")
        expect(panel).to_have_count(0)
        page.get_by_role("button", name="← 一覧").click()
        screen.open(key)
        expect(page.locator("[data-role='label-differs']")).to_be_visible()
        expect(panel).to_have_count(0)
    with room.index.read() as db:
        rows = db.execute(select(index.label_checks)).all()
    assert {row.series_uid: row.same for row in rows} == {"2.25.4799.1": True, "2.25.4799.2": False}
    room.close()
