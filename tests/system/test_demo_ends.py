"""A demo that is told to end takes its two hospitals along."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.system.ends import command, start, until
from tests.system.series import write_series

pytestmark = pytest.mark.system


def _running_below(folder: Path) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes()
        except OSError:  # ended since the folder was listed
            continue
        if str(folder).encode() in words:
            found.append(words.decode(errors="replace"))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_demo_that_is_told_to_end_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    write_series(tmp_path / "ct", 1, slices=3)
    env = {**os.environ, "TMPDIR": str(folder)}
    running = start(command("demo", "--from", tmp_path / "ct"), tmp_path / "demo.log", env)
    assert running.stdout is not None
    assert any(line.startswith("http://localhost:") for line in running.stdout)
    assert len(_running_below(folder)) >= 4, "sender, receiver and its two processes"
    running.terminate()
    running.communicate(timeout=40)
    until(lambda: not _running_below(folder), "every process ended")
    assert not list(folder.iterdir()), "nothing is left on the disk"
