"""What was done with is purged after its days, and nothing else ever is (DAT-07)."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from common import audit, durable
from common.errors import NotFound, StorageError, UsageError
from common.states import TransferState
from receiver import index, statements
from receiver.facts import KnownFacts
from receiver.index import Index
from receiver.purge import Purge
from receiver.standings import Standings
from receiver.startup import mend
from receiver.store import Store
from receiver.worklist import Worklist
from tests.receiver.filled import NORTH, READER, Filled, client, ct_image

DAYS = 90
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def purge(filled: Filled) -> Iterator[Purge]:
    trail = audit.Trail(filled.data / "audit", "keeper")
    yield Purge(filled.index, filled.store, trail, DAYS)
    trail.close()


def done(filled: Filled, key: str, days_ago: float) -> None:
    """Let a study have come and been done with some days ago."""
    filled.done(key)
    at = (NOW - timedelta(days=days_ago)).isoformat(timespec="milliseconds")
    same = index.studies.c.key == key
    with filled.index.write() as db:
        study = db.execute(select(index.studies).where(same)).one()
        db.execute(update(index.studies).where(same).values(done_at=at))
        mine = index.instances.c.study_uid == study.study_uid
        db.execute(update(index.instances).where(mine).values(stored_at=at))


def files(filled: Filled) -> list[Path]:
    return [path for path in filled.store.root.rglob("*.dcm") if path.is_file()]


def count(database: Index, table: Any) -> int:
    with database.read() as db:
        return int(db.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.mark.requirement("DAT-07")
def test_what_was_done_with_long_ago_goes_and_the_rest_stays(filled: Filled, purge: Purge) -> None:
    old, new, open_ = (filled.ct(name, count=2) for name in ("old", "new", "open"))
    with filled.index.write() as db:
        transfer = db.execute(
            select(index.studies.c.transfer).where(index.studies.c.key == old)
        ).scalar_one()
        statements.write(db, transfer, "receipt", "signed")
        for key in (old, new):
            said = {"study": key, "at": NOW.isoformat(), "series_uid": "2.25.1", "user": "abe"}
            db.execute(insert(index.slide_marks).values(**said, body="{}"))
            db.execute(insert(index.label_checks).values(**said, same=True))
            mine = {"study": key, "at": NOW.isoformat(), "reader": "abe", "content": "{}"}
            db.execute(insert(index.reader_marks).values(**mine, institution="", patient="digest"))
    done(filled, old, DAYS + 1)
    done(filled, new, DAYS - 1)
    assert [one.study for one in purge.due(NOW)] == [old]
    assert len(files(filled)) == 6, "to look is not to purge"
    assert [one.study for one in purge.run(NOW, "山本")] == [old]
    assert len(files(filled)) == 4
    listed = Worklist(filled.index, KnownFacts(filled.store.root)).rows()
    assert {row["key"] for row in listed} == {new, open_}
    with filled.index.read() as db:
        assert statements.read(db, transfer, "receipt") == "signed", "evidence is never touched"
        assert db.execute(select(func.count()).select_from(index.transfers)).scalar() == 3
        record = db.execute(select(index.purges)).one()
        for table in (index.slide_marks, index.label_checks, index.reader_marks):
            kept = db.execute(select(table.c.study)).scalars().all()
            assert kept == [new], f"{table.name} of images that are gone"
    assert (record.by, record.study, record.instances, record.paths) == ("山本", old, 2, None)
    assert len(record.root) == 64
    [told] = audit.last(filled.data / "audit", "purged", 9)
    assert (told["by"], told["instances"], told["transfers"]) == ("山本", 2, [transfer])
    assert "TAKAHASHI" not in json.dumps(told)
    mend(filled.index, filled.store)
    assert len(files(filled)) == 4


@pytest.mark.requirement("DAT-07")
def test_a_study_on_hold_stays_until_it_is_released(filled: Filled, purge: Purge) -> None:
    key = filled.ct(count=1)
    done(filled, key, DAYS * 9)
    purge.hold(key[:10], by="山本", reason="裁判")
    assert purge.run(NOW) == []
    with pytest.raises(UsageError, match="裁判"):
        purge.study(key, "x")
    [due] = purge.due(NOW)
    assert due.held is not None
    assert due.held["by"] == "山本"
    purge.release(key, by="山本")
    assert len(purge.run(NOW)) == 1
    assert files(filled) == []
    with pytest.raises(NotFound):
        purge.hold(key, by="山本", reason="x")


def test_images_after_done_keep_a_study(filled: Filled, purge: Purge) -> None:
    key = filled.ct(count=1)
    done(filled, key, DAYS + 1)
    filled.arrive([ct_image("北見", 2)])
    assert purge.run(NOW) == []
    with pytest.raises(UsageError):
        purge.study(key, "x")
    assert len(files(filled)) == 2


def test_zero_days_purge_nothing_and_nobody_reads_a_thing_to_its_end(
    filled: Filled, purge: Purge
) -> None:
    key = filled.ct(count=1)
    assert purge.run(NOW + timedelta(days=9999)) == [], "never done with"
    done(filled, key, DAYS + 1)
    assert Purge(filled.index, filled.store, purge.trail, 0).run(NOW) == []


@pytest.mark.requirement("DAT-07")
def test_a_notice_goes_ahead_once_a_day(filled: Filled, purge: Purge) -> None:
    done(filled, filled.ct(count=1), DAYS - 5)
    for _ in range(3):
        purge.daily(NOW, 7)
    [notice] = audit.last(filled.data / "audit", "purge-notice", 9)
    assert (notice["studies"], notice["first"]) == (1, "2026-12-02")
    purge.daily(NOW + timedelta(days=5), 7)
    assert files(filled) == []


def test_a_folder_that_others_make_again_meanwhile_is_no_failure(filled: Filled) -> None:
    """Two images come at once into a folder that was purged: one is late to see it is there."""
    arrived = filled.store.root / "one.part"
    arrived.write_bytes(b"one")
    tries = []

    def work(folder: Path) -> Path:
        tries.append(folder)
        if len(tries) == 1:
            folder.rmdir()
            try:
                durable.rename(arrived, folder / "one.dcm")
            finally:
                folder.mkdir()  # by who came at the same time
        durable.rename(arrived, folder / "one.dcm")
        return folder / "one.dcm"

    assert filled.store.within(NORTH[1], "1.2.3", work).read_bytes() == b"one"
    arrived.write_bytes(b"two")
    arrived.unlink()
    with pytest.raises(StorageError, match=r"one\.dcm"):
        filled.store.within(NORTH[1], "1.2.3", lambda to: durable.rename(arrived, to / "one.dcm"))


def test_what_was_purged_and_comes_again_is_taken_again(filled: Filled, purge: Purge) -> None:
    """Into its folder too, which the store thought to be there."""
    key = filled.ct(count=2)
    folder = files(filled)[0].parent
    done(filled, key, DAYS + 1)
    purge.run(NOW)
    assert not folder.exists()
    filled.arrive([ct_image("北見", 1), ct_image("北見", 2)])
    assert len(files(filled)) == 2
    assert files(filled)[0].parent == folder
    slide = filled.slide("again")
    slide.lay_out(0)
    shutil.rmtree(files(filled)[0].parent)  # as another process removes an empty one
    shutil.rmtree(filled.store.series_folder(NORTH[1], slide.series_uid))
    slide.lay_out(1)


def test_a_purge_that_was_cut_short_is_ended_by_the_next_start(
    filled: Filled, purge: Purge, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(filled, filled.ct(count=3), DAYS + 1)

    def cut(*_: object) -> None:
        raise StorageError(cause="cut")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "drop", cut)
        with pytest.raises(StorageError):
            purge.run(NOW)
    assert len(files(filled)) == 3
    assert count(filled.index, index.instances) == 0
    mend(filled.index, filled.store)  # more than a cut may leave would not stop it either
    assert files(filled) == []
    purge.finish()
    with filled.index.read() as db:
        assert db.execute(select(index.purges.c.paths)).scalar() is None


def test_frames_and_repairs_go_with_their_instance(filled: Filled, purge: Purge) -> None:
    slide = filled.slide()
    slide.lay_out(0)
    slide.send(0)
    with filled.index.write() as db:
        row = db.execute(select(index.instances.c.id)).scalars().first()
        values = {"instance": row, "found_at": "-", "cause": "changed", "tries": 0}
        db.execute(insert(index.repairs).values(**values))
        db.execute(update(index.transfers).values(opened_at="2020"))
    done(filled, slide.key, DAYS + 1)
    assert len(purge.run(NOW)) == 1
    for table in (index.frames, index.repairs, index.instances, index.studies):
        assert count(filled.index, table) == 0


def test_the_page_marks_a_study_as_done(filled: Filled) -> None:
    key = filled.ct(count=1)
    with filled.serve() as url, client(url) as asking:
        assert asking.post(f"/api/studies/{key}/opened").status_code == 204
        assert asking.post(f"/api/studies/{key}/done", json={}).status_code == 204
        assert asking.post(f"/api/studies/{'0' * 32}/done", json={}).status_code == 404
        [row] = asking.get("/api/worklist").json()["rows"]
    assert row["state"] == TransferState.DONE


def test_an_index_of_the_second_version_learns_what_is_done(tmp_path: Path) -> None:
    """T18: an index of before, with its rows."""
    made = Filled(tmp_path)
    key = made.ct(count=2)
    made.close()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as db, db:
        for column in ("done_at", "held"):
            db.execute(f"ALTER TABLE studies DROP COLUMN {column}")
        for table in ("repairs", "purges", "marks"):
            db.execute(f"DROP TABLE {table}")
        db.execute("UPDATE schema_version SET version=2")
    with closing(Index.at(tmp_path)) as taken:
        Standings(taken).done(key, READER, accept=2, told=False)
        assert count(taken, index.instances) == 2
        with taken.read() as read:
            row = read.execute(select(index.studies)).one()
    assert row.done_at is not None
