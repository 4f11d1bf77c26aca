"""VIEWING section 9: what must never happen, a test for each row."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from common.web.accounts import Accounts
from receiver.standings import Person, Standings
from samples import ct, names
from tests.receiver.viewer import greys
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.room import PASSWORD, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.neverhappen, pytest.mark.readingroom]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.requirement("DIR-06")
@pytest.mark.parametrize("switches", [300])
def test_1_in_two_windows_the_code_in_the_picture_is_of_the_name_on_the_screen(
    browser: Browser, ward: Ward, switches: int
) -> None:
    """Answers come late, out of order, or not at all; every frame is looked at in both windows."""
    chance = random.Random(20261127)

    def trouble() -> float | None:
        return None if chance.random() < 0.05 else chance.random() * 0.25

    patients = (names.TAKAHASHI, names.YAMAZAKI, names.YAMADA)
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
    context.add_init_script((Path(__file__).parent / "watcher.js").read_text("utf-8"))
    with ward.room.serve(trouble) as address:
        windows = [Screen(context.new_page(), address) for _ in range(2)]
        windows[0].sign_in()
        windows[1].page.goto(address)
        for one in windows:
            one.page.locator("tr.row").first.wait_for()
        for number in range(switches):
            one = windows[number % 2 if number < 6 else chance.randrange(2)]
            home = one.page.locator(".banner .home")
            home.click()
            one.page.locator("tr.row").first.wait_for()
            # the first six go round, so that each patient is seen in peace in each window
            patient = patients[number // 2] if number < 6 else chance.choice(patients)
            one.page.locator(f"tr[data-key='{ward.keys[patient.slug]}']").click()
            if number < 6:
                one.until("window.__todoke.view?.ready === true", "a picture in peace")
                one.frames(6)
            one.page.wait_for_timeout(chance.choice((0, 20, 80, 200, 500)))
            for _ in range(chance.randrange(4)):
                one.press(chance.choice(("ArrowDown", "ArrowUp", "End", "Home")))
        seen = [one.page.evaluate("window.__seen") for one in windows]
        for one in windows:
            one.page.goto("about:blank")
    context.close()
    name_of = {one.code: one.name.split("=")[1].replace("^", " ") for one in patients}
    for told in seen:
        pictures = [json.loads(key) for key in told]
        codes = {code for code, _, _ in pictures if code is not None}
        assert codes == set(name_of), told
        for code, line, corner in pictures:
            assert code is None or line == corner == name_of[code], told


def test_2_two_windows_never_keep_two_patients(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    second = Screen(screen.page.context.new_page(), ward.address)
    second.page.goto(f"{ward.address}/study/{ward.keys['takahashi']}")
    second.until("window.__todoke.view?.ready === true", "the same patient in both")
    screen.frames(4)
    assert "髙橋" in screen.text("patient-name")
    second.page.goto(f"{ward.address}/study/{ward.keys['yamada']}")
    second.until("window.__todoke.view?.ready === true", "another patient")
    expect(screen.page.get_by_text("別の画面で他の患者を開いた")).to_be_visible()
    assert screen.page.locator(".viewport canvas").count() == 0
    assert screen.page.locator("[data-role='patient-name']").count() == 0
    assert "山田" in second.text("patient-name")


def test_2_compared_slides_are_all_of_the_patient_on_the_line(screen: Screen, ward: Ward) -> None:
    page = screen.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    screen.open(ward.keys["slide"])
    screen.press("x", "x")
    screen.until("window.__todoke.view.panes === 4", "four panes")
    screen.settled()
    of_slide = {url.split("/studies/")[1].split("/")[0] for url in asked if "/dicomweb/" in url}
    assert len(of_slide) == 1, "panes ask for one study alone"
    name = screen.text("patient-name")
    page.locator("button.back").click()
    assert page.locator(".slide-pane").count() == 0, "panes go with their patient"
    asked.clear()
    screen.open(ward.keys["yamada"])
    assert screen.text("patient-name") != name
    assert page.locator(".slide-pane").count() == 0
    late = {url.split("/studies/")[1].split("/")[0] for url in asked if "/dicomweb/" in url}
    assert late.isdisjoint(of_slide)


def test_3_a_window_of_ct_never_lies_on_another_modality(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    screen.press("5")
    screen.frames()
    assert screen.view()["width"] == 1500
    screen.page.locator(".banner .home").click()
    screen.open(ward.keys["yoshida"])
    own = screen.view()["width"]
    assert own != 1500
    screen.press("5")
    screen.frames()
    assert screen.view()["width"] == own
    assert f"W {own:.0f}" in screen.text("window")
    assert screen.page.locator(".ct-only").inner_text() == "CTのみ"


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[tuple[Room, str, str, list[Path]]]:
    """A room with one urgent CT of which four of six images have come."""
    room = Room(tmp_path / "receiver")
    study = ct.write_series(tmp_path, names.TAKAHASHI, count=6)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    key = room.open_study(Instances(files), priority="urgent")
    room.bring(files[:4])
    with room.serve() as address:
        yield room, address, key, files
    room.close()


@pytest.mark.requirement("RAD-09", "UX-01")
def test_9_done_on_an_incomplete_or_grown_study_takes_a_second_answer(
    page: Page, growing: tuple[Room, str, str, list[Path]]
) -> None:
    room, address, key, files = growing
    screen = Screen(page, address)
    screen.sign_in()
    row = page.locator(f"tr[data-key='{key}']")
    screen.press("ArrowDown", "d", "t")  # one key changes nothing
    expect(row).not_to_contain_text("読影中")
    screen.press("Shift+T")
    expect(row.locator("td.state")).to_contain_text("読影中")
    expect(row.locator("td.state")).to_contain_text("山本医師")
    screen.press("Shift+Enter")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("画像が揃っていません")
    expect(dialog).to_contain_text("届いた画像 4 / 予定 6")
    dialog.get_by_label("電話では伝えていない").check()
    room.bring(files[4:5])  # while the question stands: the answer was about four
    dialog.get_by_role("button", name="それでも完了にする").click()
    expect(page.locator("dialog[open]")).to_contain_text("届いた画像 5 / 予定 6")
    page.locator("dialog[open]").get_by_label("電話で伝えた相手").fill("北見中央 外科")
    page.locator("dialog[open]").get_by_role("button", name="それでも完了にする").click()
    expect(row.locator("td.state")).to_contain_text("完了")
    room.bring(files[5:])
    expect(row.locator("[data-role='late']")).to_have_text("完了後に 1枚 追加")
    expect(row).to_contain_text("未開封")
    (call,) = [one for one in Standings(room.index).history(key) if one["kind"] == "call"]
    assert call["to"] == "北見中央 外科"


@pytest.mark.requirement("UX-04")
def test_10_an_alarm_that_cannot_be_heard_is_never_silent_on_the_screen(
    page: Page, growing: tuple[Room, str, str, list[Path]]
) -> None:
    page.add_init_script(
        "window.AudioContext = class { constructor() { throw new Error('no sound'); } };"
    )
    _, address, _, _ = growing
    screen = Screen(page, address)
    with page.expect_request("**/api/listening") as heard:
        screen.sign_in()
    assert '"sound":false' in (heard.value.post_data or ""), "the receiver is told, and the sender"
    expect(page.get_by_text("警報音が出ません")).to_be_visible()
    expect(page).to_have_title("(1) 緊急 – todoke")


@pytest.mark.slow
@pytest.mark.requirement("UX-04")
def test_10_a_sign_in_lets_the_alarm_sound_and_says_that_somebody_listens(
    page: Page, growing: tuple[Room, str, str, list[Path]]
) -> None:
    _, address, key, _ = growing
    screen = Screen(page, address)
    with page.expect_request("**/api/listening") as heard:
        screen.sign_in()
        expect(page.locator("[data-role='sound']")).to_have_text("音 ON")
    assert heard.value.method == "POST"
    expect(page.get_by_text("警報音が出ません")).to_be_hidden()
    calling = page.get_by_role("button", name="緊急 1件 [確認]")
    expect(calling).to_be_visible()
    screen.press("q")
    expect(calling).to_be_hidden()  # confirmed, and still not opened
    expect(page.locator(f"tr[data-key='{key}']")).to_contain_text("↓ 送信中")
    expect(page).to_have_title("(1) 緊急 – todoke")


@pytest.mark.slow
def test_14_neither_back_nor_a_dropped_file_loses_the_case(screen: Screen, ward: Ward) -> None:
    page = screen.page
    screen.open(ward.keys["takahashi"])
    name = screen.text("patient-name")
    page.go_back()
    page.locator("tr.row").first.wait_for()
    page.go_forward()
    screen.until("window.__todoke.view?.ready === true", "the same picture")
    assert screen.text("patient-name") == name
    dropped = """() => {
      const event = new DragEvent('drop', {bubbles: true, cancelable: true});
      document.querySelector('.stage').dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    assert page.evaluate(dropped)
    assert page.url.endswith(ward.keys["takahashi"])


@pytest.mark.slow
def test_another_readers_case_is_taken_over_with_a_reason_only(
    page: Page, growing: tuple[Room, str, str, list[Path]]
) -> None:
    room, address, key, _ = growing
    Standings(room.index).claim(key, Person("sato", "佐藤医師"))
    screen = Screen(page, address)
    screen.sign_in()
    state = page.locator(f"tr[data-key='{key}'] td.state")
    expect(state).to_contain_text("佐藤医師")
    screen.press("ArrowDown", "Shift+T")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("佐藤医師 が読影中です")
    dialog.get_by_label("引継ぎの理由").fill("手術に入ったため")
    page.keyboard.press("Enter")
    expect(state).to_contain_text("山本医師")


@pytest.mark.requirement("RAD-04")
@pytest.mark.slow
def test_4_the_zoom_that_is_told_is_that_of_the_pixels_on_the_screen(
    browser: Browser, ward: Ward
) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="ja-JP", device_scale_factor=1.25
    )
    screen = Screen(context.new_page(), ward.address)
    screen.sign_in()
    screen.open(ward.keys["takahashi"])
    screen.press("5")  # air is grey: the picture ends where black begins
    for key in ("j", "NumpadAdd", "NumpadSubtract", "NumpadSubtract"):
        screen.press(key)
        screen.frames(3)
        lit = screen.pixels(".viewport canvas")[..., 0] > 0
        across = np.flatnonzero(lit.any(axis=0))
        measured = (across[-1] - across[0] + 1) / 512
        told = float(screen.text("zoom").removesuffix(" %")) / 100
        assert told == pytest.approx(measured, abs=0.01), key
        assert screen.page.locator("[data-role='down']").count() == int(told < 1), key
    context.close()


