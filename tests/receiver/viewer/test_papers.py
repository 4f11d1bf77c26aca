"""文書・動画 of a study: played frame by frame, drawn as pixels, and nothing of them ever runs."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect
from pydicom import Dataset

from samples import ct, names
from tests.receiver import papers_made as made
from tests.receiver.filled import as_file
from tests.receiver.viewer.room import AUDITOR, HOSPITAL, PASSWORD, Instances, Room
from tests.receiver.viewer.screen import DEADLINE, Screen
from tests.receiver.viewer.test_access import look

pytestmark = [
    pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow, pytest.mark.timeout(240),
]  # fmt: skip

FRAMES = 60
MARKUP = '"><img src=x onerror=window.pwned()>{{7*7}}'
SCRIPT = "app.alert('pwned'); this.submitForm('http://127.0.0.1:9/'); app.launchURL('/pwned')"
CDA_TEXT = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><ClinicalDocument><text>&x; 髙橋様'
    " <script>window.pwned()</script></text></ClinicalDocument>"
)
#: What the video shows now, read back from its own pixels.
_SHOWN = """async () => {
  const video = document.querySelector('video');
  const copy = new OffscreenCanvas(320, 240);
  const context = copy.getContext('2d', {willReadFrequently: true});
  context.drawImage(video, 0, 0, 320, 240);
  const {data} = context.getImageData(0, 0, 320, 240);
  let text = '';
  for (let i = 0; i < data.length; i += 32768)
    text += String.fromCharCode(...data.subarray(i, i + 32768));
  return btoa(text);
}"""


@dataclass
class Papers:
    """A reading room: CT with papers of every kind, a study that is one video alone."""

    room: Room
    address: str
    keys: dict[str, str]
    uids: dict[str, str]


def of_patient(one: Dataset, like: Dataset) -> Dataset:
    """Give an object patient and study of another."""
    for keyword in (
        "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
        "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
    ):  # fmt: skip
        if keyword in like:
            one[keyword] = like[keyword]
    return one


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Papers]:
    folder = Path(tmp_path_factory.mktemp("papers"))
    room = Room(folder / "receiver")
    keys, uids = {}, {}
    film = made.encoded(FRAMES)
    objects = {
        "letter": made.document(
            "all", made.pdf("Referral", pages=3, japanese="紹介状 髙橋"), title="紹介状"
        ),
        "script": made.document("all", made.pdf("Script", script=SCRIPT), title=MARKUP),
        "cda": made.document("all", CDA_TEXT.encode(), made.CDA, title="退院時要約"),
        "broken": made.document("all", b"%PDF-1.4\n%%EOF\n", title="壊れた文書"),
        "video": made.video("all", film, frames=FRAMES),
        "packets": made.video(
            "all", made.encoded(FRAMES, container="mpegts"), made.AVC_IN_PARTS,
            frames=FRAMES, fragments=3,
        ),
    }  # fmt: skip
    study = ct.write_series(folder / "ct", names.TAKAHASHI, count=4)
    pictures = sorted((folder / "ct" / study.folder).rglob("*.dcm"))
    like = pydicom.dcmread(pictures[0])
    files = [*pictures, *(kept(folder, n, of_patient(one, like)) for n, one in objects.items())]
    uids = {name: str(one.SOPInstanceUID) for name, one in objects.items()}
    keys["all"] = room.open_study(Instances(files))
    room.bring(files)
    alone = made.video("alone", film, made.AVC_IN_PARTS, frames=FRAMES, fragments=5, FrameTime=20)
    alone.PatientName, alone.PatientID = names.YAMAZAKI.name, names.YAMAZAKI.patient_id
    files = [kept(folder, "alone", alone)]
    keys["alone"] = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        yield Papers(room, address, keys, uids)
    room.close()


def kept(folder: Path, name: str, one: Dataset) -> Path:
    path = folder / f"{name}.dcm"
    path.write_bytes(as_file(one))
    return path


@pytest.fixture
def desk(page: Page, papers: Papers) -> Screen:
    """The page, signed in and at the work list."""
    screen = Screen(page, papers.address)
    screen.sign_in()
    if not page.evaluate(
        "document.createElement('video').canPlayType(`video/mp4; codecs=avc1.640028`)"
    ):
        pytest.skip("this Chromium has no H.264")
    return screen


def shown(screen: Screen) -> int:
    """Return the number that the pixels of the video say."""
    flat = np.frombuffer(base64.b64decode(screen.page.evaluate(_SHOWN)), np.uint8)
    return made.number_of(flat.reshape(240, 320, 4)[..., :3])


def at_frame(screen: Screen, number: int) -> None:
    """Wait until the page says this frame, 1-based, and find it in the pixels."""
    said = "document.querySelector('[data-role=video-screen]')?.dataset.frame"
    screen.until(f"{said} === '{number}'", f"frame {number}")
    assert shown(screen) == number - 1


def open_paper(screen: Screen, uid: str) -> None:
    """Choose an entry of the list."""
    screen.page.locator(f"[data-paper='{uid}']").click()


@pytest.mark.requirement("SUB-05")
def test_a_video_is_stepped_frame_by_frame_under_its_patient(desk: Screen, papers: Papers) -> None:
    page = desk.page
    desk.open(papers.keys["all"])
    assert page.locator("button.thumb").count() == 1, "the CT alone is in the strip"
    expect(page.locator("[data-role='papers-tab']")).to_contain_text("文書・動画 6")
    desk.press("q")
    open_paper(desk, papers.uids["video"])
    at_frame(desk, 1)
    for key, number in (
        *((".", 2), (".", 3), (".", 4), (",", 3), ("ArrowRight", 4), ("ArrowLeft", 3)),
        *(("Shift+Period", 13), ("Shift+Comma", 3), ("End", FRAMES), (".", FRAMES)),
        *((",", FRAMES - 1), ("Home", 1), (",", 1)),
    ):
        desk.press({".": "Period", ",": "Comma"}.get(key, key))
        at_frame(desk, number)
    desk.press("Period", "Period", "Period", "Period", "Period")
    at_frame(desk, 6)
    assert "髙橋" in page.locator(".video-screen [data-role='image-name']").inner_text()
    assert desk.text("video-time") == "0:00:00.05"
    assert desk.text("video-rate") == "25 fps"
    assert f"コマ 6/{FRAMES}" in desk.text("video-frame")
    assert "非可逆" in page.locator(".video-screen [data-role='quality']").inner_text()
    desk.press("j")
    desk.frames()
    assert page.locator(".video-screen [data-role='zoom']").inner_text() == "100 %"
    assert page.locator("video").evaluate("one => one.clientWidth") == made.WIDTH
    # the pictures took no key meanwhile, and are as they were
    place = desk.view()["place"]
    desk.press("Escape")
    assert page.locator("[data-role='papers']").count() == 0
    assert page.locator("video").count() == 0
    assert desk.view()["place"] == place


def test_a_video_plays_and_stops_and_its_slider_leads_to_a_frame(
    desk: Screen, papers: Papers
) -> None:
    page = desk.page
    desk.open(papers.keys["all"])
    desk.press("q")
    open_paper(desk, papers.uids["video"])
    at_frame(desk, 1)
    assert page.locator("video").evaluate("one => one.muted"), "the room's alarm comes first"
    desk.press("Space")
    desk.until("document.querySelector('video').ended", "the end")
    at_frame(desk, FRAMES)
    page.locator("[data-role='video-place']").fill("20")
    at_frame(desk, 21)
    desk.press("Home")  # the slider has the focus: its own key
    at_frame(desk, 1)


def test_a_study_of_one_video_opens_with_it_and_says_a_rate_that_does_not_fit(
    desk: Screen, papers: Papers
) -> None:
    """Its parts are joined, and it is stepped by what is on the screen, whatever is said."""
    page = desk.page
    page.locator(f"tr[data-key='{papers.keys['alone']}']").click()
    at_frame(desk, 1)
    assert page.locator(".viewport canvas").count() == 0
    desk.press("Period", "Period")
    at_frame(desk, 3)
    assert "合いません" in desk.text("video-differs")
    assert "山﨑" in page.locator(".video-screen [data-role='image-name']").inner_text()
    desk.press("Escape", "q")  # there is no picture to go back to
    assert page.locator("video").count() == 1
    page.locator(".banner .home").click()
    page.locator(f"tr[data-key='{papers.keys['alone']}']", has_text="開封").wait_for()


def test_what_a_browser_does_not_play_is_said_and_handed_on(desk: Screen, papers: Papers) -> None:
    page = desk.page
    desk.open(papers.keys["all"])
    desk.press("q")
    open_paper(desk, papers.uids["packets"])
    refused = page.locator("[data-role='refused']")
    expect(refused).to_contain_text("E-4570")
    expect(refused).to_contain_text("Shift+F")
    desk.press("Shift+F")
    expect(page.locator("dialog.question")).to_be_visible()


@pytest.mark.requirement("UX-03")
def test_a_pdf_is_drawn_page_by_page_with_its_japanese(desk: Screen, papers: Papers) -> None:
    page = desk.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    desk.open(papers.keys["all"])
    desk.press("q")
    open_paper(desk, papers.uids["letter"])
    sheet = page.locator("[data-role='pdf-sheet'][data-page='1']")
    sheet.wait_for()
    drawn = desk.pixels(".pdf-canvas")[..., :3]
    height = drawn.shape[0]
    latin = drawn[int(height * 0.12) : int(height * 0.18)]
    japanese = drawn[int(height * 0.36) : int(height * 0.42)]
    assert (latin < 128).any(), "a line of text"
    assert (japanese < 128).any(), "a line by a character map"
    assert any(url.endswith("/cmaps/90ms-RKSJ-H.bcmap") for url in asked)
    desk.press("PageDown", "PageDown", "PageDown")
    page.locator("[data-role='pdf-sheet'][data-page='3']").wait_for()
    assert desk.text("pdf-page") == "3/3 ページ"
    assert all(url.startswith((papers.address, "blob:")) for url in asked)


@pytest.mark.requirement("PRI-07")
@pytest.mark.badinput(51, "encapsulated PDF with JavaScript")
@pytest.mark.badinput(51, "CDA with XXE")
def test_nothing_of_a_document_runs_on_the_page(desk: Screen, papers: Papers) -> None:
    page = desk.page
    called: list[str] = []
    page.expose_function("pwned", lambda: called.append("called"))
    page.on("dialog", lambda dialog: called.append(dialog.message))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    desk.open(papers.keys["all"])
    before = page.url
    desk.press("q")
    expect(page.locator(f"[data-paper='{papers.uids['script']}']")).to_contain_text(MARKUP)
    open_paper(desk, papers.uids["script"])
    sheet = page.locator("[data-role='pdf-sheet'][data-page='1']")
    sheet.wait_for()
    page.locator(".pdf-canvas").click()  # its link lies over all of the page
    assert sheet.locator("a, iframe, embed, object, input, button").count() == 0
    open_paper(desk, papers.uids["cda"])
    text = page.locator("[data-role='paper-text']")
    expect(text).to_have_text(CDA_TEXT)
    assert text.locator("*").count() == 0
    open_paper(desk, papers.uids["broken"])
    expect(page.locator("[data-role='refused']")).to_contain_text("このPDFは開けません")
    desk.frames(4)
    assert not called
    assert page.url == before
    assert page.locator("img[src='x']").count() == 0
    assert all(url.startswith((papers.address, "blob:")) for url in asked), asked
    assert MARKUP not in page.title()


@pytest.mark.requirement("PRI-07")
def test_a_document_opened_by_its_address_is_saved_and_never_a_page(
    desk: Screen, papers: Papers
) -> None:
    page = desk.page
    one = f"{papers.address}/api/studies/{papers.keys['all']}/papers/{papers.uids['script']}"
    with page.expect_download() as saved:
        page.evaluate("address => { location.href = address; }", f"{one}/document")
    assert saved.value.suggested_filename == "document.pdf"
    other = page.context.new_page()  # where the policy may complain
    blocked: list[str] = []
    other.on("console", lambda said: blocked.append(said.text))
    other.goto(papers.address)
    other.locator("tr.row").first.wait_for()
    other.evaluate(
        "(address) => document.body.append("
        "Object.assign(document.createElement('iframe'), {src: address}))",
        f"{one}/document",
    )
    until(other, lambda: any("Framing" in text for text in blocked), "a frame that is blocked")


def until(page: Page, there: Callable[[], bool], what: str) -> None:
    """Wait for what the page's events bring."""
    end = time.monotonic() + DEADLINE
    while not there():
        assert time.monotonic() < end, what
        page.wait_for_timeout(20)


