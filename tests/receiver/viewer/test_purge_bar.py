"""From which day on the open study may be purged, and [延長] by the keyboard alone."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from receiver import index
from receiver.standings import Person, Standings
from samples import ct, names
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom]
DAYS, AHEAD = 90, 7


def _done(room: Room, folder: Path) -> tuple[str, datetime]:
    """A study that somebody is done with, and the moment from which on it may be purged."""
    study = ct.write_series(folder, names.TAKAHASHI, count=2)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    key = room.open_study(Instances(files))
    room.bring(files)
    Standings(room.index).done(key, Person("sato", "佐藤医師"), accept=2, told=False)
    done = datetime.now(UTC) - timedelta(days=DAYS - 2)
    at = done.isoformat(timespec="milliseconds")
    with room.index.write() as db:
        db.execute(update(index.studies).values(done_at=at))
        db.execute(update(index.instances).values(stored_at=at))
    return key, done + timedelta(days=DAYS)


@pytest.mark.requirement("DAT-07")
def test_a_reader_sees_the_day_and_holds_the_study(page: Page, tmp_path: Path) -> None:
    room = Room(tmp_path / "receiver")
    key, goes = _done(room, tmp_path)
    day = goes.astimezone(timezone(timedelta(hours=9)))
    with closing(room), room.serve(purge=(DAYS, AHEAD)) as address:
        screen, bar = Screen(page, address), page.locator("[data-role='purge']")
        screen.sign_in()
        screen.open(key)
        words = f"{day.month}月{day.day}日以降に消去されます。原本は依頼側です"
        expect(bar).to_contain_text(words)
        button = page.get_by_role("button", name="延長")
        box, place = bar.bounding_box(), button.bounding_box()
        assert box is not None
        assert place is not None
        assert (place["height"] >= 31.5, box["height"] <= 36) == (True, True), (place, box)
        button.focus()
        screen.press("Enter")
        asks = page.locator("dialog.question")
        expect(asks.get_by_label("延長の理由")).to_be_focused()
        screen.press("Enter")  # without a reason nothing is held
        expect(asks).to_be_visible()
        page.keyboard.type("裁判")
        screen.press("Enter")
        expect(asks).to_have_count(0)
        expect(bar).to_contain_text("山本医師 が消去を保留中です")
        expect(bar.locator("button")).to_have_count(0)
        page.evaluate("document.querySelector('.languages [lang=en]').click()")
        expect(bar).to_contain_text("山本医師 holds it from being purged, since")
        with room.index.write() as db:  # elsewhere, as the administrator's verb does
            db.execute(update(index.studies).values(held=None))
            index.announce(db, "study", key)
        expect(bar).to_contain_text(f"Will be purged from {day.day} {day:%b} on")
