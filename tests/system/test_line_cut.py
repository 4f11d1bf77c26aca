"""A cut line, a Ctrl-C, a receiver that is restarted: the transfer goes on where it was."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver import transfers
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, until
from tests.system.line import Line
from tests.system.series import write_series

pytestmark = pytest.mark.system
RATE = 3e6  # bytes a second
WINDOW = 32  # instances under way at a time


@pytest.fixture
def lines(ends: Ends) -> Iterator[list[Line]]:
    """Lead the sender's two connections over slow lines that can be cut."""
    with (
        Line(ends.ports["dicom"], RATE) as dicom,
        Line(ends.ports["link"], RATE) as link,
        ends.through(dicom=dicom.port, link=link.port),
    ):
        yield [dicom, link]


def _source(kind: str, folder: Path) -> Path:
    if kind == "slide":
        return Svs(width=3072, height=3072, tile=256).write(folder / "case.svs")
    write_series(folder / "ct", 7)
    return folder / "ct"


def _size(source: Path) -> int:
    return sum(file.stat().st_size for file in [source, *source.glob("*")] if file.is_file())


def _acknowledged(ends: Ends, known: set[str]) -> tuple[str, float]:
    with ends.outbox() as box:
        for name, (held, total, *_) in box.progress().items():
            if name not in known:
                return name, held / total
    return "", 0.0


def _known(ends: Ends) -> set[str]:
    with ends.outbox() as box:
        return {transfer.id for transfer in box.transfers()}


def _repeats(ends: Ends, name: str) -> int:
    with ends.index() as index, index.read() as db:
        return int(transfers.known(db, name).repeats)


@pytest.mark.parametrize("kind", ["ct", "slide"])
@pytest.mark.requirement("UX-06")
def test_a_cut_line(ends: Ends, lines: list[Line], tmp_path: Path, kind: str) -> None:
    source, known = _source(kind, tmp_path), _known(ends)
    way = lines[kind == "slide"]
    way.hold_after(_size(source) // 2)
    sending = ends.send(source)
    assert way.holding.wait(50), f"the {kind} is not being sent"
    until(lambda: _acknowledged(ends, known)[1] >= 0.3, "a third is acknowledged")
    for line in lines:
        line.cut()
    way.go_on()
    said, _ = sending.communicate(timeout=50)
    assert sending.returncode == 0, said
    (told,) = json.loads(said)["transfers"]
    assert (told["state"], told["digests_equal"]) == ("receipted", True)
    assert told["attempts"] >= 1, "what was held back cannot have arrived before the cut"
    assert _repeats(ends, told["id"]) <= WINDOW


@pytest.mark.requirement("UX-06")
def test_ctrl_c_keeps_the_rest_in_the_outbox(ends: Ends, lines: list[Line], tmp_path: Path) -> None:
    source, known = _source("ct", tmp_path), _known(ends)
    dicom, _ = lines
    dicom.hold_after(_size(source) // 2)
    sending = ends.send(source)
    assert dicom.holding.wait(50), "the series is not being sent"
    until(lambda: _acknowledged(ends, known)[1] >= 0.3, "a third is acknowledged")
    sending.send_signal(signal.SIGINT)
    dicom.rate = RATE / 30  # the rest would take 12 seconds: more than a key does
    dicom.go_on()
    sending.communicate(timeout=30)
    assert sending.returncode == 130
    dicom.rate = RATE
    name, held = _acknowledged(ends, known)
    assert 0.3 <= held < 1
    with ends.daemon(), ends.outbox() as box:
        until(lambda: box.transfer(name).finished is not None, "the daemon finishes it")
        assert box.transfer(name).state == "receipted"
    assert _repeats(ends, name) <= WINDOW


@pytest.mark.slow
@pytest.mark.requirement("UX-06")
def test_a_receiver_that_is_restarted(ends: Ends, lines: list[Line], tmp_path: Path) -> None:
    source, known = _source("slide", tmp_path), _known(ends)
    sending = ends.send(source)
    until(lambda: _acknowledged(ends, known)[1] >= 0.3, "a third is acknowledged")
    ends.stop_receiver()
    ends.start_receiver()
    said, _ = sending.communicate(timeout=50)
    assert sending.returncode == 0, said
    assert [t["state"] for t in json.loads(said)["transfers"]] == ["receipted"]