@pytest.mark.requirement("AUT-06")
def test_a_lock_leaves_neither_a_frame_nor_a_page(desk: Screen, papers: Papers) -> None:
    page = desk.page
    desk.open(papers.keys["all"])
    desk.press("q")
    open_paper(desk, papers.uids["video"])
    at_frame(desk, 1)
    desk.press("Period", "Period")
    at_frame(desk, 3)
    lock(desk)
    assert page.locator("video").evaluate("one => one.readyState") == 0
    unlock(desk)
    at_frame(desk, 3)
    open_paper(desk, papers.uids["letter"])
    page.locator("[data-role='pdf-sheet'][data-page='1']").wait_for()
    page.locator(".pdf-canvas").wait_for()
    lock(desk)
    assert page.locator(".pdf-canvas").count() == 0
    unlock(desk)
    page.locator(".pdf-canvas").wait_for()


def lock(screen: Screen) -> None:
    screen.page.get_by_role("button", name="離席").click()
    screen.page.locator("[data-role='lock']").wait_for()


def unlock(screen: Screen) -> None:
    screen.page.locator("#unlock").fill(PASSWORD)
    screen.page.locator("#unlock").press("Enter")
    screen.page.locator("[data-role='lock']").wait_for(state="detached")


@pytest.mark.requirement("RAD-09")
def test_of_an_incomplete_study_a_video_waits_for_the_readers_word(
    page: Page, papers: Papers, tmp_path: Path
) -> None:
    film = made.video("partly", made.encoded(8), frames=8)
    letter = made.document("partly", made.pdf("Letter"))
    files = [kept(tmp_path, "film", film), kept(tmp_path, "letter", letter)]
    missing = made.document("partly", made.pdf("Later"), title="後から来る文書")
    key = papers.room.open_study(Instances([*files, kept(tmp_path, "later", missing)]))
    papers.room.bring(files)
    screen = Screen(page, papers.address)
    screen.sign_in()
    page.locator(f"tr[data-key='{key}']").click()
    see = page.locator(".paper-body [data-role='view-incomplete']")
    see.wait_for()
    assert page.locator("video").count() == 0
    expect(page.locator(f"[data-paper='{missing.SOPInstanceUID}']")).to_contain_text("未着")
    see.click()
    at_frame(screen, 1)
    papers.room.bring([tmp_path / "later.dcm"])
    entry = page.locator(f"[data-paper='{missing.SOPInstanceUID}']:not(.hatched)")
    entry.wait_for()
    at_frame(screen, 1)  # what is looked at stays


