"""An instance whose every string holds an attack: on every page it is text, and nowhere kept.

What a page holds is looked for in the live page: an element, an attribute or a style that
was made of a value is a fault, whatever the policy would have done about it (DAT-08 of names,
PRI-07, VIEWING 9.15).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page
from pydicom import config

from samples import ct, names, slide
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import CLINIC, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(180)]

#: VRs of letters (PS3.5 table 6.2-1), each with how much it holds; UI, DA, TM and numbers are
#: refused or left out where they are none, and have tests of their own.
TEXTS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UC": 10240, "UT": 10240, "PN": 64, "UR": 200}
#: What the pages, and the receiver in front of them, tell images by.
KEPT = {"SpecificCharacterSet", "SOPClassUID", "Modality", "PatientSex"}
#: Texts that our samples do not have.
MORE = """
    StudyDescription SeriesDescription InstitutionName InstitutionAddress Manufacturer
    ManufacturerModelName StationName ProtocolName ImageComments PatientComments AccessionNumber
    StudyID ReferringPhysicianName PerformingPhysicianName OperatorsName
    RequestedProcedureDescription BodyPartExamined ConvolutionKernel ContrastBolusAgent
    IssuerOfPatientID InstitutionalDepartmentName PatientID SoftwareVersions
"""
MARK = "pwned7f3"
LONG = f'"><svg onload={MARK}()>'  # also closes an attribute
NAME = f'"><svg><script>{MARK}()</script>'  # a name has its own meaning for =
SHORT = "<b id=x7f3>"  # 16 characters at most: SH, CS, AE
_MADE = """(mark) => {
  const found = [];
  for (const one of document.querySelectorAll('*')) {
    const drawn = one.matches('svg') && !one.matches('svg.marks:empty, svg.shutter:empty');
    if (one.id === 'x7f3' || drawn) found.push(one.outerHTML);
    for (const {name, value} of one.attributes) {
      if (name.startsWith('on') || name === 'srcdoc' || /^javascript:/i.test(value))
        found.push(`${name}=${value}`);
      if (/^(href|src|action|style|formaction)$/.test(name) && value.includes(mark))
        found.push(`${name}=${value}`);
    }
  }
  return found.map(one => one.slice(0, 200));
}"""
#: Everything a browser keeps of a page, read in the page itself.
_KEEPS = """async () => {
  const stores = await indexedDB.databases();
  const caches_ = 'caches' in window ? await caches.keys() : [];
  const workers = 'serviceWorker' in navigator
    ? await navigator.serviceWorker.getRegistrations() : [];
  return JSON.stringify([location.href, document.title, {...localStorage}, {...sessionStorage},
    document.cookie, history.state, window.name, stores, caches_, workers.length,
    performance.getEntriesByType('resource').map(one => one.name)]);
}"""


@dataclass
class Told:
    """What came to light around a page: calls, requests, titles, policies broken."""

    calls: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)


@dataclass
class Attacked:
    """A reading room with a CT and a slide full of attacks."""

    address: str
    ct: str
    slide: str
    words: frozenset[str]


def attack(ds: pydicom.Dataset, depth: int = 0) -> set[str]:
    """Put an attack into every string of a data set; return what was written."""
    written = set()
    for element in list(ds):
        if element.VR == "SQ":
            for item in element.value:
                written |= attack(item, depth + 1)
        elif element.keyword in KEPT or element.VR not in {*TEXTS, "CS", "AE"}:
            continue
        elif element.VR == "CS" and element.keyword not in {"BodyPartExamined", "Laterality"}:
            continue  # the others say how pixels are read
        else:
            words = LONG if TEXTS.get(element.VR, 16) > 16 else SHORT
            words = NAME if element.VR == "PN" else words
            element.value = f"{words}={words}={words}" if element.VR == "PN" else words
            written.add(words)
    return written


def attacked_files(folder: Path) -> list[Path]:
    """Return a CT of two slices in which every text is an attack, and some more texts."""
    study = ct.write_series(folder, names.TAKAHASHI, count=2)
    files = sorted((folder / study.folder).rglob("*.dcm"))
    with config.disable_value_validation():
        for path in files:
            ds = pydicom.dcmread(path)
            ds.decode()
            ds.SpecificCharacterSet = "ISO_IR 192"
            for keyword in MORE.split():
                setattr(ds, keyword, "x")
            assert attack(ds) == {LONG, NAME, SHORT}
            ds.save_as(path, enforce_file_format=True)
    return files


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = Path(tmp_path_factory.mktemp("attacked"))
    room = Room(folder / "receiver")
    files = attacked_files(folder)
    key = room.open_study(Instances(files), (CLINIC[0], CLINIC[1]), priority="urgent")
    room.bring(files, CLINIC)
    svs, drawn = slide.write_slide(folder, names.YAMAZAKI, size=slide.QUICK_SIZE)
    case = case_of(names.YAMAZAKI, drawn.study_uid)
    hostile = replace(case, patient_name=f"{NAME}={NAME}={NAME}", patient_id=LONG)
    coming = room.open_slide(svs, hostile)
    coming.lay_out()
    coming.bring_all()
    with room.serve() as address:
        yield Attacked(address, key, coming.key, frozenset({LONG, NAME, SHORT}))
    room.close()


def watch(page: Page) -> Told:
    """Note whatever the page does that words of a data set must not make it do."""
    told = Told()
    page.expose_function(MARK, lambda: told.calls.append("called"))
    page.on("dialog", lambda dialog: told.calls.append(dialog.message))
    page.on("request", lambda request: told.asked.append(request.url))
    return told


def judge(page: Page, told: Told, words: frozenset[str]) -> None:
    """Nothing was made of the words, and the browser keeps none of them."""
    assert page.evaluate(_MADE, MARK) == []
    assert not told.calls
    kept = page.evaluate(_KEEPS) + " ".join(told.asked)
    for one in (*words, MARK, "x7f3"):
        assert one not in kept


@pytest.mark.requirement("PRI-07", "DAT-07")
def test_every_string_is_text_on_every_page(page: Page, attacked: Attacked) -> None:
    told = watch(page)
    screen = Screen(page, attacked.address)
    screen.sign_in()
    for language in ("en", "ja"):
        page.get_by_role("button", name=language, exact=True).click()
        judge(page, told, attacked.words)
    assert LONG in page.locator(f"tr[data-key='{attacked.ct}']").inner_text()
    page.locator("#search").fill(LONG)
    page.locator("tr.row").first.wait_for()
    judge(page, told, attacked.words)
    page.locator("#search").fill("")
    screen.open(attacked.ct)
    screen.frames(3)
    shown = page.locator("[data-role='picture']").inner_text()
    assert NAME in screen.text("image-name")
    assert shown.count(LONG) >= 4, shown  # ID, study, series, kernel
    assert LONG in page.locator("nav.strip").inner_text()
    judge(page, told, attacked.words)
    page.locator(".banner .home").click()
    screen.open(attacked.slide)
    screen.frames(3)
    assert NAME in page.locator("[data-role='patient-line']").inner_text()
    assert LONG in page.locator("[data-role='patient-line']").inner_text()
    judge(page, told, attacked.words)


@pytest.mark.slow
def test_words_of_an_error_are_text(page: Page, attacked: Attacked) -> None:
    """A receiver's refusal is shown as it is written, whatever somebody put into it."""
    told = watch(page)
    screen = Screen(page, attacked.address)
    screen.sign_in()
    body = {"error": {"number": SHORT, "ja": LONG, "en": LONG}}
    page.route("**/api/studies/*", lambda route: route.fulfill(status=404, json=body))
    page.locator(f"tr[data-key='{attacked.ct}']").click()
    said = page.get_by_role("alert").filter(has_text=LONG)
    said.wait_for()
    assert SHORT in said.inner_text()
    judge(page, told, attacked.words)
    page.unroute_all()


