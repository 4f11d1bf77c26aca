"""What a process costs is read from the system, not guessed."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import VerbFailed
from conformance.bench import processes

DIALS = """
import socket, sys
end = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
sys.stdin.readline()
end.close()
print("down", flush=True)
sys.stdin.read()
"""
BUSY = "x = bytearray(60_000_000); sum(range(6_000_000)); sum(range(6_000_000))"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cost_of_processes_that_end(tmp_path: Path) -> None:
    line = [sys.executable, "-c", BUSY]
    one = processes.timed([line], tmp_path / "log")
    two = processes.timed([line, line], tmp_path / "log")
    assert 60e6 < one.memory[processes.PRODUCT] < 300e6
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
        assert processes.peaks(process.pid, "own")["own_other"] > 60e6
        named = processes.peaks(process.pid, "own", {"bytearray(60_000_000)": "part"})
        assert named.keys() == {"own", "part"}
        assert named["part"] > 60e6 > named["own"] > 0
        assert processes.cpu_seconds(process.pid) > 0
        process.communicate("")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_connections_are_those_of_the_process_to_the_ports() -> None:
    here = ("127.0.0.1", 0)
    with socket.create_server(here) as ours, socket.create_server(here) as other:
        near, far = (int(one.getsockname()[1]) for one in (ours, other))
        with subprocess.Popen(
            [sys.executable, "-c", DIALS, str(near)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            assert processes.connections(process.pid, [near, far]) == {near: 1}
            assert processes.connections(process.pid, [far]) == {}
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "down\n"
            assert processes.connections(process.pid, [near, far]) == {}
            process.communicate("")


def test_process_that_fails_is_no_sample(tmp_path: Path) -> None:
    line = [sys.executable, "-c", "import sys; sys.exit('no such host')"]
    with pytest.raises(VerbFailed, match="no such host"):
        processes.timed([line], tmp_path / "log")
