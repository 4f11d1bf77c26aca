"""The bench itself, with few slices: what it says, never how fast."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.bench import dicom

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
KEYS = (
    *("case", "ours", "peer", "ours_s", "peer_s", "ratio", "goal", "reason"),
    *("cpu_s", "memory_mb"),
)


def bench(folder: Path, *words: str) -> Any:
    """Run the verb and return its JSON object."""
    line = [sys.executable, "-m", "common.command", "bench", "dicom", "--json", *words]
    done = subprocess.run(
        [*line, "--dir", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert not list(folder.iterdir()), "nothing is left behind"
    return json.loads(done.stdout)


@pytest.mark.peer
def test_pairs_on_the_loopback(tmp_path: Path) -> None:
    words = bench(tmp_path, "--only", "loopback", "--slices", "3", "--rounds", "2")
    assert {"date", "cpu", "cores", "memory", "peers", "folder", "disk"} <= set(words["machine"])
    assert words["machine"]["peers"]["DCMTK"]
    rows = words["cases"]
    assert [row["goal"] for row in rows] == [1.0, 15, 3, 12, 1.0, 5, 8]
    for row in rows:
        assert tuple(row) == KEYS
        assert row["reason"] is None
        assert len(row["ours_s"]) == len(row["peer_s"]) == 2
        assert min(row["ours_s"]) > 0
        ratio = statistics.median(row["peer_s"]) / statistics.median(row["ours_s"])
        assert row["ratio"] == pytest.approx(ratio, abs=0.001)
        assert all(cost > 0 for cost in row["cpu_s"] + row["memory_mb"])


@pytest.mark.peer
def test_rows_over_a_line_and_what_is_not_there(tmp_path: Path) -> None:
    words = bench(tmp_path, "--only", "100 Mbit/s 20 ms", "--slices", "3", "--quick")
    rows = {row["case"]: row for row in words["cases"]}
    missing = rows.pop("100 Mbit/s, 20 ms, compression")
    assert missing["ours_s"] is missing["ratio"] is None
    assert "compression" in missing["reason"]["en"]
    assert missing["goal"] == 4.5
    for row in rows.values():
        assert row["ratio"] > 0
    line = 3 * 512 * 512 * 2 / (100e6 / 8)
    assert min(rows["100 Mbit/s, 20 ms"]["ours_s"]) > line, "nothing is faster than the line"
    assert rows["first instance readable over WADO-RS"]["peer_s"] == [0.5]


def test_every_case_names_entrants_of_its_group() -> None:
    known = {group.name: set(group.entrants) for group in dicom.GROUPS}
    for case in dicom.CASES:
        named = {name for name in (case.ours, case.peer) if isinstance(name, str)}
        assert named <= known[case.group], case
        assert case.goal > 0
    for group in dicom.GROUPS:
        assert group.quick == group.slices or group.quality is None, "line rows keep their counts"


def test_unknown_group_is_not_found(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "common.command", "bench", "dicom", "--only", "moon"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 21
    assert "loopback" in done.stderr
