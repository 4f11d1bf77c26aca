"""Frames that readers wait for reach the sender at once, in fair shares, and not for ever."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from common import link
from common.link import Opening
from common.proof import jws
from receiver import index, statements, waiting
from tests.receiver.filled import NORTH, RECEIVER, Filled
from tests.receiver.linking import Linked

DEADLINE = 20.0


@pytest.fixture
def places(filled: Filled) -> dict[int, int]:
    """A slide that is open: places in the opening, by number in the index."""
    filled.slide()
    with filled.index.read() as db:
        ids = db.execute(select(index.instances.c.id).order_by(index.instances.c.id)).scalars()
        return {number: place for place, number in enumerate(ids)}


def note(filled: Filled, reader: str, instance: int, frames: range, *, ago: float = 0.0) -> None:
    with filled.index.write() as db:
        waiting.note(db, reader, [(instance, frame) for frame in frames])
        if ago:
            at = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(timespec="milliseconds")
            mine = index.wanted.c.frame.in_(frames) & (index.wanted.c.reader == reader)
            db.execute(update(index.wanted).where(mine).values(at=at))


def take(filled: Filled, places: dict[int, int], most: int = waiting.AT_ONCE) -> list[list[int]]:
    with filled.index.write() as db:
        return waiting.take(db, places, most)


@pytest.mark.requirement("WSI-10")
def test_readers_take_turns_and_each_frame_is_named_once(
    filled: Filled, places: dict[int, int]
) -> None:
    big = max(places)
    note(filled, "greedy", big, range(30), ago=2)
    note(filled, "modest", big, range(28, 30), ago=1)
    first = take(filled, places, 4)
    assert sorted(frame for _, frame in first) == [0, 1, 28, 29]
    rest = take(filled, places)
    assert sorted(frame for _, frame in rest) == list(range(2, 28))
    assert take(filled, places) == []


@pytest.mark.requirement("WSI-10")
def test_what_a_reader_looks_at_now_comes_before_what_it_left(
    filled: Filled, places: dict[int, int]
) -> None:
    big = max(places)
    note(filled, "reader", big, range(20), ago=3)
    note(filled, "reader", big, range(20, 24))
    assert [frame for _, frame in take(filled, places, 6)] == [20, 21, 22, 23, 0, 1]
    note(filled, "reader", big, range(10), ago=waiting.KEPT_SECONDS + 1)
    assert 5 not in [frame for _, frame in take(filled, places)], "nobody asked for it again"


def test_one_reader_fills_no_table(filled: Filled, places: dict[int, int]) -> None:
    big = max(places)
    for start in range(0, 3 * waiting.MOST, waiting.MOST):
        note(filled, "reader", big, range(start, start + waiting.MOST))
    with filled.index.read() as db:
        assert len(db.execute(select(index.wanted)).all()) == waiting.MOST


def _opened(linked: Linked) -> tuple[str, dict[int, int]]:
    """Open a slide over the link; return its path and the places of its levels."""
    slide = linked.filled.slide("other")  # its rows are those of the opening below
    with linked.filled.index.read() as db:
        transfer = db.execute(select(index.transfers.c.id)).scalar_one()
        rows = db.execute(select(index.instances.c.id).order_by(index.instances.c.id)).scalars()
        places = {number: place for place, number in enumerate(rows)}
    opening = Opening(
        transfer, "slide", NORTH[1], RECEIVER[1], slide.study_uid, {}, tuple(slide.slots)
    )
    with linked.filled.index.write() as db:
        db.execute(index.statements.delete())
        statements.write(db, transfer, "opening", jws.sign(link.words(opening), linked.sender))
    return f"/transfers/{transfer}", places


@pytest.mark.requirement("WSI-10")
def test_a_question_brings_wanted_frames_with_nothing_under_way(linked: Linked) -> None:
    """Also where another process has noted them, of which nobody tells us."""
    path, places = _opened(linked)
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(linked.client.get, f"{path}/wanted")
        _until_listening(linked)
        note(linked.filled, "reader", max(places), range(3, 6))
        assert answer.result(DEADLINE).json() == {"wanted": [[2, 3], [2, 4], [2, 5]]}
    note(linked.filled, "reader", max(places), range(7, 8))
    batch = linked.client.post(f"{path}/frames?wanted=0", content=b"")
    assert batch.json()["wanted"] == [], "who listens hears it once, and there"
    assert linked.client.post(f"{path}/frames", content=b"").json()["wanted"] == [[2, 7]]


def test_news_wake_a_question_and_a_closing_ends_it(linked: Linked) -> None:
    path, _ = _opened(linked)
    transfer = path.rpartition("/")[2]
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(linked.client.get, f"{path}/wanted")
        _until_listening(linked)
        linked.services.waiting.close("f" * 32)
        assert not answer.done(), "another transfer's closing is none of its business"
        linked.services.waiting.close(transfer)
        assert answer.result(DEADLINE).json() == {"wanted": []}


def _until_listening(linked: Linked) -> None:
    end = time.monotonic() + DEADLINE
    while not linked.services.waiting._listeners:
        assert time.monotonic() < end


def test_a_hint_waits_for_no_disk_and_leaves_no_connection_that_does_not(filled: Filled) -> None:
    level = "PRAGMA synchronous"

    def levels(*, hint: bool) -> tuple[int, int]:
        with filled.index.write(hint=hint) as db:
            raw = db.connection.dbapi_connection
            assert raw is not None
            within = raw.cursor().execute(level).fetchone()[0]
        with filled.index.read() as db:  # the same connection: the last one given back
            return within, db.exec_driver_sql(level).scalar_one()

    assert levels(hint=False) == (2, 2)
    assert levels(hint=True) == (1, 2)
    with pytest.raises(ZeroDivisionError), filled.index.write(hint=True):
        _ = 1 / 0
    assert levels(hint=False) == (2, 2)
