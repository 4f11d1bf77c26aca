"""Never one patient's picture under another's name, however late the answers come."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from samples import names
from tests.receiver.viewer.conftest import Ward
from tests.receiver.viewer.screen import Screen

pytestmark = pytest.mark.browser

WATCHER = (Path(__file__).parent / "watcher.js").read_text("utf-8")
SWITCHES = [12, pytest.param(100, marks=pytest.mark.slow)]
OF_CT = (names.TAKAHASHI, names.YAMAZAKI, names.YAMADA)


def shown_name(patient: names.Patient) -> str:
    """Return the ideographic group as a page shows it."""
    return patient.name.split("=")[1].replace("^", " ")


@pytest.mark.timeout(180)
@pytest.mark.requirement("DIR-06")
@pytest.mark.parametrize("switches", SWITCHES)
def test_the_code_in_the_picture_is_of_the_name_on_the_screen(
    page: Page, ward: Ward, switches: int
) -> None:
    chance = random.Random(20261122)

    def trouble() -> float | None:
        return None if chance.random() < 0.05 else chance.random() * 0.25

    keys = [ward.keys[one.slug] for one in OF_CT]
    page.add_init_script(WATCHER)
    with ward.room.serve(trouble) as address:
        screen = Screen(page, address)
        screen.sign_in()
        for _ in range(switches):
            page.locator(f"tr[data-key='{chance.choice(keys)}']").click()
            page.wait_for_timeout(chance.choice((0, 20, 80, 200, 500)))
            for _ in range(chance.randrange(4)):
                page.keyboard.press(chance.choice(("ArrowDown", "ArrowUp", "End", "Home")))
            page.locator(".banner .home").click()
            page.locator("tr.row").first.wait_for()
            assert page.locator("[data-role='patient-name']").count() == 0
            assert page.locator("canvas").count() == 0
        for key in keys:  # however slow the machine, each is looked at once in peace
            screen.open(key)
            screen.frames(6)
            page.locator(".banner .home").click()
            page.locator("tr.row").first.wait_for()
        seen = page.evaluate("window.__seen")
        page.goto("about:blank")
    name_of = {one.code: shown_name(one) for one in OF_CT}
    told = {tuple(json.loads(key)): count for key, count in seen.items()}
    pictures = {key: count for key, count in told.items() if key[0] is not None}
    for code, line, corner in pictures:
        assert code in name_of, pictures
        assert line == corner == name_of[code], pictures
    assert {code for code, _, _ in pictures} == set(name_of), told
    # how many frames a machine paints in that time is its own affair, that it paints is not
    assert min(pictures.values()) >= 5, told


@pytest.mark.parametrize("tag", ["00100020", "0020000D"])
def test_an_image_that_says_another_patient_or_study_is_not_drawn(
    screen: Screen, ward: Ward, tag: str
) -> None:
    def other(route: Route) -> None:
        answer = route.fetch()
        sets = answer.json()
        for data in sets:
            data[tag]["Value"] = ["1.2.3"]
        route.fulfill(response=answer, json=sets)

    screen.page.route("**/metadata", other)
    screen.page.locator(f"tr[data-key='{ward.keys['takahashi']}']").click()
    expect(screen.page.get_by_text("画像の患者が一覧と一致しないため表示しません")).to_be_visible()
    assert screen.page.locator("canvas").count() == 0
    assert screen.page.locator("[data-role='image-name']").count() == 0
    screen.page.unroute_all(behavior="ignoreErrors")


def test_sign_out_leaves_nothing_on_the_screen(screen: Screen, ward: Ward) -> None:
    screen.open(ward.keys["takahashi"])
    with screen.page.expect_navigation():  # a new page, with a memory of its own
        screen.page.get_by_role("button", name="サインアウト").click()
    screen.page.get_by_label("利用者名").wait_for()
    assert screen.page.locator("canvas").count() == 0
    assert "髙橋" not in screen.page.content()
    screen.page.goto(f"{screen.address}/study/{ward.keys['takahashi']}")
    screen.page.get_by_label("利用者名").wait_for()
    assert "髙橋" not in screen.page.content()
