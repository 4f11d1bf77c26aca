"""A case of a slide to which documents belong: the tab is there, over the slide and beside none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samples import names
from tests.receiver import papers_made as made
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import CLINIC, Room
from tests.receiver.viewer.screen import SLIDE, Screen
from tests.receiver.viewer.test_papers import kept
from tests.sender.slides.vendor_files import Svs

pytestmark = [
    pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow, pytest.mark.timeout(240),
]  # fmt: skip
STUDY = "2.25.471147"


@pytest.fixture
def case(tmp_path: Path) -> Iterator[tuple[Room, str, str]]:
    """A room with a slide and a letter of one patient; gives it, the study and the letter."""
    room = Room(tmp_path / "receiver")
    slide = room.open_slide(
        Svs(width=900, height=600, macro=False, label=False).write(tmp_path / "he.svs"),
        case_of(names.YOSHIDA, STUDY),
    )
    slide.lay_out()
    slide.bring_all()
    letter = made.document("case", made.pdf("Letter", pages=2, japanese="術前診断"), title="紹介状")
    letter.StudyInstanceUID = STUDY
    letter.PatientName, letter.PatientID = names.YOSHIDA.name, names.YOSHIDA.patient_id
    letter.IssuerOfPatientID = names.YOSHIDA.issuer
    letter.PatientBirthDate, letter.PatientSex = names.YOSHIDA.birth_date, names.YOSHIDA.sex
    room.bring([kept(tmp_path, "letter", letter)], CLINIC)
    yield room, slide.key, str(letter.SOPInstanceUID)
    room.close()


@pytest.mark.requirement("UX-03", "WSI-08")
def test_the_documents_of_a_slides_case_are_in_its_tab(
    page: Page, case: tuple[Room, str, str]
) -> None:
    room, key, letter = case
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        screen.settled()
        assert page.locator(".tray .thumb").count() == 1, "the letter is no slide"
        tab = page.locator("[data-role='papers-tab']")
        expect(tab).to_contain_text("文書・動画 1")
        before = screen.view()
        screen.press("q")
        page.locator(f"[data-paper='{letter}']").click()
        page.locator("[data-role='pdf-sheet'][data-page='1']").wait_for()
        drawn = screen.pixels(".pdf-canvas")[..., :3]
        assert (drawn < 128).any(), "text stands on it"
        family = names.YOSHIDA.name.split("=")[1].split("^")[0]
        assert family in page.locator(".banner").inner_text(), "under its patient"
        screen.press("PageDown")
        page.locator("[data-role='pdf-sheet'][data-page='2']").wait_for()
        assert screen.text("pdf-page") == "2/2 ページ"
        screen.press("Escape")
        assert page.locator("[data-role='papers']").count() == 0
        # the slide took no key meanwhile, and is as it was
        screen.settled()
        screen.frames(3)
        after = screen.view()
        assert {k: after[k] for k in ("scale", "origin")} == {
            k: before[k] for k in ("scale", "origin")
        }
        assert screen.pixels(SLIDE)[..., :3].std() > 30
    assert wrong == []
