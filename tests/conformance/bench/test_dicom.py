"""The bench itself, with few slices: what it says, never how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common import settings
from common.errors import NotFound, VerbFailed
from conformance.bench import dicom
from conformance.bench.cases import CASES, GROUPS, groups
from conformance.bench.entrants import ENTRANTS
from conformance.bench.processes import PRODUCT, Sample
from conformance.bench.runner import Outcome, Plan

KEYS = (
    *("case", "ours", "peer", "slices", "ours_s", "peer_s", "ratio", "goal"),
    *("cpu_s", "memory_mb"),
)
#: The table of goals, row by row: peer and goal, two where a row names two things.
SHOW = [
    ("DCMTK", 1.0), ("DCMTK", 1.1), ("DCMTK as installed", 15), ("DCMTK -> Orthanc", 3),
    ("pynetdicom", 12), ("DCMTK", 1.0), ("DCMTK as installed", 5), ("DCMTK as installed", 8),
    ("raw TLS", 0.98), ("raw TLS", 0.94), ("DCMTK", 4.5), ("DCMTK", 7.5), ("DCMTK x 4", 2.0),
    ("raw TLS", 0.95), ("raw TLS", 0.95), ("bound 0.5 s", 1.0),
    ("bound 0.25 s", 1.0), ("bound 1 s", 1.0),
]  # fmt: skip
MORE = [
    ("DCMTK", 1.0), ("DCMTK, then synced", 1.0), ("todoke without evidence", 0.87),
    ("bound 2 s", 1.0), ("bound 2 s", 1.0), ("bound 3 s", 1.0),
]  # fmt: skip


def outcomes(ours: dict[str, list[Sample]], peer: list[Sample]) -> dict[str, dict[str, Outcome]]:
    """Every group done: these runs of ours, and the same runs of every other entrant."""
    return {
        group.name: {name: Outcome(ours.get(name, peer)) for name in group.entrants}
        for group in GROUPS
    }


def ran(seconds: float, cpu: float = 1.0, **memory: int) -> Sample:
    return Sample(seconds, cpu, memory)


def bench(folder: Path, *words: str) -> Any:
    """Run the verb and return its JSON object."""
    line = [sys.executable, "-m", "common.command", "bench", "dicom", "--json", *words]
    done = subprocess.run(
        [*line, "--dir", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert not list(folder.iterdir()), "nothing is left behind"
    return json.loads(done.stdout)


# -- the table -------------------------------------------------------------------------


def test_rows_are_those_of_the_issue() -> None:
    assert [(case.peer_name, case.goal) for case in CASES] == SHOW + MORE
    assert len({(case.name, case.peer_name) for case in CASES}) == len(CASES)


def test_every_case_names_entrants_of_its_group() -> None:
    known = {group.name: group for group in GROUPS}
    for case in CASES:
        named = {name for name in (case.ours, case.peer) if isinstance(name, str)}
        assert named <= set(known[case.group].entrants), case
        assert ("on disk" in case.name) == known[case.group].disk, case
    used = {(case.group, name) for case in CASES for name in (case.ours, case.peer)}
    for group in GROUPS:
        assert set(group.entrants) <= ENTRANTS.keys()
        assert all((group.name, name) in used for name in group.entrants), "run for nothing"


def test_counts_of_a_full_and_of_a_quick_run() -> None:
    full, quick = (Plan(Path(), Path(), quick=quick) for quick in (False, True))
    counts = {g.name: (full.slices_of(g), full.rounds_of(g), quick.slices_of(g)) for g in GROUPS}
    assert counts == {
        "loopback": (500, 5, 60),
        "disk": (500, 5, 60),
        "evidence": (500, 5, 60),
        "sustained": (3000, 7, 200),
        "100 Mbit/s 20 ms": (100, 5, 100),
        "100 Mbit/s 80 ms": (100, 5, 100),
        "1 Gbit/s 20 ms": (200, 5, 200),
        "start": (1, 5, 1),
    }
    assert {quick.rounds_of(group) for group in GROUPS} == {1}
    fewer = replace(full, rounds=2, slices=3)
    assert {(fewer.rounds_of(g), fewer.slices_of(g)) for g in GROUPS} == {(2, 3)}


# -- the rows --------------------------------------------------------------------------


def test_ratio_is_the_peers_median_over_ours_and_never_null() -> None:
    ours = [ran(seconds) for seconds in (4.0, 2.0, 9.0)]  # median 4
    rows = dicom.rows(outcomes({case.ours: ours for case in CASES}, [ran(6.0), ran(2.0)]))
    assert rows["left_out"] == []
    assert len(rows["cases"]) == len(CASES)
    for row, case in zip(rows["cases"], CASES, strict=True):
        assert tuple(row) == KEYS
        assert row["ours_s"] == [4.0, 2.0, 9.0]
        # a bound over our seconds; for the same bytes, times the other way are the share of a rate
        expected = case.peer / 4 if isinstance(case.peer, float) else 1.0
        assert row["ratio"] == pytest.approx(expected, abs=0.0006)
        assert row["goal"] == case.goal
    bounds = [row["peer_s"] for row in rows["cases"] if row["peer"].startswith("bound")]
    assert bounds == [[0.5], [0.25], [1.0], [2.0], [2.0], [3.0]]


def test_cost_is_told_for_each_role_and_is_that_of_our_processes() -> None:
    ours = [
        ran(1, 3.0, sender=50_000_000, receiver_dicom=70_000_000, receiver_other=90_000_000),
        ran(1, 5.0, sender=60_000_000, receiver_dicom=40_000_000, product=200_000_000),
    ]
    peer = [ran(1, 0.5, **{PRODUCT: 18_000_000})]
    (row, *_) = dicom.rows(outcomes({"todoke": ours}, peer))["cases"]
    assert row["cpu_s"] == {"ours": 4.0, "peer": 0.5}
    assert row["memory_mb"] == {"ours": 90.0, "sender": 60.0, "receiver_dicom": 70.0, "peer": 18.0}


def test_row_without_its_peer_is_left_out_and_named() -> None:
    done = outcomes({}, [ran(1.0)])
    done["loopback"]["DCMTK -> Orthanc"] = Outcome(failure=NotFound(thing="Orthanc"))
    words = dicom.rows(done)
    (missing,) = words["left_out"]
    assert tuple(missing) == ("case", "ours", "peer", "goal", "reason")
    assert (missing["peer"], missing["goal"]) == ("DCMTK -> Orthanc", 3)
    assert "Orthanc" in missing["reason"]["ja"]
    assert "was not found" in missing["reason"]["en"]
    assert len(words["cases"]) == len(CASES) - 1
    assert not dicom.failed(words)


def test_row_whose_run_failed_is_left_out_and_a_failure() -> None:
    done = outcomes({}, [ran(1.0)])
    broken = Outcome([ran(1.0)], VerbFailed(verb="sender send", cause="held"))
    done["100 Mbit/s 80 ms"]["todoke"] = broken
    words = dicom.rows(done)
    assert [row["case"] for row in words["left_out"]] == ["100 Mbit/s, 80 ms, compression"]
    assert dicom.failed(words)


def test_groups_not_asked_for_have_no_rows() -> None:
    done = outcomes({}, [ran(1.0)])
    words = dicom.rows({"disk": done["disk"]})
    assert {row["case"] for row in words["cases"]} == {"loopback, on disk"}
    assert words["left_out"] == []
    assert [group.name for group in groups(["start", "disk"])] == ["start", "disk"]


def test_command_is_what_a_person_types_and_names_no_path(tmp_path: Path) -> None:
    plan, *folders = dicom.plan_of(tmp_path, ["1 Gbit/s 20 ms"], quick=True, rounds=None, slices=3)
    for folder in folders:
        folder.cleanup()
    assert plan.command == (
        "todoke bench dicom --quick --dir DIR --only '1 Gbit/s 20 ms' --slices 3 --json"
    )
    assert plan.folder.parent == tmp_path


def test_setting_by_which_compression_is_turned_off_has_its_name() -> None:
    """The bench sets it through the environment, where a name that is not known says nothing."""
    names = settings.Sender.__dataclass_fields__
    if "compression" not in names:
        pytest.skip("no compression in flight yet: rows with and without it are the same")
    for word in ("auto", "off"):
        settings.Sender.load(Path(), {"TODOKE_SENDER_COMPRESSION": word})


# -- real runs -------------------------------------------------------------------------


@pytest.mark.system
@pytest.mark.peer
@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_a_group_over_a_line(tmp_path: Path) -> None:
    words = bench(tmp_path, "--only", "1 Gbit/s 20 ms", "--slices", "3", "--rounds", "1")
    assert tuple(words) == ("machine", "cases", "left_out")
    assert {"command", "date", "cpu", "cores", "memory", "peers", "folder", "disk", "load",
            "page_cache"} <= set(words["machine"])  # fmt: skip
    assert words["machine"]["peers"]["DCMTK"]
    assert len(words["machine"]["load"]["after"]) == 3
    assert words["left_out"] == []
    assert [row["goal"] for row in words["cases"]] == [0.94, 2.0]
    line = 3 * 512 * 512 * 2 / (1e9 / 8)
    for row in words["cases"]:
        assert tuple(row) == KEYS
        assert row["slices"] == 3
        assert len(row["ours_s"]) == len(row["peer_s"]) == 1
        assert row["ratio"] == pytest.approx(row["peer_s"][0] / row["ours_s"][0], abs=0.001)
        assert all(cost > 0 for cost in row["cpu_s"].values())
        assert all(cost > 0 for cost in row["memory_mb"].values())
    assert words["cases"][0]["ours_s"][0] > line, "nothing is faster than the line"


def test_unknown_group_is_not_found(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "common.command", "bench", "dicom", "--only", "moon"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 21
    assert "loopback" in done.stderr
