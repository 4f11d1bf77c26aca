"""The bell: rung by another process, and by nobody who lacks the token."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sender.bell import Bell, ring

DEADLINE = 20.0


@pytest.fixture
def bell(tmp_path: Path) -> Iterator[Bell]:
    with closing(Bell(tmp_path)) as hung:
        yield hung


def test_another_process_rings(bell: Bell, tmp_path: Path) -> None:
    line = "import sys, pathlib; from sender.bell import ring; ring(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", line, str(tmp_path)], check=True, timeout=DEADLINE)
    assert bell.wait(DEADLINE)
    assert not bell.wait(0)


def test_many_rings_are_one(bell: Bell, tmp_path: Path) -> None:
    for _ in range(50):
        ring(tmp_path)
    assert bell.wait(DEADLINE)
    assert not bell.wait(0)


def test_a_thread_rings_while_the_engine_waits(bell: Bell) -> None:
    late = threading.Timer(0.05, bell.ring)
    late.start()
    assert bell.wait(DEADLINE)


def test_who_does_not_know_the_token_does_not_ring(bell: Bell, tmp_path: Path) -> None:
    port, token = (tmp_path / "bell").read_text().split()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for said in (b"", b"x", token[:-1].encode(), token.encode() + b"x", bytes(2000)):
            stranger.sendto(said, ("127.0.0.1", int(port)))
        assert not bell.wait(0.01)
        stranger.sendto(token.encode(), ("127.0.0.1", int(port)))
        assert bell.wait(DEADLINE)


def test_strangers_cannot_keep_it_waiting(
    bell: Bell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, _ = (tmp_path / "bell").read_text().split()
    select = bell._heard.select
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def disturbed(seconds: float) -> object:
            stranger.sendto(b"x", ("127.0.0.1", int(port)))
            return select(seconds)

        monkeypatch.setattr(bell._heard, "select", disturbed)
        assert not bell.wait(0.05)


@pytest.mark.parametrize(
    "words", [None, "", "1", "x y", "99999999 t", "-1 t", "1 t 3", "7 é", "0 t"]
)
def test_where_no_daemon_is_nothing_fails(words: str | None, tmp_path: Path) -> None:
    if words is not None:
        (tmp_path / "bell").write_text(words, "utf-8")
    ring(tmp_path)


def test_the_file_is_private_and_goes_with_the_daemon(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    if os.name != "nt":
        assert (tmp_path / "bell").stat().st_mode & 0o077 == 0
    bell.close()
    assert not (tmp_path / "bell").exists()
    bell.ring()  # a thread that ends late
    ring(tmp_path)


def test_nothing_heavy_is_loaded_to_ring() -> None:
    line = "import sys, sender.bell; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", line], check=True, timeout=DEADLINE, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in said.stdout.split()}
    assert not loaded & {"pydicom", "numpy", "sqlalchemy", "httpx", "pynetdicom", "cryptography"}