@pytest.mark.slow
def test_6_sides_go_with_the_pixels_when_the_picture_is_mirrored(
    screen: Screen, ward: Ward
) -> None:
    screen.open(ward.keys["takahashi"])
    screen.press("4", "j")
    screen.frames(4)

    def sides() -> list[str]:
        names = ("left", "right", "top", "bottom")
        return [screen.page.locator(f".edge.{name}").inner_text() for name in names]

    def middle() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        canvas = screen.pixels(".viewport canvas")[..., 0]
        top, left = (canvas.shape[0] - 511) // 2, (canvas.shape[1] - 511) // 2
        return canvas[top : top + 512, left : left + 512]

    before, names_before = middle(), sides()
    for key, turned, swapped in (
        ("h", before[:, ::-1], [1, 0, 2, 3]),
        ("v", before[::-1], [0, 1, 3, 2]),
    ):
        screen.press(key)
        screen.frames(4)
        assert sides() == [names_before[i] for i in swapped]
        same = middle()[2:-2, 2:-2] == turned[2:-2, 2:-2]
        assert same.mean() > 0.98, key
        expect(screen.page.get_by_text("反転表示")).to_be_visible()
        screen.press(key)
        screen.frames(4)
    assert sides() == names_before


def test_7_a_place_without_an_image_keeps_its_number_and_is_never_white(
    page: Page, growing: tuple[Room, str, str, list[Path]]
) -> None:
    _, address, key, files = growing
    screen = Screen(page, address)
    screen.sign_in()
    page.locator(f"tr[data-key='{key}']").click()
    page.locator("[data-role='view-incomplete']").click()
    screen.until("window.__todoke.view?.ready === true", "a picture")
    screen.press("End")
    missing = page.locator("[data-role='missing']")
    for number in (6, 5):
        expect(missing).to_contain_text("未着")
        expect(missing).to_contain_text(f"{number}/6")
        expect(page.locator("[data-role='image-name']")).to_have_count(0)
        shown = np.asarray(
            Image.open(io.BytesIO(page.locator(".picture").screenshot())).convert("L")
        )
        assert np.percentile(shown, 90) < 128
        screen.press("ArrowUp")
    screen.until("window.__todoke.view.place === 3", "the fourth of six")
    expect(missing).to_be_hidden()
    assert screen.text("image-number") == "4/6"
    assert screen.view()["sop"] == pydicom.dcmread(files[3]).SOPInstanceUID


