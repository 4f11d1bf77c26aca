"""Whose turn it is, without any processes: what a busy machine cannot change."""

from __future__ import annotations

from receiver.held import Held
from receiver.turns import Job, Turns


def job(priority: str, name: str, count: int) -> Job:
    rows = [Held(n, f"{name}{n}", "stored", "", f"{n}.dcm", 0, 1, "", "") for n in range(count)]
    return Job.of(priority, rows)


def order(turns: Turns, count: int, worker: int = 0) -> str:
    taken = [turns.take(worker) for _ in range(count)]
    return "".join(found[1].row.sop_uid[0] for found in taken if found)


def test_a_small_transfer_has_every_other_turn() -> None:
    turns = Turns()
    turns.add(job("routine", "L", 100))
    assert order(turns, 3) == "LLL"
    turns.add(job("routine", "s", 5))
    assert order(turns, 12) == "LsLsLsLsLsLL"


def test_what_is_urgent_has_all_of_them() -> None:
    turns = Turns()
    turns.add(job("routine", "L", 9))
    turns.add(job("urgent", "u", 3))
    assert order(turns, 5) == "uuuLL"


def test_a_level_goes_on_where_it_was_begun() -> None:
    turns = Turns()
    turns.add(job("routine", "L", 2))
    found = turns.take(0)
    assert found is not None
    whole, task = found
    task.begun = True
    turns.put_back(whole, task, 0)
    other = turns.take(1)
    assert other is not None
    assert other[1] is not task
    assert turns.take(0) == (whole, task)


def test_what_failed_is_first_and_anybodys() -> None:
    turns = Turns()
    turns.add(job("routine", "L", 3))
    found = turns.take(0)
    assert found is not None
    turns.put_back(*found, 0)
    assert turns.take(1) == found
