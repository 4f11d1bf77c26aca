"""Processes of a bench: started, waited for, and what they cost (Linux, /proc)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import VerbFailed
from conformance.bench.most import Most

PATIENCE = 120.0  # seconds for a process to open its doors
PRODUCT = "product"  # role of every process that is not ours
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes
    ----------
    cpu : float
        Seconds of processor, both ends together.
    memory : dict of int
        Peak resident bytes of the largest process, by role; see :func:`peaks`.
    """

    seconds: float
    cpu: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)


def todoke(*words: object) -> list[str]:
    """Return the line of a verb with ``--json``."""
    return [sys.executable, "-m", "common.command", *map(str, words), "--json"]


def verb(*words: object, log: Path, stdin: str | None = None) -> Any:
    """Run a verb that has to succeed; return what it printed.

    Raises
    ------
    VerbFailed
    """
    with log.open("a") as errors:
        done = subprocess.run(
            todoke(*words), stdout=subprocess.PIPE, stderr=errors, input=stdin,
            text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        cause = done.stdout.strip() or done.returncode
        raise VerbFailed(verb=f"{words[0]} {words[1]}", cause=cause)
    return json.loads(done.stdout)


@contextlib.contextmanager
def running(
    line: Sequence[object], log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process for as long as the block lasts; its words go to a log."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            [str(word) for word in line], stdout=subprocess.PIPE, stderr=errors, text=True, env=env
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def first_object(process: subprocess.Popen[str]) -> Any:
    """Return the JSON object in which a process says that it is ready.

    Raises
    ------
    VerbFailed
        It ended, or said nothing for long.
    """
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    text = ""
    try:
        while line := process.stdout.readline() if process.stdout else "":
            text += line
            with contextlib.suppress(ValueError):
                return json.loads(text)
    finally:
        late.cancel()
    raise VerbFailed(verb=str(process.args), cause=process.wait())


def await_port(process: subprocess.Popen[str], port: int) -> None:
    """Wait until a process listens.

    Raises
    ------
    VerbFailed
    """
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise VerbFailed(verb=str(process.args), cause=f"port {port}")


def timed(
    lines: Sequence[Sequence[object]], log: Path, env: Mapping[str, str] | None = None
) -> Sample:
    """Run processes beside one another, from the first one's start to the last one's exit.

    Raises
    ------
    VerbFailed
        One of them failed.
    """
    with log.open("a") as said:
        began = time.monotonic()
        started = [
            subprocess.Popen([str(w) for w in line], stdout=said, stderr=said, env=env)
            for line in lines
        ]
        cpu = 0.0
        pids = [process.pid for process in started]
        # ru_maxrss will not do: it counts what a child shares with us before it becomes another
        with Most(lambda: max(map(_peak, pids), default=0), 0.02) as peak:
            for process in started:
                _, code, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(code)
                cpu += used.ru_utime + used.ru_stime
            seconds = time.monotonic() - began
    for process, line in zip(started, lines, strict=True):
        if process.returncode:
            words = log.read_text("utf-8", "replace").splitlines()[-3:]
            raise VerbFailed(verb=line[0], cause=f"{process.returncode}: {' '.join(words)}")
    return Sample(seconds, cpu, {PRODUCT: peak.bytes})


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if values := _stat(int(entry.name)):
            children.setdefault(int(values[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and all below it, ended children included."""
    ticks = 0
    for one in family(pid):
        if values := _stat(one):
            ticks += sum(map(int, values[11:15]))  # utime, stime, cutime, cstime: proc(5)
    return ticks / TICKS


def peaks(pid: int, role: str, parts: Mapping[str, str] | None = None) -> dict[str, int]:
    """Return the largest resident sizes, in bytes, that processes of a family have had, by role.

    Parameters
    ----------
    role : str
        Of the process itself; those below it are ``ROLE_other``.
    parts : mapping of str
        Word on the command line of its children, to their role.
    """
    found: dict[str, int] = {}
    for one in family(pid):
        name = role if one == pid else f"{role}_other"
        if (values := _stat(one)) and int(values[1]) == pid:
            line = _command_line(one)
            name = next((part for word, part in (parts or {}).items() if word in line), name)
        found[name] = max(found.get(name, 0), _peak(one))
    return found


def with_listener(sample: Sample, pid: int, before: float) -> Sample:
    """Add what the listening product took.

    Parameters
    ----------
    before : float
        Its processor seconds before the run.
    """
    largest = max([sample.memory.get(PRODUCT, 0), *peaks(pid, PRODUCT).values()])
    cpu = sample.cpu + cpu_seconds(pid) - before
    return Sample(sample.seconds, cpu, sample.memory | {PRODUCT: largest})


def connections(pid: int, ports: Collection[int]) -> Counter[int]:
    """Return how many TCP connections a process holds to each of the ports (proc(5), net/tcp)."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            held.add(str(link.readlink()))
    found = Counter[int]()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                words = row.split()
                port = int(words[2].rpartition(":")[2], 16)
                if port in ports and f"socket:[{words[9]}]" in held:
                    found[port] += 1
    return found


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    return ""


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
