"""Frames of a slide over DICOMweb while it is still arriving."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import SlideCase, client
from tests.receiver.test_dicomweb import OCTETS, ROOT, assert_not_here, parts_of


@pytest.mark.requirement("WSI-12")
def test_slide_frames_as_they_come(viewer_server: ViewerServer) -> None:
    slide = viewer_server.filled.slide()
    with client(viewer_server.url) as page:
        path = f"{ROOT}/studies/{slide.study_uid}/series/{slide.series_uid}/instances/"
        big = f"{path}{slide.sop_uid(2)}/frames/"
        assert_not_here(page.get(big + "7"))
        slide.lay_out(2)
        assert_not_here(page.get(big + "7"))
        wait_for_wanted(slide, {(slide.sop_uid(2), 6)})
        slide.send(2, [6, 8])
        answer = page.get(big + "7", headers={"Accept": "image/jpeg"})
        assert answer.headers["content-type"].startswith("image/jpeg")
        assert answer.content == slide.tiles[2][6]
        both = page.get(big + "7,9")
        assert [body for _, body in parts_of(both)] == [slide.tiles[2][6], slide.tiles[2][8]]
        assert parts_of(both)[0][0] == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
        # a page puts each part where it asked for it
        back = page.get(big + "9,7", headers=OCTETS)
        assert [body for _, body in parts_of(back)] == [slide.tiles[2][8], slide.tiles[2][6]]
        assert_not_here(page.get(big + "7,8"))
        assert_not_here(page.get(f"{path}{slide.sop_uid(2)}"))
        assert page.get(big + "31").status_code == 404
        assert "x-todoke" not in page.get(big + "31").headers
        coverage = page.get(f"/api/studies/{slide.key}/coverage").json()["instances"]
        bitmap = coverage[slide.sop_uid(2)]
        assert bitmap == {"frames": 30, "bitmap": "QAEAAA=="}  # bits 6 and 8
        picture = page.get(big + "7/rendered")
        assert Image.open(io.BytesIO(picture.content)).size == (64, 64)


@pytest.mark.requirement("WSI-10")
def test_an_answer_waits_for_frames_as_long_as_is_preferred(viewer_server: ViewerServer) -> None:
    """RFC 7240 section 4.3: it comes with the last of them, or says what it would have said."""
    slide = viewer_server.filled.slide()
    slide.lay_out(2)
    path = f"{ROOT}/studies/{slide.study_uid}/series/{slide.series_uid}/instances/"
    asked = f"{path}{slide.sop_uid(2)}/frames/7,9"
    with client(viewer_server.url) as page, ThreadPoolExecutor(1) as reader:
        answer = reader.submit(page.get, asked, headers={"Prefer": "respond-async, wait=5"})
        wait_for_wanted(slide, {(slide.sop_uid(2), 6), (slide.sop_uid(2), 8)})
        slide.send(2, [6])
        assert not answer.done()
        slide.send(2, [8])
        both = answer.result(20)
        assert [body for _, body in parts_of(both)] == [slide.tiles[2][6], slide.tiles[2][8]]
        assert_not_here(
            page.get(f"{path}{slide.sop_uid(2)}/frames/1", headers={"Prefer": "wait=0"})
        )


def wait_for_wanted(slide: SlideCase, frames: set[tuple[str, int]]) -> None:
    """The door notes wanted frames a moment after it has answered."""
    deadline = time.monotonic() + 10
    while slide.wanted() != frames and time.monotonic() < deadline:
        time.sleep(0.02)
    assert slide.wanted() == frames
