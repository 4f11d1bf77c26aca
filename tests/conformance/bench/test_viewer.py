"""`todoke bench viewer`: its rows, how they are judged and shown; never how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.errors import NotFound, VerbFailed
from conformance.bench import dicom, table
from conformance.bench.slides.rows import rows
from conformance.bench.slides.run import Outcome, Run
from conformance.bench.viewer import measure, ohif
from conformance.bench.viewer.measure import (
    CT,
    GROUPS,
    JOB,
    LINE,
    MEMORY,
    OHIF,
    OURS,
    OURS_SLIDES,
    SLIDES,
)

#: Issue 7's bounds, by group: seconds, or megabytes where memory is looked at.
BOUNDS = {
    CT: {"cold": 1.2, "warm": 0.3, "scroll": 1.0, "mpr": 0.15},
    MEMORY: {"memory": 1500.0},
    SLIDES: {"open": 0.5, "next": 0.3, "jump": 0.25, "pan": 1.0},
    LINE: {"cold": 2.0, "warm": 2.0, "open": 2.0},
    JOB: {"job": 1.5},
}


def done(group: str, **times: float) -> dict[str, Outcome]:
    """Every entrant of a group ran once and took as long as ours may, or as said."""
    every = {name: 1.0 for one in BOUNDS.values() for name in one} | BOUNDS[group]
    ran = {name: Outcome([Run(every)]) for name in (OURS, OURS_SLIDES, OHIF)}
    ran[OURS] = Outcome([Run(every | times)])
    return ran


def test_rows_hold_the_bounds_of_the_issue_and_stand_beside_ohif() -> None:
    cases = measure.cases()
    assert tuple(cases) == GROUPS
    for group, bounds in BOUNDS.items():
        bound = {case.time: case.peer for case in cases[group] if case.goal is not None}
        assert bound == bounds
        assert all(case.peer == OHIF for case in cases[group] if case.goal is None)
    beside = {(group, case.time) for group in GROUPS for case in cases[group] if case.goal is None}
    assert beside == {
        (CT, "cold"), (CT, "warm"), (CT, "scroll"), (MEMORY, "memory"),
        (LINE, "cold"), (LINE, "warm"),
    }  # fmt: skip


def test_some_groups_are_run_alone() -> None:
    assert measure.groups_of([]) == GROUPS
    assert measure.groups_of([JOB, CT]) == (CT, JOB)
    with pytest.raises(NotFound, match="slides"):
        measure.groups_of(["slide"])


def test_a_bound_is_reached_at_it_and_missed_above_it() -> None:
    made = rows(measure.cases()[CT], done(CT, cold=1.21, mpr=0.15), 500)["cases"]
    judged = {row["case"]: table.reaches(row) for row in made if row["goal"] is not None}
    assert list(judged.values()) == [False, True, True, True]
    assert next(iter(judged)).endswith("cold")


def test_memory_is_told_in_megabytes_and_judged_the_same_way() -> None:
    for megabytes, reached in ((1400.0, True), (1600.0, False)):
        words = rows(measure.cases()[MEMORY], done(MEMORY, memory=megabytes), lambda _: 1000)
        row, beside = words["cases"]
        assert (row["unit"], row["peer"], row["slices"]) == ("MB", "bound 1500 MB", 1000)
        assert table.reaches(row) is reached
        assert table.reaches(beside) is None
        assert table.cells(row)[3:5] == (f"{megabytes:.0f} MB", "1500 MB")
    assert table.spread([1000.0, 1200.0, 1100.0], "MB") == "1100 (1000-1200) MB"
    assert "unit" not in rows(measure.cases()[CT], done(CT), 500)["cases"][0], "seconds"


def test_images_are_what_its_rows_count() -> None:
    heads = [table.heads({"machine": one}, "en")[2] for one in ({}, {"bench": "tiles"},
                                                              {"bench": "viewer"})]  # fmt: skip
    assert heads == ["slices x rounds", "tiles x rounds", "images x rounds"]


def test_without_ohif_its_rows_are_left_out_and_that_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TODOKE_BENCH_VIEWERS", str(tmp_path))
    assert ohif.versions() == {"OHIF": None}
    with pytest.raises(NotFound, match=r"\.ci/viewerpeers"):
        ohif.dist()
    outcomes = done(CT) | {OHIF: Outcome(failure=NotFound(thing="OHIF (.ci/viewerpeers)"))}
    words = rows(measure.cases()[CT], outcomes, 500)
    assert [row["peer"] for row in words["left_out"]] == [OHIF] * 3
    assert not dicom.failed(words)
    outcomes[OURS] = Outcome(failure=VerbFailed(verb="Chromium", cause="nothing was shown"))
    assert dicom.failed(rows(measure.cases()[CT], outcomes, 500))


def test_ohif_is_told_where_dicomweb_is_and_shown_a_session(tmp_path: Path) -> None:
    words: dict[str, Any] = dict.fromkeys(
        ("user", "folder", "dist", "viewer", "certificate", "key", "cookie"), "there"
    )
    said = ohif.NGINX.format(**words, port=1)
    assert said.count("{") == said.count("}")
    assert 'proxy_set_header Cookie "there";' in said
    for root in ("qidoRoot", "wadoRoot"):
        assert f"{root}: '/dicomweb'" in ohif.CONFIG


# -- a real run ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_quick_run(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "common.command", "bench", "viewer", "--quick", "--json"]
    ran = subprocess.run(
        [*line, "--dir", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    words = json.loads(ran.stdout)
    assert words["machine"]["bench"] == "viewer"
    assert {row["reason"]["number"] for row in words["left_out"]} <= {NotFound.number}
    ours = [row for row in words["cases"] if row["peer"].startswith("bound")]
    assert len(ours) == sum(map(len, BOUNDS.values()))
    for row in words["cases"]:
        assert min(row["ours_s"]) > 0
        assert min(row["peer_s"]) > 0
