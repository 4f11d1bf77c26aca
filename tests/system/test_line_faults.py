"""A bad line on either way: in the end each instance is there once, byte for byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from receiver import index
from sender.engine import LONGEST_WAIT, pause_before
from tests.sender.slides.vendor_files import Svs
from tests.system.chaos import FAULTS, Chaos
from tests.system.ends import Ends
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.linefaults, pytest.mark.timeout(300)]

SEEN = 60.0  # seconds within which an end sees that nothing comes any more
SIZE = {"ct": 180_000, "slide": 600_000}  # bytes in which a fault falls
#: A stalled line is seen by an end's own deadline of a minute: these wait for it.
PATIENT = ("stall", "drops")
CASES = [
    pytest.param(kind, fault, seed, marks=[pytest.mark.slow] if fault in PATIENT or seed else [])
    for kind in SIZE
    for fault in FAULTS
    for seed in range(10)
]


def source(kind: str, folder: Path, seed: int) -> Path:
    """Make what is sent."""
    if kind == "ct":
        write_series(folder, 1000 + seed, slices=4, side=176)
        return folder
    folder.mkdir()
    return Svs(width=1536, height=1536, tile=256).write(folder / "case.svs")


@pytest.mark.requirement("UX-06", "DAT-08")
@pytest.mark.parametrize(("kind", "fault", "seed"), CASES)
def test_a_bad_line(ends: Ends, tmp_path: Path, kind: str, fault: str, seed: int) -> None:
    sent = source(kind, tmp_path / "in", seed)
    door = "dicom" if kind == "ct" else "link"
    with (
        Chaos.seeded(ends.ports[door], fault, seed, SIZE[kind]) as line,
        ends.through(**{door: line.port}),
    ):
        sending = ends.send(sent)
        said, _ = sending.communicate(timeout=SEEN * 4)
        happened = line.happened.is_set()
    assert sending.returncode == 0, said
    (told,) = json.loads(said)["transfers"]
    assert (told["state"], told["digests_equal"]) == ("receipted", True)
    assert happened, "the line was good"
    assert told["attempts"] >= 1, "nothing was tried again"
    with ends.index() as known, known.read() as db:
        rows = db.execute(
            select(index.instances).where(index.instances.c.transfer == told["id"])
        ).all()
    assert len({row.sop_uid for row in rows}) == len(rows) == told["instances"]
    for row in rows:
        whole = (ends.receiver / "store" / row.path).read_bytes()
        assert hashlib.sha256(whole[row.prefix_length :]).hexdigest() == row.d1
    assert not list((ends.receiver / "store").rglob("*.part"))


@pytest.mark.requirement("UX-06")
def test_tries_lie_further_and_further_apart_and_not_in_step() -> None:
    longest = [pause_before(attempt, jitter=lambda: 1.0) for attempt in range(12)]
    shortest = [pause_before(attempt, jitter=lambda: 0.0) for attempt in range(12)]
    assert longest == sorted(longest)
    assert longest[-1] == LONGEST_WAIT
    assert all(least == most / 2 for least, most in zip(shortest, longest, strict=True))
    assert len({pause_before(5) for _ in range(20)}) > 10