@pytest.fixture
def marked(tmp_path: Path) -> Iterator[tuple[Room, str, str]]:
    """A room with one test study whose images have been lossy, 12:1."""
    room = Room(tmp_path / "receiver")
    study = ct.write_series(tmp_path, names.TAKAHASHI, count=2)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    for path in files:
        ds = pydicom.dcmread(path)
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 12
        ds.LossyImageCompressionMethod = "ISO_10918_1"
        ds.save_as(path)
    key = room.open_study(Instances(files), test=True)
    room.bring(files)
    with room.serve() as address:
        yield room, address, key
    room.close()


def test_8_12_13_15_what_stays_on_and_what_never_leaves_the_picture(
    page: Page, marked: tuple[Room, str, str]
) -> None:
    """Loss (8) and 試験 (13) are marked at every step of less text; marks (12), words (15)."""
    room, address, key = marked
    Accounts(room.index).add("kobayashi", PASSWORD, "小林医師")
    screen = Screen(page, address)
    screen.sign_in()
    screen.open(key)
    for _ in range(3):
        expect(page.locator("[data-role='quality']")).to_be_visible()
        expect(page.locator("[data-role='quality']")).to_contain_text("非可逆")
        assert "12:1" in screen.text("quality")
        expect(page.locator(".overlay .watermark")).to_be_visible()
        expect(page.locator("[data-role='image-name']")).to_be_visible()
        screen.press("i")
    box = page.locator(".picture").bounding_box()
    assert box is not None
    screen.press("d")
    for by in (0, 80):
        page.mouse.click(box["x"] + 500 + by, box["y"] + 500)
    expect(page.locator(".marks .mark")).to_have_count(1)
    screen.until("window.__todoke.view.marks === 1 && window.__todoke.view.saved", "kept marks")
    held = page.evaluate(
        "async () => JSON.stringify([document.title, location.href, {...localStorage},"
        " {...sessionStorage}, await caches.keys(), document.cookie, history.state])"
    )
    patient = names.TAKAHASHI
    for part in (
        *patient.name.replace("^", "=").split("="),
        patient.patient_id,
        patient.birth_date,
    ):
        assert part not in held
    with page.expect_navigation():
        page.get_by_role("button", name="サインアウト").click()
    page.get_by_label("利用者名").wait_for()
    screen.sign_in("kobayashi")
    screen.open(key)
    screen.frames(4)
    assert screen.view()["marks"] == 0
    expect(page.locator(".marks .mark")).to_have_count(0)


