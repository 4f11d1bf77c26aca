"""A slide with its photographs through the whole path: receipted, and seen by a reader."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import select

from common.dicom import dataset, digest
from common.free_ports import free_ports
from receiver import index
from receiver.viewer_services import PAGES
from sender.stills import KINDS
from tests.receiver.viewer.conftest import start
from tests.receiver.viewer.room import PASSWORD, READER
from tests.receiver.viewer.screen import PICTURE, SLIDE, Screen
from tests.sender.slides.vendor_files import Svs
from tests.sender.stills.photographs import jpeg, photograph
from tests.system import peers
from tests.system.ends import Ends, must

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")
NATIVE, BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
#: Left half orange, right half blue: what is mirrored or of swapped colours is seen.
HALVES = np.zeros((240, 320, 3), np.uint8)
HALVES[:, :160], HALVES[:, 160:] = (230, 120, 20), (20, 60, 200)


@dataclass
class Sent:
    """What the sender was given, and what it said."""

    photographs: dict[str, bytes]
    words: dict[str, Any]


@pytest.fixture(scope="module")
def sent(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """A slide, a microscope still and a gross photograph, in one job."""
    folder = tmp_path_factory.mktemp("case")
    slide = Svs(width=700, height=500, factors=(1, 2), label=False, macro=False)
    slide.write(folder / "a.svs")
    files = {
        "micro.jpg": jpeg(HALVES, quality=95, subsampling=0),
        "gross.png": photograph("PNG", HALVES),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    named = ("--micro", folder / "micro.jpg", "--gross", folder / "gross.png")
    line = ("sender", "send", folder / "a.svs", *named, *WHO, "--data", ends.sender)
    looked = must(*line, "--dry-run")
    with ends.outbox() as box:
        assert box.transfers() == []
    return Sent(files, must(*line) | {"looked": looked["files"]})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    if not (PAGES / "index.html").exists():
        pytest.skip("the viewer has not been built")
    with sync_playwright() as playwright:
        started = start(playwright.chromium)
        yield started
        started.close()


@pytest.mark.requirement("DIR-05", "WSI-04")
def test_slide_and_photographs_are_receipted_as_one_study(ends: Ends, sent: Sent) -> None:
    transfers = sent.words["transfers"]
    assert sorted(one["kind"] for one in transfers) == ["dicom", "slide"]
    assert {(one["state"], one["digests_equal"]) for one in transfers} == {("receipted", True)}
    assert len({one["study_uid"] for one in transfers}) == 1
    assert sent.words["refused"] == []
    assert [one["kind"] for one in sent.words["looked"]] == ["slide", "micro", "gross"]
    with ends.index() as known, known.read() as db:
        rows = list(db.execute(select(index.instances)))
    kinds = {of.sop_class for of in KINDS.values()}
    stored = [ends.receiver / "store" / row.path for row in rows if row.sop_class in kinds]
    made = sorted((ends.sender / "stills").rglob("*.dcm"))
    assert len(made) == 2
    # the receiver keeps what was made, and in it lies what the camera stored
    assert sorted(_d1(path) for path in stored) == sorted(_d1(path) for path in made)
    kept = b"".join(path.read_bytes() for path in stored)
    assert all(data in kept for data in sent.photographs.values())


def _d1(path: Path) -> str:
    part10 = dataset.read_part10(path)
    return digest.of_file(path, part10.offset, part10.transfer_syntax_uid).d1


@pytest.mark.requirement("DIR-05")
def test_a_reader_sees_slide_and_photographs(
    ends: Ends, sent: Sent, browser: Browser, tmp_path: Path
) -> None:
    add = ("receiver", "user", "add", READER, "--display", "読影医", "--password-stdin")
    must(*add, "--data", ends.receiver, stdin=f"{PASSWORD}\n")
    context = browser.new_context(locale="ja-JP", viewport={"width": 1200, "height": 800})
    try:
        screen = Screen(context.new_page(), ends.viewer)
        screen.sign_in()
        row = screen.page.locator("tr.row")
        assert row.count() == 1
        row.first.click()
        screen.until("window.__todoke.view?.ready === true", "the slide")
        assert screen.page.locator(SLIDE).count() == 1
        choice = screen.page.locator("[data-which='photographs']")
        assert "2枚" in choice.inner_text()
        choice.click()
        for place in range(2):
            screen.page.locator(".strip .thumb").nth(place).click()
            screen.until("window.__todoke.view?.ready === true", "a photograph")
            _assert_halves(screen)
            screen.shot(str(tmp_path / f"photograph-{place}.png"))
        small = "[...document.querySelectorAll('.thumb-picture')]"
        screen.until(
            f"{small}.length === 2 && {small}.every(one => one.naturalWidth > 0)", "thumbs"
        )
        assert Image.open(io.BytesIO((tmp_path / "photograph-0.png").read_bytes())).width == 1200
        screen.page.locator("[data-which='slides']").click()
        screen.until("window.__todoke.view?.ready === true", "the slide again")
        assert screen.page.locator(SLIDE).count() == 1
    finally:
        context.close()


def _assert_halves(screen: Screen) -> None:
    """Orange on the left and blue on the right."""
    shown = screen.pixels(PICTURE)[..., :3].astype(int)
    middle = shown[shown.shape[0] // 2]
    left, right = middle[len(middle) * 2 // 5], middle[len(middle) * 3 // 5]
    assert np.abs(left - HALVES[0, 0]).max() <= 12, left
    assert np.abs(right - HALVES[0, -1]).max() <= 12, right


@pytest.mark.peer
def test_a_peer_without_the_link_gets_the_same_bytes(
    ends: Ends, sent: Sent, tmp_path: Path
) -> None:
    own = peers.own_identity(tmp_path)
    (port,) = free_ports(1)
    added = must(
        *("sender", "partner", "add", "dcmtk", "--address", f"localhost:{port}"),
        *("--aet", "PEER", "--ca", own.ca, "--data", ends.sender),
    )
    believed = replace(own, ca=Path(added["file"]).with_suffix(".ca.crt"))
    contexts = [(of.sop_class, syntax) for of in KINDS.values() for syntax in (NATIVE, BASELINE)]
    for name, data in sent.photographs.items():
        (tmp_path / name).write_bytes(data)
    named = ("--micro", tmp_path / "micro.jpg", "--gross", tmp_path / "gross.png")
    with peers.storescp(tmp_path, port, believed, contexts, "+B") as out:
        words = must("sender", "send", *named, *WHO, "--to", "dcmtk", "--data", ends.sender)
        assert [one["state"] for one in words["transfers"]] == ["delivered"]
        stored = sorted(path for path in out.iterdir() if path.is_file())
    made = sorted((ends.sender / "stills" / str(words["job"])).iterdir())
    assert sorted(map(_d1, stored)) == sorted(map(_d1, made))
