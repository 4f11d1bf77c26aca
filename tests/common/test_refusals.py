"""Refusals are all counted, and a flood of them is a few lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common import refusals
from common.audit import Trail
from common.errors import DiskFull
from common.proof import certificates
from common.proof.certificates import Authority
from common.refusals import Refusals, one_line
from tests.common.audit.test_trail import broken_at

DEADLINE = 20.0


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    with closing(Trail(tmp_path, "dicom")) as one:
        yield one


def lines(trail: Trail) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trail.path.read_bytes().splitlines()]


@pytest.mark.requirement("NET-08")
def test_the_first_is_written_at_once_and_repeats_are_counted(trail: Trail) -> None:
    clock = Clock()
    noted = Refusals(trail, clock=clock)
    for _ in range(1000):
        noted.note("192.0.2.1", "silent")
    noted.note("192.0.2.2", "silent")
    assert [(row["address"], row.get("repeats")) for row in lines(trail)] == [
        ("192.0.2.1", None),
        ("192.0.2.2", None),
    ]
    clock.now += 61
    noted.flush()
    (counted,) = lines(trail)[2:]
    assert (counted["address"], counted["repeats"]) == ("192.0.2.1", 999)
    noted.note("192.0.2.1", "silent")
    noted.note("192.0.2.1", "silent")
    noted.close()
    assert [row.get("repeats") for row in lines(trail)[3:]] == [None, 1], "none is lost at the end"
    assert broken_at(trail.path) is None


@pytest.mark.requirement("NET-08")
def test_the_count_is_written_by_itself(trail: Trail) -> None:
    written = threading.Event()
    note = trail.note

    def noting(event: str, **facts: Any) -> None:
        note(event, **facts)
        if "repeats" in facts:
            written.set()

    trail.note = noting  # type: ignore[method-assign]
    with closing(Refusals(trail, interval=0.05)) as noted:
        noted.note("192.0.2.1", "silent")
        noted.note("192.0.2.1", "silent")
        assert written.wait(DEADLINE)


def test_what_a_full_disk_does_not_take_stays_counted(trail: Trail) -> None:
    clock, note = Clock(), trail.note

    def full(*_: Any, **__: Any) -> None:
        raise DiskFull(path="audit")

    noted = Refusals(trail, clock=clock)
    trail.note = full  # type: ignore[method-assign]
    noted.note("192.0.2.1", "silent")
    noted.note("192.0.2.1", "silent")
    clock.now += 61
    noted.flush()
    trail.note = note  # type: ignore[method-assign]
    noted.close()
    assert [row["repeats"] for row in lines(trail)] == [2]


def test_endless_kinds_are_counted_together(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "KINDS", 10)
    with closing(Refusals(trail)) as noted:
        for number in range(500):
            noted.note(f"192.0.2.{number}", f"AE title {number}")
    rows = lines(trail)
    assert len(rows) == 12
    assert len(rows) - 1 + rows[-1]["repeats"] == 500
    assert rows[-1]["address"] == refusals.MANY


@pytest.mark.badinput(88, "newline in AE title")
@pytest.mark.parametrize(
    "evil", ["AET\nsecurity-alert", "a\rb", "x\x1b[2J", "x\u2028y", "x\u202ey", "x\x85y", "x\0y"]
)
def test_a_peers_words_stay_in_their_line(trail: Trail, evil: str) -> None:
    with closing(Refusals(trail)) as noted:
        noted.note("192.0.2.1", f"AE title {evil}")
    text = trail.path.read_text("utf-8")
    assert len(text.splitlines()) == 1
    assert all(letter.isprintable() for letter in text.rstrip("\n"))
    assert one_line(evil) in json.loads(text)["cause"]


def test_the_subject_is_named(trail: Trail) -> None:
    key = certificates.new_key()
    leaf = Authority.create("CA").issue(key.public_key(), "北見\n依頼病院")
    with closing(Refusals(trail, door="dicom")) as noted:
        noted.note("192.0.2.1", "AE title", certificates.to_der(leaf))
    (row,) = lines(trail)
    assert row["door"] == "dicom"
    assert "北見\\n依頼病院" in row["subject"]
    assert len(row["certificate"]) == 64
