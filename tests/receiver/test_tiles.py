"""One tile of a slide by the short way: as fast as it is, it shows no more than the long one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from common.states import InstanceState
from common.web.accounts import Accounts
from receiver import index
from receiver.changes import Changes
from receiver.stored import Stored
from receiver.tiles import Tiles
from receiver.wado import NOT_HERE_YET
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import EAST, NORTH, USER, SlideCase, client

JPEG = {"Accept": "image/jpeg"}


@pytest.fixture
def slide(viewer_server: ViewerServer) -> SlideCase:
    """A slide of which the two smaller levels have come, and frames 0 to 9 of the largest."""
    made = viewer_server.filled.slide()
    for level in range(3):
        made.lay_out(level)
    made.send(0)
    made.send(1)
    made.send(2, range(10))
    return made


@pytest.fixture
def page(viewer_server: ViewerServer) -> Iterator[httpx.Client]:
    with client(viewer_server.url) as signed_in:
        yield signed_in


def place(slide: SlideCase, level: int, institution: str = NORTH[1]) -> str:
    """Return the path of the frames of a level."""
    instance = f"{slide.series_uid}/instances/{slide.sop_uid(level)}"
    return f"/dicomweb/at/{institution}/studies/{slide.study_uid}/series/{instance}/frames"


def file_of(slide: SlideCase, level: int) -> Path:
    with slide.filled.index.read() as db:
        same = index.instances.c.sop_uid == slide.sop_uid(level)
        return slide.filled.store.path(
            str(db.execute(select(index.instances.c.path).where(same)).scalar())
        )


def set_state(slide: SlideCase, level: int, state: InstanceState) -> None:
    with slide.filled.index.write() as db:
        same = index.instances.c.sop_uid == slide.sop_uid(level)
        db.execute(update(index.instances).where(same).values(state=state))


@pytest.mark.requirement("WSI-12")
def test_a_tile_is_what_was_sent_and_is_not_sent_twice(
    page: httpx.Client, slide: SlideCase
) -> None:
    for number in (0, 9, 3):
        sent = slide.tiles[2][number]
        answer = page.get(f"{place(slide, 2)}/{number + 1}", headers=JPEG)
        assert answer.status_code == 200
        assert answer.content.rstrip(b"\0") == sent.rstrip(b"\0")
        assert (
            answer.headers["content-type"] == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
        )
        tag = answer.headers["etag"]
        assert tag == f'"{hashlib.sha256(sent).hexdigest()}"'
        assert answer.headers["cache-control"] == "private, no-store"
        again = page.get(f"{place(slide, 2)}/{number + 1}", headers={**JPEG, "If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = page.get(
            f"{place(slide, 2)}/{number + 1}", headers={**JPEG, "If-None-Match": '"00"'}
        )
        assert other.content == answer.content


@pytest.mark.requirement("WSI-10")
def test_a_frame_that_is_not_here_is_waited_for_and_kept_nowhere(
    page: httpx.Client, slide: SlideCase
) -> None:
    absent = page.get(f"{place(slide, 2)}/12", headers=JPEG)
    assert absent.status_code == 404
    assert {"X-Todoke": absent.headers["x-todoke"]} == NOT_HERE_YET
    assert absent.headers["cache-control"] == "private, no-store"
    assert "etag" not in absent.headers
    slide.send(2, [11])
    come = page.get(f"{place(slide, 2)}/12", headers=JPEG)
    assert come.content.rstrip(b"\0") == slide.tiles[2][11].rstrip(b"\0")


def test_a_session_that_ends_ends_at_once(
    viewer_server: ViewerServer, page: httpx.Client, slide: SlideCase
) -> None:
    tile = f"{place(slide, 2)}/1"
    with client(viewer_server.url) as other:
        for _ in range(3):
            assert page.get(tile, headers=JPEG).status_code == 200
            assert other.get(tile, headers=JPEG).status_code == 200
        cookies = dict(other.cookies)
        assert other.post("/api/sign-out", headers={"X-Todoke": "1"}).status_code == 204
        other.cookies.update(cookies)  # the browser has dropped them; a thief has not
        assert other.get(tile, headers=JPEG).status_code == 401
    tag = page.get(tile, headers=JPEG).headers["etag"]
    Accounts(viewer_server.filled.index).disable(USER)  # as another process does it
    for headers in (JPEG, {**JPEG, "If-None-Match": tag}):
        assert page.get(tile, headers=headers).status_code == 401


def test_another_institution_has_no_such_tile(page: httpx.Client, slide: SlideCase) -> None:
    assert page.get(f"{place(slide, 2)}/1", headers=JPEG).status_code == 200
    assert page.get(f"{place(slide, 2, EAST[1])}/1", headers=JPEG).status_code == 404
    assert page.get(f"{place(slide, 2)}/99", headers=JPEG).status_code == 404
    assert page.get(f"{place(slide, 2)}/0", headers=JPEG).status_code == 400
    several = page.get(f"{place(slide, 2)}/1", headers={"Accept": "image/png"})
    assert several.status_code == 406


@pytest.mark.requirement("DIR-07")
@pytest.mark.badinput(93, "flipped")
def test_what_was_shown_a_moment_ago_is_not_shown_once_it_is_damaged(
    page: httpx.Client, slide: SlideCase
) -> None:
    set_state(slide, 1, InstanceState.VERIFIED)
    tiles = [f"{place(slide, 1)}/{number}" for number in (1, 2)]
    for tile in tiles:
        assert page.get(tile, headers=JPEG).status_code == 200
    path = file_of(slide, 1)
    data = bytearray(path.read_bytes())
    at = bytes(data).index(slide.tiles[1][0])
    data[at + 40] ^= 1
    with path.open("r+b") as file:  # the very file that is open
        file.write(data)
    refused = page.get(tiles[0], headers=JPEG)
    assert refused.json()["error"]["number"] == "E-4103"
    assert page.get(tiles[1], headers=JPEG).status_code == 200
    path.unlink()
    assert page.get(tiles[1], headers=JPEG).json()["error"]["number"] == "E-4103"


def test_what_is_purged_is_gone(page: httpx.Client, slide: SlideCase) -> None:
    tile = f"{place(slide, 0)}/1"
    assert page.get(tile, headers=JPEG).status_code == 200
    with slide.filled.index.write() as db:
        db.execute(index.frames.delete())
        db.execute(index.wanted.delete())
        db.execute(index.instances.delete())
    assert page.get(tile, headers=JPEG).status_code == 404


def test_a_browser_keeps_tiles_only_where_the_site_says_so_and_only_verified_ones(
    slide: SlideCase,
) -> None:
    set_state(slide, 1, InstanceState.VERIFIED)
    filled = slide.filled
    changes = Changes(filled.index)
    tiles = Tiles(Stored(filled.index, filled.store.root), changes, keep_seconds=60)

    async def asked(level: int) -> dict[bytes, bytes]:
        answer = await tiles.answer(f"{place(slide, level)}/1", [(b"accept", b"image/jpeg")])
        assert answer is not None
        return dict(answer[1])

    async def both() -> None:
        assert (await asked(1))[b"cache-control"] == b"private, max-age=60, immutable"
        assert b"cache-control" not in await asked(2)  # it still arrives: the door's own word
        tiles.close()

    asyncio.run(both())
    changes.close()
