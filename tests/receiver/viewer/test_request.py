"""What is asked, as a reader sees it: in the list, and opened beside the patient's name."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page, expect

from common.link import Opening, Slot
from receiver import attributes, transfers
from samples import ct, names
from sender.requests import form
from tests.receiver import papers_made
from tests.receiver.viewer.room import HOSPITAL, Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.evidence, pytest.mark.timeout(180)]
PDF = papers_made.pdf("Request form")
MARKUP = '"><img src=x onerror=window.pwned()>{{7*7}}'
ASKED = {
    "reason": f"𠮷田様 頭蓋内出血の有無 {MARKUP}",
    "clinical": "突然の頭痛\n嘔吐2回",
    "doctor": "山﨑 一郎",
    "phone": "0157-00-0000",
    "site": "左側頭",
}


@dataclass
class Asked:
    """A reading room with one study of each kind."""

    address: str
    keys: dict[str, str]


def opened(room: Room, files: list[Path], asked: dict[str, Any], count: int | None = None) -> str:
    """Open a transfer of some files; of none of them, if so many, as 予告."""
    heads = Instances(files).headers
    slots = [
        Slot(str(one.SOPInstanceUID), str(one.SOPClassUID),
             str(one.file_meta.TransferSyntaxUID), str(one.SeriesInstanceUID))
        for one in heads[:count]
    ]  # fmt: skip
    opening = Opening(
        transfer=secrets.token_hex(16), kind="dicom", sender=HOSPITAL[0], receiver="0112345675",
        study=str(heads[0].StudyInstanceUID), attributes=attributes.study_attributes(heads[0]),
        instances=tuple(slots), priority="urgent", request=asked,
    )  # fmt: skip
    with room.index.write() as db:
        return transfers.open_transfer(db, HOSPITAL[0], opening, "{}")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = Path(tmp_path_factory.mktemp("asked"))
    room = Room(folder / "receiver")
    patients = (names.TAKAHASHI, names.YAMAZAKI, names.YOSHIDA)
    studies = []
    for number, patient in enumerate(patients):
        study = ct.write_series(folder / str(number), patient, count=2)
        studies.append(sorted((folder / str(number) / study.folder).rglob("*.dcm")))
    (folder / "依頼票.pdf").write_bytes(PDF)
    said_of = attributes.study_attributes(pydicom.dcmread(studies[0][0]))
    level = {tag: value for tag, value in said_of.items() if isinstance(value, dict)}
    made, said = form.make(folder / "依頼票.pdf", level, 1, folder)
    first = [*studies[0], Path(made.path)]
    keys = {
        "asked": opened(room, first, {**ASKED, "forms": [said]}),
        "prior": opened(room, studies[1], {"prior": {"of": []}}),
        "announced": opened(room, studies[2], {"reason": "これから撮影"}, 0),
    }
    room.bring([*first, *studies[1]])
    with room.serve() as address:
        yield Asked(address, keys)
    room.close()


@pytest.mark.requirement("RAD-01", "UX-02", "UX-03", "UX-05")
def test_what_is_asked_stands_where_a_reader_looks(page: Page, asked: Asked) -> None:
    called: list[str] = []
    page.expose_function("pwned", lambda: called.append("called"))
    screen = Screen(page, asked.address)
    screen.sign_in()

    def row(name: str) -> Any:
        return page.locator(f"tr[data-key='{asked.keys[name]}']")

    for words in (ASKED["reason"], "山﨑 一郎", "☎0157-00-0000", "依頼票あり", "2/2枚"):
        expect(row("asked")).to_contain_text(words)
    expect(row("prior").locator("[data-role='prior']")).to_have_text("過去画像")
    expect(row("announced")).to_contain_text("予告")
    expect(row("announced")).to_contain_text("これから撮影")
    # two urgent ones: images for comparison wait for nobody
    expect(page.locator(".filter.urgent b")).to_have_text("2")
    page.locator("#search").fill("左側頭")
    expect(page.locator("tr.row")).to_have_count(1)
    page.locator("#search").fill("")
    screen.open(asked.keys["asked"])
    panel = page.locator("[data-role='request']")
    panel.locator("summary").click()
    expect(panel.locator("dd").nth(1)).to_have_text(ASKED["clinical"])
    for words in ("緊急", "診断", "採取部位", ASKED["reason"]):
        expect(panel).to_contain_text(words)
    with page.expect_download() as saved:
        panel.get_by_text("依頼票 1 を保存").click()
    assert Path(saved.value.path()).read_bytes() == PDF
    # and beside the images, drawn: never in a viewport, where nothing but the CT is offered
    assert page.locator("button.thumb").count() == 1
    screen.press("q")
    expect(page.locator("[data-paper]")).to_contain_text("依頼票")
    page.locator("[data-role='pdf-sheet'][data-page='1'] canvas").wait_for()
    assert (screen.pixels(".pdf-canvas")[..., 0] < 128).any()
    screen.press("q")
    assert page.locator("[data-role='papers']").count() == 0
    assert page.locator("img[src='x']").count() == 0
    assert not called
    page.go_back()
    screen.open(asked.keys["prior"])
    expect(page.locator(".banner [data-role='prior']")).to_be_visible()
