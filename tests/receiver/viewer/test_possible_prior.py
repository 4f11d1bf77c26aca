"""A prior under another Patient ID: named, compared, and beside the study after a reader's yes."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

from receiver.facts import KnownFacts
from receiver.possible_priors import PossiblePriors
from receiver.standings import Person
from receiver.worklist import Worklist
from samples import ct, names
from tests.receiver.viewer.room import CLINIC, HOSPITAL, Instances, Room
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_access import axe_faults, without_a_row

DEADLINE = 20_000  # ms
pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]


def written(folder: Path, seed: int, **said: str) -> Instances:
    """Write a small CT of one person, as a hospital names that person."""
    study = ct.write_series(folder, names.TAKAHASHI, seed=seed, count=4)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    for path in files:
        ds = pydicom.dcmread(path)
        for keyword, value in said.items():
            setattr(ds, keyword, value)
        ds.save_as(path)
    return Instances(files)


@pytest.mark.neverhappen
@pytest.mark.requirement("CHR-07")
def test_nothing_of_another_id_is_beside_before_a_reader_has_compared(
    page: Page, tmp_path: Path
) -> None:
    """By keys alone: the bar, the refusal, the comparison, the chip, and all of it taken back."""
    room = Room(tmp_path / "receiver")
    now = written(tmp_path, 1)
    then = written(tmp_path, 2, PatientID="K-77", StudyDate="20250401")
    key, prior = room.open_study(now, HOSPITAL), room.open_study(then, CLINIC)
    room.bring(now.files, HOSPITAL)
    room.bring(then.files, CLINIC)
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        bar, beside = page.locator("[data-role='possible-priors']"), page.locator(".pane.prior")
        counted = "同じ方かもしれない過去検査 1件 (氏名・生年月日一致、ID相違)"
        expect(bar).to_contain_text(counted, timeout=DEADLINE)
        screen.press("Shift+I")
        question = page.locator("dialog.question")
        row = question.locator("tr.differs", has_text="患者ID")
        expect(row).to_contain_text("TEST-0001@", timeout=DEADLINE)
        expect(row).to_contain_text("K-77@", timeout=DEADLINE)
        assert axe_faults(page) == []
        assert without_a_row(page) == []
        screen.press("Enter")  # on the box that is not marked
        expect(question.get_by_role("alert")).to_contain_text("結んでいません", timeout=DEADLINE)
        assert _room(room).of(key)[0].state == "possible"
        screen.press("Escape", "p")
        expect(page.get_by_text("この患者の過去検査は届いていません")).to_be_visible(
            timeout=DEADLINE
        )
        assert beside.count() == 0

        screen.press("Shift+I", "Space", "Tab", "Enter")
        expect(question).to_have_count(0, timeout=DEADLINE)
        expect(bar).to_contain_text("同じ方と確認済 1件", timeout=DEADLINE)

        screen.press("p")
        beside.locator("[data-role='image-patient-id']").wait_for()
        chip = beside.locator("[data-role='id-confirmed']")
        expect(chip).to_have_text("ID相違・確認済 (山本医師)", timeout=DEADLINE)
        expect(beside.locator("[data-role='image-patient-id']")).to_contain_text(
            "K-77@", timeout=DEADLINE
        )
        own = page.locator(".pane:not(.prior) [data-role='image-patient-id']")
        expect(own).to_contain_text("TEST-0001@", timeout=DEADLINE)
        page.locator(".languages button[lang='en']").click()
        expect(chip).to_have_text("Another ID, confirmed (山本医師)", timeout=DEADLINE)
        expect(bar).to_contain_text("1 confirmed as the same person", timeout=DEADLINE)

        (pair,) = _room(room).of(key)
        other = Person("kobayashi", "小林医師")
        said = {"seen": pair.seen, "reason": "別の方でした"}
        _room(room).decide(key, other, prior, "undo", **said)  # elsewhere, while it is shown
        expect(beside).to_have_count(0, timeout=DEADLINE)
        expect(bar).to_contain_text("1 possible prior(s) of the same person", timeout=DEADLINE)
        screen.press("Shift+I")
        question.get_by_role("button", name="Not the same person").click()
        expect(bar).to_contain_text("1 as another", timeout=DEADLINE)
        assert _room(room).of(key)[0].display == "山本医師"
        assert "K-77" not in page.title() + page.url
    room.close()


def _room(room: Room) -> PossiblePriors:
    return PossiblePriors(Worklist(room.index, KnownFacts(room.store.root)))