@pytest.mark.requirement("AUT-04")
def test_an_auditor_sees_no_paper(page: Page, papers: Papers) -> None:
    screen = Screen(page, papers.address)
    screen.first_step(AUDITOR)
    page.locator(".audit-lines").first.wait_for()
    page.goto(f"{papers.address}/study/{papers.keys['all']}")
    page.locator(".audit-lines").first.wait_for()
    assert page.locator("[data-role='papers-tab'], video, .pdf-canvas").count() == 0
    one = f"/api/studies/{papers.keys['all']}/papers"
    said: list[Any] = page.evaluate(
        "async (them) => Promise.all(them.map(async (one) => (await fetch(one)).status))",
        [one, f"{one}/{papers.uids['letter']}/document", f"{one}/{papers.uids['video']}/video"],
    )
    assert said == [403, 403, 403]


def test_one_patients_video_never_stands_under_another(desk: Screen, papers: Papers) -> None:
    """The object says another Patient ID than the list: neither picture nor corner is shown."""
    page = desk.page

    def other(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        told[0]["00100020"]["Value"] = ["9999"]
        route.fulfill(response=answer, json=told)

    page.route("**/metadata", other)
    page.locator(f"tr[data-key='{papers.keys['alone']}']").click()
    expect(page.locator(".paper-body [role='alert']")).to_contain_text("一覧と一致しない")
    assert page.locator("video").count() == 0
    assert HOSPITAL[0] not in page.url


@pytest.mark.requirement("UX-01", "SUB-08")
def test_axe_finds_nothing_grave_and_keys_reach_everything(desk: Screen, papers: Papers) -> None:
    page = desk.page
    desk.open(papers.keys["all"])
    desk.press("q")
    faults = []
    for name, ready in (
        ("letter", ".pdf-canvas"),
        ("cda", "[data-role='paper-text']"),
        ("packets", "[data-role='refused']"),
        ("video", "[data-role='video-screen'][data-frame='1']"),
    ):
        open_paper(desk, papers.uids[name])
        page.locator(ready).wait_for()
        faults += look(page, name)
    assert not faults, "\n".join(faults)
