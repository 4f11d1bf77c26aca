"""Levels that a slide lacks are made here: for the eye alone, and apart from all that came."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

from common.states import InstanceState
from receiver import index
from receiver.derived import Shape, Shelf, wanted
from receiver.deriving import QUIET, Deriving
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import Filled, SlideCase, client

TILE = 64
SIZE = (2500, 150)  # 40 x 3 tiles of one level: 4 and 16 are missing


class LongSlide(SlideCase):
    """A slide of one level, longer than a screen."""

    TILE = TILE
    SIZES = (SIZE,)


class Clock:
    """Time that passes when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slide(filled: Filled) -> SlideCase:
    made = LongSlide(filled, "long", "0110000026")
    made.lay_out(0)
    made.send(0)
    return made


def verify(slide: SlideCase) -> None:
    with slide.filled.index.write() as db:
        db.execute(update(index.instances).values(state=InstanceState.VERIFIED))


def key_of(slide: SlideCase) -> str:
    with slide.filled.index.read() as db:
        return str(db.execute(select(index.instances.c.key)).scalar())


@pytest.fixture
def deriving(filled: Filled, clock: Clock) -> Iterator[Deriving]:
    made = Deriving(filled.index, filled.store.root, 0, clock)
    yield made
    made.close()


def work(deriving: Deriving, clock: Clock) -> int:
    """Let turns pass until there is nothing to do; return how many there were."""
    clock.now += 60
    turns = int(deriving.some())
    clock.now += 2 * QUIET
    while deriving.some():
        turns += 1
        clock.now += 2 * QUIET
        assert turns < 100
    return turns


def store_of(filled: Filled) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in filled.store.root.rglob("*") if p.is_file()}


def test_what_lacks_a_step() -> None:
    def factors(*sizes: tuple[int, int]) -> list[list[int]]:
        return [
            [s.factor for s in made] for made in wanted([Shape(1, *s, 256, 256) for s in sizes])
        ]

    assert factors((40_000, 30_000), (10_000, 7_500), (2_500, 1_875)) == [[], [], [4]]
    assert factors((32_000, 30_000), (2_000, 1_875)) == [[4], []]
    assert factors((100_000, 80_000)) == [[4, 16, 64]]
    assert factors((46_000, 32_914), (11_500, 8_228), (1_800, 1_300)) == [[], [4], []]
    assert factors((2_000, 2_000), (1_000, 1_000)) == [[], []]


@pytest.mark.requirement("WSI-10")
def test_missing_levels_are_made_of_what_is_verified_and_touch_nothing(
    viewer_server: ViewerServer, slide: SlideCase, deriving: Deriving, clock: Clock
) -> None:
    filled = viewer_server.filled
    assert work(deriving, clock) == 0, "nothing is verified yet"
    verify(slide)
    before = store_of(filled)
    assert work(deriving, clock) > 0
    shelf = Shelf(filled.store.root)
    [made] = shelf.of(key_of(slide))
    assert (made.factor, made.columns, made.rows, made.frames) == (4, 625, 38, 10)
    assert store_of(filled) == before
    for path in shelf.folder.rglob("*.tiles"):
        assert filled.store.root not in path.parents
    with client(viewer_server.url) as page:
        [series] = page.get(f"/api/studies/{slide.key}").json()["series"]
        whole, small = series["slide"]["levels"]
        assert "derived" not in whole
        assert small["derived"] == {"of": slide.sop_uid(0), "factor": 4}
        assert small["spacing_um"] == pytest.approx(4 * whole["spacing_um"])
        tile = page.get(f"/api/studies/{slide.key}/derived/{slide.sop_uid(0)}/4/2")
        assert tile.headers["cache-control"] == "private, no-store"
        assert np.abs(mean(tile.content) - source_mean(slide, 1)).max() < 2
        here = page.get(f"/api/studies/{slide.key}/coverage").json()["instances"]
        assert here[small["sop_uid"]]["frames"] == 10
        # no instance: neither DICOMweb nor another study knows of it
        root = f"/dicomweb/studies/{slide.study_uid}"
        assert len(page.get(f"{root}/instances").json()) == 1
        for wrong in ("4/11", "16/1", "4/0"):
            at = f"/api/studies/{slide.key}/derived/{slide.sop_uid(0)}/{wrong}"
            assert page.get(at).status_code == 404, wrong
        other = filled.ct("北見")
        at = f"/api/studies/{other}/derived/{slide.sop_uid(0)}/4/1"
        assert page.get(at).status_code == 404
        page.cookies.clear()
        assert (
            page.get(f"/api/studies/{slide.key}/derived/{slide.sop_uid(0)}/4/1").status_code == 401
        )


