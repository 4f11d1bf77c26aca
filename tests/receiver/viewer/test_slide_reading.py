"""A slide as it is read: by keys alone, measured, in step with another, in true colours."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Browser
from sqlalchemy import select

from common.web.accounts import Accounts
from receiver import index
from samples import formats, names, slide
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import Room
from tests.receiver.viewer.screen import SLIDE, Screen
from tests.receiver.viewer.test_slide import shown_and_true

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]

SIZE = (1500, 1100)
OTHER, WORD = "suzuki", "Natsu-no-Yama-2026"

# what Chromium gives the page for a key while a Japanese IME is on: no key, but its place
_WITH_IME = """(code) => document.body.dispatchEvent(new KeyboardEvent('keydown',
  {key: 'Process', keyCode: 229, code, bubbles: true, cancelable: true}))"""


@dataclass
class Case:
    """A case of two slides, the second with red and green exchanged by its profile, and one with
    focal planes, of another patient."""

    room: Room
    screen: Screen
    address: str
    key: str
    stack: str
    paths: list[Path]


def swapped(profile: bytes) -> bytes:
    """Return a profile that takes red for green."""
    return (
        profile.replace(b"rXYZ", b"????", 1)
        .replace(b"gXYZ", b"rXYZ", 1)
        .replace(b"????", b"gXYZ", 1)
    )


@pytest.fixture(scope="module")
def case(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp("reading")
    room = Room(folder / "receiver")
    Accounts(room.index).add(OTHER, WORD, "鈴木医師")
    of_case = case_of(names.YOSHIDA, "2.25.4712")
    paths = []
    plain = slide._srgb
    for number, stain in enumerate(("HE", "PAS"), 1):
        with pytest.MonkeyPatch.context() as patch:
            if stain == "PAS":
                patch.setattr(slide, "_srgb", lambda: swapped(plain()))
            path, _ = slide.write_slide(folder / stain, names.YOSHIDA, size=SIZE, seed=number)
        coming = room.open_slide(
            path,
            dataclasses.replace(
                of_case, series_uid=f"2.25.4712.{number}", uid_seed=stain, series_number=number,
                series_description=stain, send_label=number == 1,
            ),
        )  # fmt: skip
        coming.lay_out()
        coming.bring_all()
        paths.append(path)
    form = next(one for one in formats.FORMS if one.name == "ome-z")
    ((layers, _),) = formats.write_formats(folder / "z", 1, forms=[form])
    stack = room.open_slide(layers, case_of(names.TAKAHASHI, "2.25.4713"))
    stack.lay_out()
    stack.bring_all()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="ja-JP")
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        screen.open(coming.key)
        yield Case(room, screen, address, coming.key, stack.key, paths)
        context.close()
    room.close()


@pytest.mark.requirement("WSI-08")
def test_a_slide_is_read_to_the_end_by_keys_alone(case: Case) -> None:
    screen = case.screen
    screen.settled()
    screen.until("window.__todoke.view.tissue === true", "the tissue")
    screen.press("5")
    screen.settled()
    assert screen.view()["seen"] < 0.7
    places: list[list[float]] = []
    for _ in range(60):
        said = screen.view()["seen"]
        screen.press("PageDown")
        at = screen.view()["centre"]
        if places and places[-1] == at:
            break
        places.append(at)
        # a field counts once it has stood still and sharp
        screen.until(
            f"window.__todoke.view.seen > {said} || window.__todoke.view.seen === 1",
            "this field counts",
        )
    assert screen.view()["seen"] == 1
    assert "閲覧 100 % (20x以上)" in screen.text("viewed")
    assert "最後の視野" in screen.page.locator(".slide-notice").inner_text()
    assert len(places) >= 4
    # there and back: the rows are walked in turn from either side
    rows = sorted({round(y) for _, y in places})
    ways = [[x for x, y in places if round(y) == row] for row in rows]
    assert all(way == sorted(way) for way in ways[::2])
    assert all(way == sorted(way, reverse=True) for way in ways[1::2])
    seen = screen.pixels("[data-role='viewed-map']")
    assert (seen[..., 3] > 0).any()
    screen.press("v")
    assert not screen.page.locator("[data-role='viewed-map']").is_visible()
    screen.press("v", "4")
    screen.settled()
    # at a greater magnification nothing has been seen yet
    screen.press("6")
    screen.settled()
    assert screen.view()["seen"] < 0.5


@pytest.mark.slow
def test_the_keys_work_with_a_japanese_ime_on(case: Case) -> None:
    screen = case.screen
    for code, um in (("Digit4", 1.0), ("Digit5", 0.5), ("Digit6", 0.25)):
        screen.page.evaluate(_WITH_IME, code)
        assert screen.view()["um"] == pytest.approx(um, rel=0.02)
    assert screen.text("digital") == "デジタル拡大 2×"
    screen.page.evaluate(_WITH_IME, "Digit0")
    assert screen.view()["um"] > 0.5


@pytest.mark.slow
def test_a_turned_slide_shows_the_same_tissue(case: Case) -> None:
    screen = case.screen
    screen.press("0", "j")
    screen.settled()
    centre = screen.view()["centre"]
    screen.press(*["r"] * 6)
    screen.settled()
    screen.frames(3)
    assert screen.view()["turn"] == 90
    assert screen.view()["centre"] == pytest.approx(centre)
    assert screen.text("turn") == "↻ 90°"
    shown = screen.pixels(SLIDE)[..., :3].astype(np.int16)
    half = 300
    middle = shown.shape[0] // 2, shown.shape[1] // 2
    part = shown[middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half]
    with openslide.OpenSlide(case.paths[screen.view()["active"]]) as source:
        at = (round(centre[0]) - half, round(centre[1]) - half)
        true = np.asarray(source.read_region(at, 0, (2 * half, 2 * half)).convert("RGB"), np.int16)
    turned = np.rot90(true, -1)  # clockwise
    assert np.abs(part - turned).mean() < 8
    assert np.abs(part - true).mean() > 15
    screen.press(*["r"] * 18)
    assert screen.view()["turn"] == 0


@pytest.mark.requirement("WSI-07")
def test_colours_are_those_of_the_profile(case: Case) -> None:
    screen = case.screen
    screen.press("Period", "0", "j")
    screen.until("document.querySelectorAll('.tray .thumb')[1].ariaPressed === 'true'", "PAS")
    screen.settled()
    screen.frames(3)
    assert screen.text("icc") == "ICC適用"
    shown, device = shown_and_true(screen, case.paths[1])
    profile = ImageCms.getOpenProfile(io.BytesIO(swapped(slide._srgb())))
    true = ImageCms.profileToProfile(
        Image.fromarray(device.astype(np.uint8)), profile, ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent(ImageCms.getDefaultIntent(profile)),
    )  # fmt: skip
    assert true is not None
    assert np.abs(device - np.asarray(true, np.int16)).mean() > 10, "the profile changes something"
    off = np.abs(shown - np.asarray(true, np.int16))
    assert off.mean() < 1
    assert np.percentile(off, 99.9) <= 3
    # of this slide no label was sent: said, with what the glass is called
    assert "ラベル非送信" in screen.text("pane-label")
    screen.press("Comma")
    screen.until("document.querySelectorAll('.tray .thumb')[0].ariaPressed === 'true'", "HE")


def poses(screen: Screen) -> list[list[float]]:
    """Return x, y, µm per device pixel and turn of each pane."""
    flat = screen.view()["poses"]
    return [flat[at : at + 4] for at in range(0, len(flat), 4)]


def test_panes_go_in_step_at_equal_micrometres_with_shift_and_turn(case: Case) -> None:
    screen = case.screen
    screen.press("0", "x")
    screen.until("window.__todoke.view.poses.length === 8", "two panes")
    screen.settled()
    assert screen.text("lock") == "≠ 同期解除"
    screen.press("s", "4", "ArrowRight", "ArrowDown")
    first, second = poses(screen)
    assert first == pytest.approx(second)
    assert screen.text("lock") == "同期"
    screen.press("s")
    assert screen.view()["locked"] is False
    # the second pane goes elsewhere and is turned; so they are locked
    screen.press("Tab", "r", "r", "Shift+ArrowLeft", "Shift+S")
    before = poses(screen)
    assert before[1][3] == 30
    screen.press("Tab", "5", "ArrowRight", "ArrowRight")
    after = poses(screen)
    assert after[0][2] == after[1][2] == pytest.approx(0.5, rel=0.02)
    assert after[1][3] == pytest.approx(30)
    moved = [np.subtract(after[n][:2], before[n][:2]) for n in (0, 1)]
    angle = np.radians(-30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert moved[1] == pytest.approx(turn @ moved[0], abs=0.6)
    assert np.hypot(*moved[0]) > 20
    screen.press("x", "x")
    assert screen.view()["panes"] == 1


def test_lengths_are_right_and_marks_are_the_users_own(case: Case, browser: Browser) -> None:
    screen = case.screen
    screen.press("0", "5", "d")
    before = screen.view()["centre"]
    screen.press("ArrowRight", "ArrowRight", "ArrowDown", "d", "a")
    screen.until("window.__todoke.view.marks === 2", "both are kept")
    after = screen.view()["centre"]
    true = float(np.hypot(*np.subtract(after, before))) * slide.MPP
    path = f"{case.address}/api/studies/{case.key}/slide-marks"
    kept = screen.page.request.get(path).json()["marks"]
    assert [mark["kind"] for mark in kept] == ["length", "point"]
    (a, b), unit = kept[0]["points"], kept[0]["unit"]
    assert unit == "um"
    assert np.hypot(*np.subtract(a, b)) == pytest.approx(true, rel=0.001)
    screen.page.reload()
    screen.until("window.__todoke?.view?.marks === 2", "they are there again")
    # nobody else has them, nor can take them away
    context = browser.new_context(locale="ja-JP")
    other = context.new_page()
    other.goto(case.address)
    other.get_by_label("利用者名").fill(OTHER)
    other.get_by_label("パスワード").fill(WORD)
    other.get_by_role("button", name="サインイン").click()
    other.locator("tr.row").first.wait_for()
    assert other.request.get(path).json()["marks"] == []
    refused = other.request.delete(f"{path}/{kept[0]['id']}", headers={"X-Todoke": "1"})
    assert refused.status == 404
    context.close()
    for wrong in ({"kind": "point", "unit": "um", "points": [[1, "x"]]}, {"kind": "text"}):
        body = {"series": kept[0]["series"]} | wrong
        answer = screen.page.request.post(path, data=body, headers={"X-Todoke": "1"})
        assert answer.status == 400
    screen.press("Control+z", "Control+z")
    screen.until("window.__todoke.view.marks === 0", "both are gone")


@pytest.mark.slow
def test_a_rescan_is_asked_for_with_its_reason(case: Case) -> None:
    screen = case.screen
    screen.press("Shift+R")
    assert "焦点" in screen.text("rescan-panel")
    screen.press("1")
    screen.until("document.querySelector('.slide-notice').textContent.includes('依頼側')", "told")
    with case.room.index.read() as db:
        (row,) = db.execute(select(index.rescans)).all()
    assert (row.study, row.series_uid, row.reason) == (case.key, "2.25.4712.1", "focus")


@pytest.mark.slow
def test_a_gamepad_moves_the_field_and_changes_the_slide(case: Case) -> None:
    screen = case.screen
    screen.press("5")
    before = screen.view()["centre"]
    screen.page.evaluate(
        """() => { window.pad = {connected: true, axes: [1, 0, 0, 0],
          buttons: Array.from({length: 17}, () => ({pressed: false, value: 0}))};
          navigator.getGamepads = () => [window.pad]; }"""
    )
    screen.until(f"window.__todoke.view.centre[0] > {before[0]} + 5", "the stick pans")
    um = screen.view()["um"]
    screen.page.evaluate("window.pad.axes[0] = 0, window.pad.buttons[6].value = 1")
    screen.until(f"window.__todoke.view.um > {um} * 1.1", "the trigger zooms out")
    screen.page.evaluate("window.pad.buttons[6].value = 0, window.pad.buttons[5].pressed = true")
    screen.until(
        "document.querySelectorAll('.tray .thumb')[1].ariaPressed === 'true'", "the next slide"
    )
    screen.page.evaluate("navigator.getGamepads = () => []")


@pytest.mark.slow
@pytest.mark.requirement("WSI-15")
def test_each_focal_plane_is_shown(case: Case) -> None:
    screen = case.screen
    screen.page.locator("button.back").click()
    screen.page.locator("tr.row").first.wait_for()
    screen.open(case.stack)
    screen.press("j")
    screen.settled()
    assert screen.text("plane") == f"Z 2/{formats.PLANES}"
    sharp = []
    screen.page.mouse.move(700, 500)
    screen.page.keyboard.down("Shift")
    for wheel in (0, -100, 100, 100):
        if wheel:
            plane = screen.view()["plane"]
            screen.page.mouse.wheel(0, wheel)
            screen.until(f"window.__todoke.view.plane !== {plane}", "another plane")
        screen.settled()
        screen.frames(3)
        grey = screen.pixels(SLIDE)[..., :3].astype(np.int16).mean(axis=2)
        sharp.append((screen.view()["plane"], np.abs(np.diff(grey, axis=1)).mean()))
    screen.page.keyboard.up("Shift")
    of_plane = dict(sharp)
    assert sorted(of_plane) == [0, 1, 2]
    assert of_plane[1] > 1.2 * max(of_plane[0], of_plane[2]), "the middle one is sharp"