def test_11_sign_out_in_one_window_leaves_no_pixel_in_the_other(screen: Screen, ward: Ward) -> None:
    second = Screen(screen.page.context.new_page(), ward.address)
    second.page.goto(f"{ward.address}/study/{ward.keys['takahashi']}")
    second.until("window.__todoke.view?.ready === true", "a picture")
    screen.page.get_by_role("button", name="サインアウト").click()
    screen.page.get_by_label("利用者名").wait_for()
    second.page.keyboard.press("End")
    second.page.get_by_label("利用者名").wait_for()
    for window in (screen, second):
        assert window.page.locator("canvas").count() == 0
        assert "髙橋" not in window.page.content()


def _plain(ds: pydicom.Dataset) -> None:
    del ds.PixelSpacing


def _plate(ds: pydicom.Dataset) -> None:
    ds.Modality, ds.ImagerPixelSpacing = "CR", ds.PixelSpacing
    del ds.PixelSpacing


@pytest.mark.slow
@pytest.mark.requirement("RAD-04")
def test_5_millimetres_are_told_only_where_they_are_known(page: Page, tmp_path: Path) -> None:
    files = greys.write(tmp_path, {"plain": _plain, "plate": _plate})
    room = Room(tmp_path / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        for kind, unit, said in (
            ("plain", r"\d+ px", "画素間隔なし"),
            ("plate", r"\d+\.\d mm \(検出器面\)", "検出器面での長さです"),
        ):
            page.locator(f"button.thumb[title$=' {kind}']").click()
            expect(page.locator("[data-role='spacing']")).to_contain_text(said)
            screen.press("d")
            for x in (700, 780):
                page.mouse.click(x, 500)
            (told,) = page.locator(".marks .mark text").all_text_contents()
            assert re.fullmatch(unit, told)
            bar = page.locator("[data-role='scale-bar']")
            assert bar.count() == 0 or "検出器面" in bar.inner_text()
        page.goto("about:blank")
    room.close()


def test_every_row_of_section_9_has_a_test_in_this_file() -> None:
    numbers = re.findall(r"^def test((?:_\d+)+)_", Path(__file__).read_text("utf-8"), re.M)
    rows = {int(one) for name in numbers for one in name.split("_") if one}
    assert rows == set(range(1, 16))
