"""A second opinion on the crash points: the kernel's own calls fail, those of SQLite too.

strace sits on the DICOM door while one association stores a study.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.crashes import Crashing, Trial

pytestmark = [pytest.mark.system, pytest.mark.crashpoints, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    if shutil.which("strace") is None:
        pytest.skip("not installed: strace")
    made = Crashing(Path(tmp_path_factory.mktemp("strace")) / "ends")
    made.open()
    try:
        yield made
    finally:
        made.close()


def _door(crashing: Crashing) -> int:
    """Return the process of the DICOM door."""
    data = str(crashing.ends.receiver).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"receiver.dicom_process" in words and data in words:
                return int(folder.name)
    raise AssertionError("no DICOM door")


@contextlib.contextmanager
def _strace(pid: int, fault: str) -> Iterator[None]:
    call = fault.partition(":")[0]
    line = ["strace", "-f", "-qq", "-p", str(pid), "-e", f"trace={call}", "-e", f"inject={fault}"]
    tracing = subprocess.Popen([*line, "-o", os.devnull], stderr=subprocess.PIPE, text=True)
    try:
        status = Path(f"/proc/{pid}/status")
        while f"TracerPid:\t{tracing.pid}" not in status.read_text():
            if tracing.poll() is not None:
                assert tracing.stderr is not None
                pytest.skip(f"strace: {tracing.stderr.read()}")
        yield
    finally:
        if tracing.poll() is None:
            tracing.send_signal(signal.SIGTERM)
        tracing.communicate(timeout=60)


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("fdatasync:error=EIO:when=1", "E-4010"),
        pytest.param("fdatasync:error=EIO:when=2", "E-4010", marks=pytest.mark.slow),
        pytest.param("fsync:error=EIO:when=1", "E-4010", marks=pytest.mark.slow),
        ("rename:signal=SIGKILL:when=1", ""),
        ("pwrite64:error=ENOSPC:when=1", ""),
        pytest.param("pwrite64:error=ENOSPC:when=2", "", marks=pytest.mark.slow),
    ],
)
def test_what_the_kernel_refuses_is_never_a_success(
    crashing: Crashing, fault: str, number: str
) -> None:
    pid = _door(crashing)
    before = crashing.count("receiver", number) if number else 0
    with _strace(pid, fault):
        crashing.run(Trial("ct", "", 0, ""))
    if number and "when=2" not in fault:  # each thread counts its own calls
        assert crashing.count("receiver", number) > before
    if "SIGKILL" in fault:
        assert _door(crashing) != pid
    crashing.judge_names()
