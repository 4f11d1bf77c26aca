"""Two daemons on one folder, clocks that jump, and a service manager that says stop."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from common.states import InstanceState, TransferState
from receiver import index
from tests.hostile.standing import Standing
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must, until, verb
from tests.system.line import Line
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO")
RATE = 3e6  # bytes a second


@pytest.mark.badinput(98, "two receivers")
def test_a_second_receiver_on_one_folder_refuses(standing: Standing) -> None:
    said = verb("receiver", "run", "--data", standing.ends.receiver)
    assert (said.code, said.words["error"]["number"]) == (42, "E-4006")
    assert "二重" in said.words["error"]["ja"]


@pytest.mark.badinput(98, "two senders")
def test_a_second_sender_on_one_folder_refuses(standing: Standing) -> None:
    with standing.ends.daemon():
        said = verb("sender", "run", "--data", standing.ends.sender)
        assert (said.code, said.words["error"]["number"]) == (42, "E-4006")
        assert must("sender", "status", "--data", standing.ends.sender)["running"] is True


def shifted(seconds: float) -> dict[str, str]:
    """Environment of a process whose clock is wrong."""
    here = str(Path(__file__).with_name("shifted"))
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "TODOKE_TEST_SHIFT": str(seconds)}


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(-3600.0, marks=pytest.mark.badinput(96, "sender's clock back 1 h")),
        pytest.param(
            365 * 86400.0,
            marks=[pytest.mark.badinput(96, "sender's clock forward 1 y"), pytest.mark.slow],
        ),
    ],
)
def test_a_sender_with_a_wrong_clock_sends_all_the_same(
    standing: Standing, tmp_path: Path, seconds: float
) -> None:
    """What is in the outbox from before goes out too: no wait hangs on the clock of the wall."""
    ends = standing.ends
    write_series(tmp_path / "before", 910, slices=2)
    write_series(tmp_path / "after", 911, slices=2)
    standing.arriving = 4
    must("sender", "send", tmp_path / "before", "--no-wait", "--data", ends.sender)
    said = verb("sender", "send", tmp_path / "after", "--data", ends.sender, env=shifted(seconds))
    assert said.code == 0, said.errors
    assert [t["state"] for t in said.words["transfers"]] == ["receipted"]
    with ends.daemon(), ends.outbox() as box:
        until(
            lambda: all(t.state is TransferState.RECEIPTED for t in box.transfers()),
            "both are receipted",
        )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Two ends that a test may stop."""
    pair = Ends(Path(tmp_path_factory.mktemp("own")))
    pair.pair()
    yield pair
    if pair.running is not None:
        pair.stop_receiver()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(
            -3600.0, marks=[pytest.mark.badinput(96, "receiver's clock back 1 h"), pytest.mark.slow]
        ),
        pytest.param(
            365 * 86400.0,
            marks=[pytest.mark.badinput(96, "receiver's clock forward 1 y"), pytest.mark.slow],
        ),
    ],
)
def test_a_receiver_with_a_wrong_clock_takes_all_the_same(
    own: Ends, tmp_path: Path, seconds: float
) -> None:
    write_series(tmp_path / "ct", 912, slices=2)
    own.stop_receiver()
    own.start_receiver(shifted(seconds))
    try:
        said = verb("sender", "send", tmp_path / "ct", "--data", own.sender)
        assert [t["state"] for t in said.words["transfers"]] == ["receipted"], said.errors
    finally:
        own.stop_receiver()
        own.start_receiver()
    again = verb("sender", "send", tmp_path / "ct", "--data", own.sender)
    assert [t["state"] for t in again.words["transfers"]] == ["receipted"], again.errors


def finals_are_acknowledged(ends: Ends) -> None:
    """Every file under a final name has its row, every row of an instance its file."""
    with ends.index() as known, known.read() as db:
        rows = db.execute(select(index.instances)).all()
    store = ends.receiver / "store"
    named = {row.path for row in rows if row.path is not None}
    here = {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}
    assert named == here
    assert {row.state for row in rows} == {InstanceState.VERIFIED}


@pytest.mark.requirement("UX-06", "DAT-05")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("dicom", marks=pytest.mark.badinput(100, "receiver during C-STORE")),
        pytest.param(
            "link", marks=[pytest.mark.badinput(100, "receiver during frames"), pytest.mark.slow]
        ),
    ],
)
def test_a_receiver_that_is_told_to_stop_loses_nothing(
    own: Ends, tmp_path: Path, kind: str
) -> None:
    if kind == "dicom":
        write_series(tmp_path / "sent", 913, slices=30)
    else:
        (tmp_path / "sent").mkdir()
        Svs(width=2048, height=1536, tile=256).write(tmp_path / "sent" / "a.svs")
    with Line(own.ports[kind], RATE) as line, own.through(**{kind: line.port}):
        line.hold_after(700_000)
        sending = own.send(tmp_path / "sent")
        assert line.holding.wait(50)
        line.go_on()
        assert own.running is not None
        own.running.send_signal(signal.SIGTERM)
        assert own.running.wait(60) == 0, "it ends by itself and says that all is well"
        own.stop_receiver()
        own.start_receiver()
        said, _ = sending.communicate(timeout=120)
    assert sending.returncode == 0, said
    assert [t["state"] for t in json.loads(said)["transfers"]] == ["receipted"]
    finals_are_acknowledged(own)
    assert "Traceback" not in (own.folder / "receiver.log").read_text("utf-8")


@pytest.mark.requirement("UX-06", "DAT-05")
@pytest.mark.badinput(100, "sender during sending")
def test_a_sender_that_is_told_to_stop_goes_on_where_it_was(own: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "sent", 914, slices=30)
    with Line(own.ports["dicom"], RATE) as line, own.through(dicom=line.port):
        line.hold_after(700_000)
        with own.daemon() as words:
            must("sender", "send", tmp_path / "sent", "--no-wait", "--data", own.sender)
            assert line.holding.wait(50)
            os.kill(words["pid"], signal.SIGTERM)
            line.go_on()
        with own.outbox() as box:
            newest = max(box.transfers(), key=lambda t: t.created)
            assert newest.state is TransferState.SENDING
        with own.daemon(), own.outbox() as box:
            until(
                lambda: box.transfer(newest.id).state is TransferState.RECEIPTED, "it is receipted"
            )
    finals_are_acknowledged(own)
    assert "Traceback" not in (own.folder / "sender.log").read_text("utf-8")
