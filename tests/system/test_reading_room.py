"""The way back: a reading room's states and queries, heard by a sender that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.ends import Ends, must, until, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.mark.requirement("UX-01", "UX-04")
@pytest.mark.slow
def test_states_and_queries_come_back_and_answers_go_out(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 7, slices=2, side=16)
    here, there = ("--data", ends.sender), ("--data", ends.receiver)
    (sent,) = must("sender", "send", tmp_path / "ct", *here)["transfers"]
    study = ends_key(ends)
    with ends.daemon():
        must("receiver", "study", "claim", study, "--by", "sato", *there)
        until(lambda: state(ends, sent["id"]) == "reading", "the sender hears who reads")
        must("receiver", "study", "query", study, "造影の時刻は", "--by", "sato", *there)
        until(lambda: bool(asked(ends)), "the sender hears the query")
        (query,) = asked(ends)
        must("sender", "queries", "answer", query[:8], "10時20分", "--by", "鈴木", *here)
        until(lambda: "10時20分" in answers(ends, study), "the reading room hears the answer")
        refused = verb("receiver", "study", "done", study, "--by", "sato", *there)
        assert refused.code == 2
        assert "E-4511" in str(refused.words) + refused.errors
        must("receiver", "study", "done", study, "--by", "sato", "--accept", "2", *there)
        until(lambda: state(ends, sent["id"]) == "done", "the sender hears that it is done")
    shown = must("sender", "show", sent["id"], *here)
    assert shown["state"] == "done"
    assert (shown["reader"]["state_ja"], shown["reader"]["by"]) == ("完了", "sato")
    assert [one["text"] for one in shown["correspondence"]] == ["造影の時刻は", "10時20分"]
    (ears,) = must("sender", "status", *here)["reading_rooms"]
    assert ears["listening"] is False, "no page of the reading room is open"
    # without a daemon the verb itself asks
    must(
        "receiver", "study", "query", study, "前回のCTを", "--kind", "prior", "--by", "sato", *there
    )
    (left,) = must("sender", "queries", "list", *here)["queries"]
    assert (left["kind"], left["text"]) == ("prior", "前回のCTを")


def ends_key(ends: Ends) -> str:
    (row,) = must("receiver", "study", "list", "--data", ends.receiver)["studies"]
    return str(row["key"])


def state(ends: Ends, transfer: str) -> str:
    with ends.outbox() as outbox:
        return str(outbox.transfer(transfer).state)


def asked(ends: Ends) -> list[str]:
    with ends.outbox() as outbox:
        return [one.id for one in outbox.unanswered()]


def answers(ends: Ends, study: str) -> list[str]:
    with ends.index() as index:
        from receiver.queries import Queries

        return [one["text"] for one in Queries(index).of_study(study) if one["way"] == "in"]
