"""Attributes that are made after the acknowledgement: no answer shows less meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update

from common.dicom import dataset
from common.states import InstanceState
from receiver import attributes, descriptions, index
from receiver.changes import Changes
from receiver.describe_process import Filler
from receiver.descriptions import Described
from receiver.index import Index
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, Filled, client, uid

_instances = index.instances
DEADLINE = 40.0  # seconds


def forget(filled: Filled) -> None:
    """Leave the rows as an arrival leaves them that made no attributes."""
    with filled.index.write() as db:
        whole = _instances.c.state.in_(descriptions.WHOLE)
        db.execute(update(_instances).where(whole).values(attributes=None))


def kept(filled: Filled) -> dict[int, bytes | None]:
    with filled.index.read() as db:
        rows = db.execute(select(_instances.c.id, _instances.c.attributes))
        return {row.id: row.attributes for row in rows}


def described(filled: Filled) -> dict[int, bytes | None]:
    """Give every whole row the attributes of its file, as a parser reads them, and return all."""
    with filled.index.write() as db:
        whole = _instances.c.state.in_(descriptions.WHOLE)
        for row in db.execute(select(_instances.c.id, _instances.c.path).where(whole)).all():
            header, _ = dataset.open_header(filled.store.path(row.path))
            made = attributes.instance_attributes(header)
            same = _instances.c.id == row.id
            db.execute(update(_instances).where(same).values(attributes=made))
    return kept(filled)


def path_of(filled: Filled, sop_uid: str) -> Path:
    with filled.index.read() as db:
        same = _instances.c.sop_uid == sop_uid
        return filled.store.path(db.execute(select(_instances.c.path).where(same)).scalar_one())


def answers(page: httpx.Client, study: str, key: str) -> dict[str, Any]:
    """What a page and a DICOMweb client are told of a study and its neighbours."""
    root = f"/dicomweb/at/{NORTH[1]}"
    wanted = [
        "/api/worklist",
        f"/api/studies/{key}",
        f"{root}/studies",
        f"{root}/studies/{study}/series",
        f"{root}/studies/{study}/instances?includefield=all",
        f"{root}/instances?00280010=48",
        f"{root}/studies/{study}/metadata",
    ]
    found = {}
    for address in wanted:
        answer = page.get(address)
        assert answer.status_code == 200, address
        found[address] = json.loads(answer.text.replace(str(page.base_url.netloc, "ascii"), "HERE"))
    found["/api/worklist"] = found["/api/worklist"]["rows"]
    return found


def test_answers_are_the_same_without_attributes(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    key = filled.ct("北見", count=3)
    filled.ct("釧路", count=2, arrived=1)
    filled.slide().lay_out(1)
    with client(viewer_server.url) as page:
        before = answers(page, uid("北見/study"), key)
    assert before[f"/api/studies/{key}"]["series"][0]["instances"][0]["columns"] == 64
    forget(filled)
    with filled.serve() as url, client(url) as page:  # another process knows no facts yet
        assert answers(page, uid("北見/study"), key) == before
        assert kept(filled)[1] is None, "a question writes nothing"
    with filled.index.write() as db:  # nothing is said of a file that has not come
        expected = _instances.c.state == InstanceState.EXPECTED
        db.execute(update(_instances).where(expected).values(attributes=None))
        [row] = db.execute(select(_instances.c.id).where(expected).limit(1)).all()
        assert descriptions.packed(db, filled.store.root, [row.id]) == {row.id: None}


def test_a_file_that_is_no_data_set_is_answered_with_little(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    key = filled.ct("壊", count=3)
    forget(filled)
    path_of(filled, uid("壊/image/1")).write_bytes(b"no DICOM" * 100)
    path_of(filled, uid("壊/image/2")).unlink()
    with client(viewer_server.url) as page:
        found = answers(page, uid("壊/study"), key)
    assert len(found[f"/api/studies/{key}"]["series"][0]["instances"]) == 3
    metadata = found[f"/dicomweb/at/{NORTH[1]}/studies/{uid('壊/study')}/metadata"]
    assert [len(model) > 10 for model in metadata] == [False, True]


def test_what_is_asked_of_a_file_is_what_the_facts_need(filled: Filled) -> None:
    """The facts of the named tags are the facts of the whole model."""
    from receiver import facts

    slide = filled.slide()
    slide.lay_out(2)
    filled.ct("北見", count=1)
    with filled.index.read() as db:
        paths = db.execute(select(_instances.c.path).where(_instances.c.path.is_not(None)))
        files = [filled.store.path(path) for path in paths.scalars()]
    for path in files:
        some, whole = attributes.of_file(path, facts.TAGS), attributes.of_file(path)
        read = facts.read(attributes.read_instance(whole))
        assert facts.read(attributes.read_instance(some)) == read != facts.NOTHING


def test_filler_fills_what_arrival_would_have_written(filled: Filled) -> None:
    filled.ct("北見", count=descriptions.BATCH + 2)
    filled.ct("釧路", count=2, arrived=1)
    before = described(filled)
    forget(filled)
    with filled.index.read() as db:
        plan = db.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT id, path FROM instances WHERE attributes IS NULL"
                " AND state IN ('stored', 'verified') AND path IS NOT NULL LIMIT 48"
            )
        ).all()
        made = "SELECT sql FROM sqlite_master WHERE name = 'instances_undescribed'"
        assert db.execute(text(made)).scalar_one().endswith("WHERE attributes IS NULL")
    assert "instances_undescribed" in str(plan), "the blobs of the others are not walked"
    filler = Filler(filled.index, filled.store.root)
    assert [filler.fill(), filler.fill(), filler.fill()] == [descriptions.BATCH, 3, 0]
    assert kept(filled) == before


def test_filler_leaves_hostile_files_alone(filled: Filled) -> None:
    filled.ct("壊", count=3)
    whole = described(filled)
    forget(filled)
    path_of(filled, uid("壊/image/1")).write_bytes(bytes(128) + b"DICM" + b"\xff" * 4096)
    gone = path_of(filled, uid("壊/image/2"))
    elsewhere = gone.rename(gone.with_suffix(".away"))
    filler = Filler(filled.index, filled.store.root)
    assert [filler.fill(), filler.fill()] == [3, 0], "nothing is tried for ever"
    assert kept(filled) == {1: attributes.UNREADABLE, 2: None, 3: whole[3]}
    elsewhere.rename(gone)  # the disk is there again
    assert Filler(filled.index, filled.store.root).fill() == 1
    assert kept(filled)[2] == whole[2]


def test_what_came_meanwhile_is_not_overwritten(filled: Filled) -> None:
    filled.ct("北見", count=2)
    before = described(filled)
    with filled.index.write() as db:
        [path] = db.execute(select(_instances.c.path).where(_instances.c.id == 1)).scalars()
    descriptions.keep(filled.index, [Described(1, path, b"other")])
    assert kept(filled) == before, "what is kept stays"
    forget(filled)
    descriptions.keep(filled.index, [Described(1, "ab/other.dcm", b"of another file")])
    assert kept(filled)[1] is None


@contextmanager
def describing(filled: Filled) -> Iterator[subprocess.Popen[str]]:
    """The filler as the supervisor starts it."""
    line = [sys.executable, "-m", "receiver.describe_process", str(filled.data)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(line, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def wait_for(database: Index, holds: Any) -> None:
    """Look again whenever another process has written, until the deadline."""
    over = threading.Event()
    timer = threading.Timer(DEADLINE, over.set)
    timer.start()
    changes = Changes(database)
    try:
        while not holds():
            assert not over.is_set()
            while not changes.seen():
                assert not over.is_set()
    finally:
        changes.close()
        timer.cancel()


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_filler_goes_on_after_it_was_killed(filled: Filled) -> None:
    count = 5 * descriptions.BATCH
    filled.ct("多", count=count)
    before = described(filled)
    forget(filled)

    def left() -> int:
        with filled.index.read() as db:
            none = select(func.count()).where(_instances.c.attributes.is_(None))
            return int(db.execute(none).scalar_one())

    with describing(filled) as process:
        wait_for(filled.index, lambda: left() < count)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)
    assert 0 < left() < count, "killed in the middle"
    with describing(filled):
        wait_for(filled.index, lambda: left() == 0)
        filled.ct("後", count=1)  # what comes later is seen, too
        forget(filled)
        wait_for(filled.index, lambda: left() == 0)
    after = kept(filled)
    assert {number: after[number] for number in before} == before