def mean(jpeg: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    picture = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), float)
    return np.asarray(picture[:38].mean((0, 1)))


def source_mean(slide: SlideCase, tile: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the mean colour of what one derived tile of the first row stands for."""
    across = -(-SIZE[0] // TILE)
    rows = []
    for y in range(3):
        numbers = [y * across + 4 * tile + x for x in range(4)]
        line = [
            np.asarray(Image.open(io.BytesIO(slide.tiles[0][n])).convert("RGB")) for n in numbers
        ]
        rows.append(np.hstack(line))
    return np.asarray(np.vstack(rows)[: SIZE[1]].astype(float).mean((0, 1)))


def test_what_arrives_comes_first(slide: SlideCase, deriving: Deriving, clock: Clock) -> None:
    verify(slide)
    for _ in range(20):  # a commit every half second
        with slide.filled.index.write() as db:
            index.announce(db, "frames", "key")
        deriving.some()
        clock.now += QUIET / 2
    assert Shelf(slide.filled.store.root).of(key_of(slide)) == []
    assert work(deriving, clock) > 0
    assert len(Shelf(slide.filled.store.root).of(key_of(slide))) == 1


def test_it_is_made_again_and_goes_with_its_instance(
    slide: SlideCase, deriving: Deriving, clock: Clock
) -> None:
    filled = slide.filled
    verify(slide)
    work(deriving, clock)
    shelf = Shelf(filled.store.root)
    [path] = [path for _, path in shelf.names()]
    first = path.read_bytes()
    path.unlink()
    with filled.index.write() as db:
        index.announce(db, "study", slide.key)
    work(deriving, clock)
    assert path.read_bytes() == first
    path.write_bytes(b"TDKDRV01" + bytes(40))  # damaged: as if it were not there
    assert shelf.of(key_of(slide)) == []
    left = path.with_suffix(".part")
    left.write_bytes(b"half")
    again = Deriving(filled.index, filled.store.root, 0, clock)
    assert not left.exists()
    work(again, clock)
    assert path.read_bytes() == first
    again.close()
    with filled.index.write() as db:
        db.execute(index.frames.delete())
        db.execute(index.instances.delete())
    Deriving(filled.index, filled.store.root, 0, clock).close()
    assert list(shelf.names()) == []


def test_a_full_disk_makes_nothing_and_says_so(
    slide: SlideCase, clock: Clock, filled: Filled
) -> None:
    verify(slide)
    full = Deriving(filled.index, filled.store.root, 1 << 62, clock)
    work(full, clock)
    shelf = Shelf(filled.store.root)
    assert not list(shelf.names())
    assert not list(shelf.folder.rglob("*.part"))
    assert shelf.standing() | {"bytes": 0} == {
        "levels": 0, "bytes": 0, "waiting": 1, "percent": 0, "held": "disk",
    }  # fmt: skip
    full.close()


@pytest.mark.badinput(93, "flipped")
def test_a_tile_that_cannot_be_decoded_ends_nothing(
    slide: SlideCase, deriving: Deriving, clock: Clock
) -> None:
    verify(slide)
    with slide.filled.index.read() as db:
        path = Path(str(db.execute(select(index.instances.c.path)).scalar()))
    file = slide.filled.store.path(str(path))
    data = bytearray(file.read_bytes())
    at = data.index(slide.tiles[0][0])
    data[at : at + 60] = bytes(60)
    file.write_bytes(data)
    work(deriving, clock)
    assert list(Shelf(slide.filled.store.root).names()) == []
    assert deriving.missing() == [], "not tried for ever"
