"""Chromium, and a reading room with synthetic patients in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

from receiver.viewer_services import PAGES
from samples import ct, mr, names, slide
from sender.slides import SlideCase
from tests.receiver.viewer.room import CLINIC, HOSPITAL, Instances, Room, SlideOnItsWay
from tests.receiver.viewer.screen import Screen

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")  # Playwright's loop must not be running when other files run theirs
def chromium() -> Iterator[BrowserType]:
    """Chromium of this machine, not yet started."""
    if not (PAGES / "index.html").exists():
        pytest.skip("the viewer has not been built")
    with sync_playwright() as playwright:
        yield playwright.chromium


def start(chromium: BrowserType, *, more: tuple[str, ...] = (), **options: Any) -> Browser:
    """Start Chromium without a GPU, with more switches if need be."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium on this machine")
    return chromium.launch(executable_path=found, args=[*SWITCHES, *more], **options)


@pytest.fixture(scope="module")
def browser(chromium: BrowserType) -> Iterator[Browser]:
    """One Chromium for the tests of a file."""
    started = start(chromium)
    yield started
    started.close()


@dataclass
class Ward:
    """What is in the reading room: one study of each patient, and how to find it."""

    room: Room
    address: str
    ct: Instances
    keys: dict[str, str]  # slug of the patient -> key of the study
    slide: SlideOnItsWay
    svs: Path


def case_of(patient: names.Patient, study_uid: str) -> SlideCase:
    """Return the case of a synthetic slide."""
    return SlideCase(
        patient_name=patient.name,
        patient_id=patient.patient_id,
        issuer=patient.issuer,
        birth_date=patient.birth_date,
        sex=patient.sex,
        study_uid=study_uid,
        series_uid=f"{study_uid}.1",
        uid_seed=study_uid,
        created="20260401093000+0900",
        study_date="20260401",
        send_label=True,
        send_macro=True,
    )


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """CT of three patients, MR of one, a slide of one; everything has arrived."""
    folder = tmp_path_factory.mktemp("ward")
    room = Room(folder / "receiver")
    keys, studies = {}, {}
    people = (
        (names.TAKAHASHI, HOSPITAL, ct, "urgent"),
        (names.YAMAZAKI, CLINIC, ct, "routine"),
        (names.YAMADA, HOSPITAL, ct, "soon"),
        (names.YOSHIDA, HOSPITAL, mr, "routine"),
    )
    for patient, institution, kind, priority in people:
        study = kind.write_series(folder, patient, count=12)
        files = sorted((folder / study.folder).rglob("*.dcm"))
        studies[patient.slug] = Instances(files)
        keys[patient.slug] = room.open_study(studies[patient.slug], institution, priority=priority)
        room.bring(files, institution)
    svs, drawn = slide.write_slide(folder, names.YAMAZAKI, size=slide.QUICK_SIZE)
    coming = room.open_slide(svs, case_of(names.YAMAZAKI, drawn.study_uid))
    coming.lay_out()
    coming.bring_all()
    keys["slide"] = coming.key
    with room.serve() as address:
        yield Ward(room, address, studies["takahashi"], keys, coming, svs)
    room.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A Japanese page of 1920 x 1080 on which no script fails and no policy is broken."""
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "console",
        lambda said: (
            wrong.append(said.text)
            if said.type == "error" and "Failed to load resource" not in said.text
            else None
        ),
    )
    yield opened
    context.close()
    assert not wrong, wrong


@pytest.fixture
def screen(page: Page, ward: Ward) -> Screen:
    """The page, signed in and at the work list."""
    shown = Screen(page, ward.address)
    shown.sign_in()
    return shown
