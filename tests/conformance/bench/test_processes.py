"""What a process costs is read from the system, not guessed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import VerbFailed
from conformance.bench import processes

BUSY = "x = bytearray(60_000_000); sum(range(6_000_000)); sum(range(6_000_000))"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cost_of_processes_that_end(tmp_path: Path) -> None:
    line = [sys.executable, "-c", BUSY]
    one = processes.timed([line], tmp_path / "log")
    two = processes.timed([line, line], tmp_path / "log")
    assert 60e6 < one.memory < 300e6
    assert 0 < one.cpu < two.cpu
    assert one.seconds > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cost_of_a_family(tmp_path: Path) -> None:
    child = f"import sys; {BUSY}; print('ready', flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    line = [sys.executable, "-c", parent]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(processes.family(process.pid)) == 2
        assert processes.peak_memory(process.pid) > 60e6
        assert processes.cpu_seconds(process.pid) > 0
        process.communicate("")


def test_process_that_fails_is_no_sample(tmp_path: Path) -> None:
    line = [sys.executable, "-c", "import sys; sys.exit('no such host')"]
    with pytest.raises(VerbFailed, match="no such host"):
        processes.timed([line], tmp_path / "log")
