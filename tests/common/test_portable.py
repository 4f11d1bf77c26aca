"""Layout and durable calls pass their own tests with everything taken away that Windows lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

#: Test files that must pass without POSIX as well; a sender's whole run is under tests/system.
STANDING = [
    "common/test_durable.py",
    *sorted(str(path.relative_to(TESTS)) for path in TESTS.glob("common/dicom/test_layout*.py")),
    # reading, cutting, coding again, and what is asked of a file that somebody else may
    # change; how files of more makers are laid out, or what others say of a header, is the
    # same on each system
    *(
        f"sender/slides/test_{name}.py"
        for name in ("dicom", "formats", "header", "passthrough", "refused", "shapes")
    ),
    # a process apart that reads it, and its end
    "sender/slides/test_vendors.py::test_a_rendition_says_so_and_has_openslides_pixels",
    "sender/slides/test_vendors.py::test_a_reader_that_dies_refuses_one_slide",
]
#: Nobody replaces or removes a file on Windows that is open here; bytes that are struck at
#: random meet the same code with and without POSIX.
NOT_HERE = (
    "not (changed_source and (replaced or unlink)) and not (source_that_changes and unlink)"
    " and not struck_bytes and not openslide_reads"
)


def run(env: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


TAKEN_AWAY = {
    "positioned read": "os.pread",
    "positioned write": "os.pwrite",
    "preallocation": "os.posix_fallocate",
    "sendfile": "os.sendfile",
    "fork": "os.fork",
    "quick acknowledgement": "socket.TCP_QUICKACK",
    "local sockets": "socket.AF_UNIX",
    "fcntl": "__import__('fcntl')",
    "uvloop": "__import__('uvloop')",
    "rename of an open file": "os.rename(path, path + '2')",
    "replacing an open file": "os.replace(other, path)",
    "removing an open file": "os.remove(path)",
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_it_is_really_gone(what: str, without_posix_env: dict[str, str], tmp_path: Path) -> None:
    code = f"""
import os, socket
path, other = {str(tmp_path / "open")!r}, {str(tmp_path / "other")!r}
handle, _ = open(path, "w"), open(other, "w").close()
try:
    {TAKEN_AWAY[what]}
except (AttributeError, ImportError, PermissionError) as gone:
    print(type(gone).__name__)
"""
    done = run(without_posix_env, code)
    assert done.stdout.strip() in {"AttributeError", "ModuleNotFoundError", "PermissionError"}, (
        done.stderr
    )


def test_a_closed_file_may_be_renamed_and_socket_pairs_are_over_loopback(
    without_posix_env: dict[str, str], tmp_path: Path
) -> None:
    code = f"""
import os, socket
path = {str(tmp_path / "closed")!r}
open(path, "w").close()
os.replace(path, path + "2")
one, other = socket.socketpair()
one.sendall(b"over"); assert other.recv(4) == b"over"
print(one.getsockname()[0], os.path.exists(path + "2"))
"""
    assert run(without_posix_env, code).stdout.split() == ["127.0.0.1", "True"]


@pytest.mark.timeout(280)
def test_the_standing_tests_pass_without_posix(
    without_posix_env: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"),
            f"--basetemp={tmp_path / 'base'}",
            *("-k", NOT_HERE),
            *(str(TESTS / name) for name in STANDING),
        ],
        env=without_posix_env,
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=270,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
