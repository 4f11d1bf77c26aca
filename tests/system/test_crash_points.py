"""Whatever fails or ends at any point where bytes are made safe, no success is untrue.

Whole processes, a real fault at one call of `common/durable.py` or at a commit, and
the transfer has to come to its end all the same.  ``make test-long`` takes every
point with every fault; the everyday form each kind of point once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.crashes import Crashing, Trial

pytestmark = [pytest.mark.system, pytest.mark.crashpoints]
SEED = 4
#: What is sent, and the process whose points are its own there.
LONG = [
    ("ct", "dicom"),
    ("slide", "web"),
    ("modality", "sender"),
]  # with many points: all of them in the long form
PARTS = [("ct", "dicom"), ("slide", "web"), ("modality", "sender"), ("slide", "sender")]
FAULTS = ("kill", "EIO", "ENOSPC")
#: More than any sweep has points; it ends where a run does not reach its point.
MOST = 1000


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    made = Crashing(Path(tmp_path_factory.mktemp("crashing")) / "ends")
    made.open()
    try:
        yield made
    finally:
        made.close()
        print(f"\npoints hit, of {SEED=}:")
        for what, times in sorted(made.hit.items()):
            print(f"{times:5} {what}")


def _sample(crashing: Crashing, flow: str, process: str) -> list[Trial]:
    """Choose a point of each kind, and by turns what happens there."""
    draw = random.Random(f"{SEED}{flow}{process}")
    trials: list[Trial] = []
    points = crashing.points(flow, process)
    for what, times in points.items():
        call, _, caller = what.partition("<")
        if call == "open" and f"fsync<{caller}" in points:
            continue  # a folder is opened for its fsync
        if caller == "sender.record_making.secret":
            continue  # made once, and in the run that counts
        how = "kill" if call == "committed" else FAULTS[len(trials) % len(FAULTS)]
        trials.append(Trial(flow, process, draw.randint(1, times), how, what))
    return trials


@pytest.mark.timeout(900)
@pytest.mark.requirement("DAT-05", "UX-06", "DIR-07")
@pytest.mark.parametrize(
    ("flow", "process"),
    [pytest.param(*one, marks=[pytest.mark.slow] if one in LONG else []) for one in PARTS],
)
def test_each_kind_of_point_once(crashing: Crashing, flow: str, process: str) -> None:
    trials = _sample(crashing, flow, process)
    assert trials, f"{process} makes nothing safe?"
    fired = [crashing.run(trial).fired for trial in trials]
    print(*zip(trials, fired, strict=True), sep="\n")
    assert sum(map(bool, fired)) > len(trials) / 2, "a fault falls on most of them"


@pytest.mark.timeout(300)
def test_a_receiver_that_is_killed_whole_begins_with_what_is_on_the_disk(
    crashing: Crashing,
) -> None:
    what = "replace<receiver.store.move"
    assert crashing.run(Trial("ct", "dicom", 1, "kill all", what)).fired
    crashing.judge_store()


@pytest.mark.timeout(300)
@pytest.mark.badinput(91, "EIO")
@pytest.mark.parametrize(
    ("flow", "process", "what", "room"),
    [
        ("ct", "dicom", "fdatasync<receiver.arrival.make_safe", "receiver"),
        pytest.param(
            *("ct", "dicom", "fsync<receiver.arrivals._commit_group", "receiver"),
            marks=pytest.mark.slow,
        ),
        ("ct", "dicom", "commit<receiver.index.write", "receiver"),
        ("slide", "web", "fdatasync<receiver.frames.take", "receiver"),
        pytest.param(
            *("slide", "web", "commit<receiver.index.write", "receiver"), marks=pytest.mark.slow
        ),
        ("modality", "sender", "fdatasync<sender.doors.modality.finish", "sender"),
        pytest.param(
            *("modality", "sender", "commit<sender.outbox_file._write", "sender"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_failed_sync_ends_its_process_in_words_and_all_begins_clean(
    crashing: Crashing, flow: str, process: str, what: str, room: str
) -> None:
    before = crashing.count(room, "E-4010")
    ends = crashing.daemon, crashing.ends.running
    fired = crashing.run(Trial(flow, process, 1, "EIO", what)).fired
    assert fired == f"EIO {what}"
    assert crashing.count(room, "E-4010") > before
    assert (crashing.daemon, crashing.ends.running) == ends, "nobody but themselves began it anew"


@pytest.mark.timeout(300)
@pytest.mark.badinput(91, "quota")
def test_a_quota_that_is_used_up_is_a_disk_without_room(crashing: Crashing) -> None:
    refused = crashing.count("sender", "E-4012")
    what = "pwrite<receiver.arrival._spill"
    assert crashing.run(Trial("ct", "dicom", 1, "EDQUOT", what)).fired
    assert crashing.count("sender", "E-4012") > refused, "the sender says that it waits for room"


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("how", [*FAULTS, "kill all"])
@pytest.mark.parametrize(("flow", "process"), [*PARTS, ("ct", "web"), ("ct", "sender")])
def test_every_point(crashing: Crashing, flow: str, process: str, how: str) -> None:
    if how == "kill all" and process == "sender":
        pytest.skip("the sender is one process")
    for n in range(1, MOST):
        if crashing.run(Trial(flow, process, n, how)).fired is None:
            break
    assert 1 < n < MOST
    crashing.judge_store()


@pytest.mark.timeout(300)
def test_after_a_clean_start_there_is_a_file_for_each_row(crashing: Crashing) -> None:
    crashing.judge_store()
