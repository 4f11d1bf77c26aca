"""Strings of a DICOM object that are code elsewhere: on the pages they are text (DAT-08).

The `page` fixture fails on any script error and on anything that the policy had to stop:
what is written there is never markup in the first place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page
from pydicom import config

from samples import ct, names
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

WORDS = {
    "script element": "<script>window.pwned()</script>",
    "img onerror": '"><img src=x onerror=window.pwned()>',
    "template {{7*7}}": "{{7*7}}${7*7}<%= 7*7 %>",
    "javascript: address": "javascript:window.pwned()",
    "RTL override": "\u202egnp.\u202dIWASAKI",
}
SHOWN = (
    "StudyDescription",
    "SeriesDescription",
    "PatientID",
    "AccessionNumber",
)
OTHERS = ("InstitutionName", "ProtocolName", "ImageComments", "Manufacturer", "StationName")


@dataclass
class Hostile:
    """A reading room with one study for each kind of words."""

    address: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    folder = Path(tmp_path_factory.mktemp("hostile"))
    room = Room(folder / "receiver")
    keys: dict[str, str] = {}
    for number, (kind, words) in enumerate(WORDS.items()):
        study = ct.write_series(folder / str(number), names.TAKAHASHI, count=2)
        files = sorted((folder / str(number) / study.folder).rglob("*.dcm"))
        for path in files:
            rewrite(path, words, str(number))
        keys[kind] = room.open_study(Instances(files))
        room.bring(files)
    with room.serve() as address:
        yield Hostile(address, keys)
    room.close()


def rewrite(path: Path, words: str, number: str) -> None:
    """Put words into everything a page may show; give the study UIDs of its own."""
    with config.disable_value_validation():
        ds = pydicom.dcmread(path)
        ds.decode()
        ds.SpecificCharacterSet = "ISO_IR 192"
        for keyword in (*SHOWN, *OTHERS):
            setattr(ds, keyword, words)
        ds.PatientName = f"{words}={words}={words}" if "=" not in words else words
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, f"{ds[keyword].value}.{number}"[-64:].lstrip("."))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.badinput(45, kind)) for kind in WORDS]
)
@pytest.mark.slow
def test_words_of_an_object_are_text_on_every_page(page: Page, hostile: Hostile, kind: str) -> None:
    called: list[str] = []
    page.expose_function("pwned", lambda: called.append(kind))
    page.on("dialog", lambda dialog: called.append(dialog.message))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    screen = Screen(page, hostile.address)
    screen.sign_in()
    row = page.locator(f"tr[data-key='{hostile.keys[kind]}']")
    row.wait_for()
    as_written(page, WORDS[kind], row.inner_text())
    screen.open(hostile.keys[kind])
    screen.frames()
    as_written(page, WORDS[kind], page.locator("body").inner_text())
    assert "TAKAHASHI" not in page.title()
    assert WORDS[kind] not in page.title()
    assert not called
    assert all(url.startswith((hostile.address, "blob:", "data:")) for url in asked), asked


def as_written(page: Page, words: str, text: str) -> None:
    """The words stand there as they are, and have made nothing."""
    flat = "".join(text.split())
    assert "".join(words.split()) in flat, text
    assert "4949" not in flat
    for selector in ("img[src='x']", "body script:not([src])", "a[href^='javascript:']"):
        assert page.locator(selector).count() == 0, selector
