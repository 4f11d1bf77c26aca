"""Index and files that are not what they were: said in words, never shown as sound."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from common import durable
from common.errors import DatabaseDamaged, DatabaseUnsafe, ImageDamaged, StorageError
from receiver import index
from receiver.index import Index
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, Filled, client, ct_image
from tests.receiver.test_dicomweb import OCTETS, ROOT, place


def _vanish(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-200] ^= 1  # a pixel
    path.write_bytes(data)


DAMAGES = [
    pytest.param(_vanish, marks=pytest.mark.badinput(93, "vanished")),
    pytest.param(_truncate, marks=pytest.mark.badinput(93, "truncated")),
    pytest.param(_flip, marks=pytest.mark.badinput(93, "flipped")),
]


def _file(filled: Filled, number: int) -> Path:
    image = str(ct_image("北見", number).SOPInstanceUID)
    with filled.index.read() as db:
        query = select(index.instances.c.path).where(index.instances.c.sop_uid == image)
        return filled.store.path(str(db.execute(query).scalar()))


@pytest.mark.requirement("DIR-07")
@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_pixel_of_a_damaged_image_is_shown(
    viewer_server: ViewerServer, damage: Callable[[Path], None], seen_before: bool
) -> None:
    viewer_server.filled.ct("北見")
    asked = {
        "frames/1": OCTETS,
        "": {"Accept": "application/dicom"},
        "rendered": {"Accept": "image/jpeg"},
        "thumbnail": {"Accept": "image/jpeg"},
    }
    with client(viewer_server.url) as page:
        at = f"{ROOT}{place('北見', 2)}"
        if seen_before:
            assert page.get(f"{at}/frames/1", headers=OCTETS).status_code == 200
        damage(_file(viewer_server.filled, 2))
        for what, accept in asked.items():
            answer = page.get(f"{at}/{what}".rstrip("/"), headers=accept)
            assert answer.status_code == ImageDamaged.http_status, what
            assert answer.json()["error"]["number"] == "E-4103"
        good = page.get(f"{ROOT}{place('北見', 3)}/frames/1", headers=OCTETS)
        assert good.status_code == 200, "the others are shown"


@pytest.mark.badinput(93, "flipped")
@pytest.mark.requirement("WSI-12")
def test_no_tile_that_was_flipped_is_shown(viewer_server: ViewerServer) -> None:
    slide = viewer_server.filled.slide()
    for level in range(3):
        slide.lay_out(level)
        slide.send(level)
    row = slide._row(2)
    path = viewer_server.filled.store.path(row.path)
    data = bytearray(path.read_bytes())
    at = data.rindex(slide.tiles[2][3])
    data[at + 100] ^= 1
    path.write_bytes(data)
    root = (
        f"/dicomweb/at/{NORTH[1]}/studies/{slide.study_uid}/series/{slide.series_uid}"
        f"/instances/{slide.sop_uid(2)}/frames"
    )
    with client(viewer_server.url) as page:
        octets = {"Accept": 'multipart/related; type="image/jpeg"; transfer-syntax=*'}
        assert page.get(f"{root}/4", headers=octets).status_code == ImageDamaged.http_status
        assert page.get(f"{root}/3", headers=octets).status_code == 200, "one bad tile, not all"


# -- the database ----------------------------------------------------------------


@pytest.mark.badinput(92, "locked")
def test_a_locked_index_refuses_and_keeps_nothing_half(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "BUSY", 0.1)
    short = Index.at(filled.data)  # its connections wait less long
    filled.index.close()
    filled.index = short
    with contextlib.closing(sqlite3.connect(filled.data / "index.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="busy"):
            filled.arrive([ct_image("locked", 1)])
        assert list(filled.store.root.rglob("*.dcm")) == [], "no file without a row"
        other.execute("ROLLBACK")
    filled.arrive([ct_image("locked", 1)])
    assert len(list(filled.store.root.rglob("*.dcm"))) == 1


@pytest.mark.badinput(92, "flipped bytes")
@pytest.mark.parametrize("at", [0, 100, 4096])
def test_an_index_with_flipped_bytes_is_refused_in_words(tmp_path: Path, at: int) -> None:
    known = Filled(tmp_path / "receiver")
    known.ct("北見")
    known.close()
    path = tmp_path / "receiver" / "index.sqlite"
    assert not path.with_name("index.sqlite-wal").exists()
    data = bytearray(path.read_bytes())
    for offset in range(at, at + 64):
        data[offset] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises((DatabaseDamaged, DatabaseUnsafe)):
        index.check(tmp_path / "receiver")


@pytest.mark.badinput(92, "flipped bytes")
def test_a_sound_index_passes(filled: Filled) -> None:
    filled.ct("北見")
    index.check(filled.data)


@pytest.mark.badinput(92, "newer schema")
def test_an_index_of_a_newer_program_is_refused(filled: Filled) -> None:
    with filled.index.write() as db:
        db.execute(update(index.schema).values(version=index.SCHEMA_VERSION + 1))
    filled.close()
    with pytest.raises(DatabaseUnsafe, match=str(index.SCHEMA_VERSION + 1)):
        Index.at(filled.data)


@pytest.mark.badinput(92, "older schema")
def test_an_index_of_an_older_program_is_brought_up(filled: Filled) -> None:
    filled.ct("北見")
    with filled.index.write() as db:
        for column in ("opening", "closing", "receipt"):  # where they were at first
            db.exec_driver_sql(f"ALTER TABLE transfers ADD COLUMN {column} TEXT")
        db.execute(update(index.schema).values(version=1))
    filled.close()
    with contextlib.closing(Index.at(filled.data)) as known, known.read() as db:
        assert db.execute(select(index.schema.c.version)).scalar() == index.SCHEMA_VERSION
        assert len(db.execute(select(index.instances.c.id)).all()) == 5
