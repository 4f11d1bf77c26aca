"""The way back: a reading room's states and queries, heard by a sender that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from receiver import slide_marks
from receiver.facts import KnownFacts
from receiver.marks import ReaderMarks
from receiver.standings import Person
from receiver.worklist import Worklist
from tests.sender.slides.vendor_files import Svs
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
    assert ears["audible"] is False
    # without a daemon the verb itself asks
    must(
        "receiver", "study", "query", study, "前回のCTを", "--kind", "prior", "--by", "sato", *there
    )
    (left,) = must("sender", "queries", "list", *here)["queries"]
    assert (left["kind"], left["text"]) == ("prior", "前回のCTを")


@pytest.mark.requirement("UX-01", "WSI-11")
@pytest.mark.slow
def test_wishes_of_the_reading_room_reach_the_sender_of_a_slide_in_an_operation(
    ends: Ends, tmp_path: Path
) -> None:
    """過去画像の依頼, 再走査依頼 and key images, of whole processes, beside a daemon."""
    path = Svs(width=512, height=384, tile=256).write(tmp_path / "frozen.svs")
    here, there = ("--data", ends.sender), ("--data", ends.receiver)
    who = ("--patient-id", "0077", "--patient-name", "KITAMI^TARO", "--spacing", "0.5")
    told = ("--urgency", "術中", "--telephone", "0157-00-0000", "--container", "S26-1")
    (sent,) = must("sender", "send", path, *who, *told, *here)["transfers"]
    (row,) = must("receiver", "list", *there)["rows"]
    assert (row["priority"], row["intraoperative"]) == ("urgent", True)
    series = study_of(ends, row["key"])["series"][0]
    with ends.daemon():
        with ends.index() as known:
            reader = Person("sato", "佐藤医師")
            slide_marks.rescan(known, reader, row["key"], series["series_uid"], "focus")
            marks = ReaderMarks(Worklist(known, KnownFacts(ends.receiver / "store")))
            image = {"sop": series["instances"][0]["sop_uid"], "frame": 1}
            marks.keep("sato", row["key"], {"marks": [], "keys": [image], "layout": None})
        wish = ("study", "query", row["key"], "前回の標本を", "--kind", "prior", "--by", "sato")
        must("receiver", *wish, *there)
        until(lambda: len(asked(ends)) == 2, "both wishes are heard")
        until(lambda: bool(must("sender", "show", sent["id"], *here)["key_images"]), "the image")
    found = must("sender", "queries", "list", *here)["queries"]
    assert [(one["kind"], one["by"]) for one in found] == [
        ("rescan", "佐藤医師"), ("prior", "sato"),
    ]  # fmt: skip
    assert "焦点" in found[0]["text"]
    assert "S26-1" in found[0]["text"]
    (chosen,) = must("sender", "show", sent["id"], *here)["key_images"]
    assert chosen["images"][0]["sop"] == image["sop"]


def study_of(ends: Ends, key: str) -> dict[str, Any]:
    with ends.index() as known:
        return Worklist(known, KnownFacts(ends.receiver / "store")).study(key)


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
