"""Ctrl-C as a terminal sends it, to every process: soon, in words, and nothing is lost.

How soon is measured by hand (docs/decisions/0046); here, well before what stands open
(a question for news, a batch on a line that holds it) would end by itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, command, first_object, start, until
from tests.system.line import Line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120), pytest.mark.slow]
SOON = 12.0  # seconds; what stands open would take 20 and more


def press(running: subprocess.Popen[str], log: Path) -> str:
    """Press Ctrl-C and return what was said after it."""
    before = log.stat().st_size
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=SOON)
    said = log.read_bytes()[before:].decode()
    assert "Traceback" not in said
    return said


@pytest.fixture
def heard(ends: Ends) -> Iterator[subprocess.Popen[str]]:
    """A daemon whose question for news stands at the receiver."""
    line = command("sender", "run", "--data", ends.sender, "--json")
    running = start(line, ends.folder / "run.log")
    try:
        first_object(running)
        with ends.outbox() as box:
            (partner,) = (path.stem for path in (ends.sender / "partners").glob("*.json"))
            until(lambda: box.heard_to(partner)[1] is not None, "it has heard once, and asks again")
        yield running
    finally:
        running.kill()
        running.communicate()


@pytest.mark.requirement("UX-06")
def test_a_daemon_whose_question_stands(ends: Ends, heard: subprocess.Popen[str]) -> None:
    assert "送信を終えました" in press(heard, ends.folder / "run.log")
    assert heard.returncode == 0


@pytest.mark.requirement("UX-06")
def test_a_receiver_at_which_a_question_stands(ends: Ends, heard: subprocess.Popen[str]) -> None:
    assert ends.running is not None
    running = ends.running
    try:
        assert "受信を終えました" in press(running, ends.folder / "receiver.log")
        assert running.returncode == 0
    finally:
        ends.start_receiver()


@pytest.mark.requirement("UX-06")
def test_a_verb_whose_line_holds_what_it_sends(ends: Ends, tmp_path: Path) -> None:
    slide = Svs(width=1800, height=1800, tile=256, label=False, macro=False)
    path = slide.write(tmp_path / "held.svs")
    with Line(ends.ports["link"], 2e6) as line, ends.through(link=line.port):
        line.hold_after(200_000)
        words = ("--patient-id", "1", "--patient-name", "SATO^KEN", "--data", ends.sender)
        running = start(command("sender", "send", path, *words), ends.folder / "send.log")
        try:
            assert line.holding.wait(50), "the slide is not being sent"
            assert "中断しました" in press(running, ends.folder / "send.log")
            assert running.returncode == 130
        finally:
            running.kill()
            running.communicate()
            line.go_on()
    with ends.daemon(), ends.outbox() as box:
        transfer = box.transfers()[-1]
        until(lambda: box.transfer(transfer.id).finished is not None, "the daemon goes on with it")
        assert box.transfer(transfer.id).state == "receipted"
        assert box.transfer(transfer.id).digests_equal


@pytest.mark.requirement("UX-06")
@pytest.mark.parametrize("room", ["sender", "receiver"])
def test_a_daemon_that_still_begins(ends: Ends, tmp_path: Path, room: str) -> None:
    """Its own processes load for a second: none of them may say a traceback."""
    if room == "receiver":
        ends.stop_receiver()
    log = tmp_path / "log"
    line = command(room, "run", "--data", getattr(ends, room))
    running = start(line, log)
    try:
        until(lambda: _loaded(running.pid), "it has its first module of ours")
        said = press(running, log)
        assert running.returncode in {0, 130}
        assert any(word in said for word in ("中断しました", "を終えました"))
    finally:
        running.kill()
        running.communicate()
        if room == "receiver":
            ends.start_receiver()


def _loaded(pid: int) -> bool:
    """Whether a process has the cryptography that every daemon loads first of its libraries."""
    return "cryptography" in Path(f"/proc/{pid}/maps").read_text()