@pytest.mark.slow
@pytest.mark.requirement("PRI-07")
def test_a_day_leaves_the_session_cookie_and_a_language_and_no_title_but_urgent(
    page: Page, attacked: Attacked
) -> None:
    titles: set[str] = set()
    notes: list[str] = []
    page.expose_function("noted", lambda title: notes.append(title))
    page.add_init_script(
        "window.Notification = class { constructor(t) { window.noted(t); } };"
        "Notification.permission = 'granted';"
    )
    screen = Screen(page, attacked.address)
    screen.sign_in()
    for key in (attacked.ct, attacked.slide):
        screen.open(key)
        titles.add(page.title())
        page.locator(".banner .home").click()
        page.locator("tr.row").first.wait_for()
        titles.add(page.title())
    page.get_by_role("button", name="en", exact=True).click()
    page.get_by_role("button", name="ja", exact=True).click()
    state: Any = page.context.storage_state()
    assert {cookie["name"] for cookie in state["cookies"]} == {"todoke_session"}
    (cookie,) = state["cookies"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    local = [one for origin in state["origins"] for one in origin["localStorage"]]
    # what its graphics can do, and how much a library says to the console
    of_libraries = {"cornerstone3D.renderingCapabilities", "loglevel"}
    assert {one["name"] for one in local} - of_libraries == {"todoke.language"}
    assert titles <= {"todoke", "(1) 緊急 – todoke", "todoke 読影室"}, titles
    assert not notes
