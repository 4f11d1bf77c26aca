"""The audit trail: a line that is gone, changed or put between shows."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from common.audit import Trail


def broken_at(path: Path) -> int | None:
    """Number of the first line that does not carry the digest of the one before it."""
    before = ""
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        if json.loads(line)["before"] != before:
            return number
        before = hashlib.sha256(line).hexdigest()
    return None


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail that two runs of a process wrote."""
    for run in range(2):
        one = Trail(tmp_path, "web")
        for number in range(3):
            one.note("security-alert", address="192.0.2.1", cause=f"証明書 {run}.{number}")
        one.close()
    return tmp_path / "web.jsonl"


@pytest.mark.requirement("AUD-02")
def test_the_chain_goes_on_over_a_restart(trail: Path) -> None:
    lines = [json.loads(line) for line in trail.read_text("utf-8").splitlines()]
    assert [line["cause"] for line in lines] == [
        f"証明書 {r}.{n}" for r in (0, 1) for n in range(3)
    ]
    assert broken_at(trail) is None


@pytest.mark.requirement("AUD-02")
@pytest.mark.parametrize("change", ["delete", "edit", "insert"])
def test_a_changed_line_shows(trail: Path, change: str) -> None:
    lines = trail.read_bytes().splitlines(keepends=True)
    if change == "delete":
        del lines[2]
    elif change == "edit":
        lines[2] = lines[2].replace(b"192.0.2.1", b"192.0.2.9")
    else:
        lines.insert(2, lines[1])
    trail.write_bytes(b"".join(lines))
    assert broken_at(trail) is not None


@pytest.mark.requirement("DAT-08")
def test_a_line_that_a_power_cut_left_half_written_spoils_no_other(trail: Path) -> None:
    whole = trail.read_bytes()
    trail.write_bytes(whole[:-20])
    one = Trail(trail.parent, "web")
    one.note("start")
    one.close()
    *sound, half, last = trail.read_bytes().splitlines(keepends=True)
    assert b"".join(sound) + half == whole[:-20] + b"\n"
    assert json.loads(last)["event"] == "start"
    assert json.loads(last)["before"] == hashlib.sha256(half).hexdigest()


def test_threads_share_one_chain(tmp_path: Path) -> None:
    one = Trail(tmp_path, "dicom")

    def write() -> None:
        for _ in range(5):
            one.note("alarm")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    assert len(one.path.read_bytes().splitlines()) == 20
    assert broken_at(one.path) is None


@pytest.mark.requirement("AUT-08")
def test_only_its_owner_reads_it(trail: Path) -> None:
    assert trail.stat().st_mode & 0o077 == 0
