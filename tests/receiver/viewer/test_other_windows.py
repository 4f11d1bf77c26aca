"""VIEWING 9.10, 9.11, 9.12 over several windows, accounts and cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from common.web.accounts import Accounts
from receiver import index
from receiver.standings import Person, Standings
from samples import ct, names
from tests.receiver.viewer.room import PASSWORD, READER, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [
    pytest.mark.browser,
    pytest.mark.neverhappen,
    pytest.mark.readingroom,
    pytest.mark.slow,
]


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[tuple[Room, str, str]]:
    """A room with one whole study that nothing hurries: room, address, key."""
    room = Room(tmp_path / "receiver")
    study = ct.write_series(tmp_path, names.TAKAHASHI, count=2)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        yield room, address, key
    room.close()


def _announced(room: Room, folder: Path, patient: names.Patient) -> str:
    """Let an urgent study be on its way; gives its key."""
    study = ct.write_series(folder, patient, count=2)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    return room.open_study(Instances(files), priority="urgent")


_COUNTED = """
  window.__tones = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) {
    window.__tones += 1;
    return start.apply(this, when);
  };
"""


@pytest.mark.requirement("UX-04")
def test_10_an_urgent_case_is_heard_while_another_is_read(
    page: Page, quiet: tuple[Room, str, str], tmp_path: Path
) -> None:
    room, address, read = quiet
    _announced(room, tmp_path / "first", names.YAMADA)
    page.add_init_script(_COUNTED)
    screen = Screen(page, address)
    screen.sign_in()
    calling = page.get_by_role("button", name="緊急 1件 [確認]")
    expect(calling).to_be_visible()
    screen.press("q")
    screen.open(read)
    expect(page).to_have_title("(1) 緊急 – todoke")
    expect(calling).to_be_hidden()  # what was confirmed calls no more
    before, place = page.evaluate("window.__tones"), page.locator(".stage").bounding_box()
    urgent = _announced(room, tmp_path / "second", names.YAMAZAKI)
    expect(page).to_have_title("(2) 緊急 – todoke")
    expect(calling).to_be_visible()
    assert page.evaluate("window.__tones") >= before + 2, "two tones"
    assert "髙橋" in screen.text("patient-name"), "the case stays on the screen"
    assert page.locator(".stage").bounding_box() == place, "and in its place"
    Standings(room.index).look(urgent, Person("sato", "佐藤医師"))
    expect(page).to_have_title("(1) 緊急 – todoke")  # a colleague opened it
    expect(calling).to_be_hidden()


@pytest.mark.requirement("AUT-01")
def test_12_who_signs_in_in_another_window_takes_nothing_of_the_reader_before(
    page: Page, quiet: tuple[Room, str, str]
) -> None:
    """A browser has one session: what is marked in a window left open is never another's."""
    room, address, key = quiet
    Accounts(room.index).add("kobayashi", PASSWORD, "小林医師")
    first, second = Screen(page, address), Screen(page.context.new_page(), address)
    second.page.goto(address)
    second.page.get_by_label("利用者名").wait_for()
    first.sign_in()
    first.open(key)
    first.press("d")
    box = page.locator(".picture").bounding_box()
    assert box is not None
    for by in (0, 80):
        page.mouse.click(box["x"] + 500 + by, box["y"] + 500)
    second.page.get_by_label("利用者名").fill("kobayashi")
    second.page.get_by_label("パスワード").fill(PASSWORD)
    second.page.get_by_role("button", name="サインイン").click()
    second.page.locator("tr.row").first.wait_for()
    page.get_by_label("利用者名").wait_for()
    assert page.locator("canvas").count() == 0
    assert "髙橋" not in page.content()
    second.open(key)
    second.frames(4)
    assert second.view()["marks"] == 0
    with room.index.read() as db:
        readers = set(db.execute(select(index.reader_marks.c.reader)).scalars())
    assert "kobayashi" not in readers


@pytest.mark.requirement("AUT-06")
def test_11_a_session_that_ends_takes_the_picture_away_though_no_hand_moves(
    page: Page, quiet: tuple[Room, str, str]
) -> None:
    room, address, key = quiet
    screen = Screen(page, address)
    screen.sign_in()
    screen.open(key)
    Accounts(room.index).disable(READER)
    page.get_by_label("利用者名").wait_for(timeout=20_000)
    assert page.locator("canvas").count() == 0
    assert "髙橋" not in page.content()


_NOTED = """
  window.__noted = [];
  document.hasFocus = () => false;  // the reader looks at another program
  window.Notification = class extends Notification {
    constructor(title, options) {
      super(title, options);
      window.__noted.push([title, options.body]);
    }
  };
"""


@pytest.mark.requirement("UX-04")
def test_15_the_desktop_is_told_that_something_waits_and_of_nobody(
    page: Page, quiet: tuple[Room, str, str], tmp_path: Path
) -> None:
    room, address, _ = quiet
    page.context.grant_permissions(["notifications"])
    page.add_init_script(_NOTED)
    screen = Screen(page, address)
    screen.sign_in()
    assert page.evaluate("window.__noted") == []
    for number, patient in enumerate((names.YAMADA, names.YAMAZAKI), 1):
        _announced(room, tmp_path / patient.slug, patient)
        screen.until(f"window.__noted.length === {number}", "one note of each call")
    assert page.evaluate("window.__noted") == [["todoke", "緊急の検査があります"]] * 2


@pytest.mark.requirement("UX-04")
def test_10_a_page_that_is_locked_says_that_nobody_listens_here(
    page: Page, quiet: tuple[Room, str, str]
) -> None:
    screen = Screen(page, quiet[1])
    screen.sign_in()
    said: list[str] = []
    page.on(
        "request",
        lambda one: said.append(one.post_data or "") if one.url.endswith("/listening") else None,
    )
    with page.expect_response("**/api/session/lock"):
        page.get_by_role("button", name="離席 (隠す)").click()
    assert said, "before the lock: a locked session is heard no more"
    assert '"gone":true' in said[-1]
