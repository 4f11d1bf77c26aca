"""The engine: what waits, and what does not wait for it."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from common.dicom import statuses
from common.errors import (
    DiskFull,
    InstanceTooLarge,
    PeerBusy,
    PeerFull,
    SyncFailed,
    TodokeError,
)
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.states import TransferState
from sender.engine import Engine, pause_before
from sender.links import http
from sender.turns import Turn
from tests.sender.test_outbox import instance, values


def test_rules_that_are_half_saved_hold_up_only_what_needs_them(tmp_path: Path) -> None:
    Node.create(tmp_path, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    (tmp_path / "rules.toml").write_text('[[rule]]\nto = "asahi', "utf-8")
    source = tmp_path / "letter.txt"
    source.write_text("no image", "utf-8")
    with closing(Engine(tmp_path)) as engine:
        waits = engine.outbox.submit("", [source], {"source": "folder:in"})
        named = engine.outbox.submit("asahikawa", [source], {})
        enough = threading.Timer(20, engine.stop.set)
        enough.start()
        engine.run(lambda: engine.outbox.job(named).scanned)
        enough.cancel()
        assert engine.outbox.job(named).scanned
        assert not engine.outbox.job(waits).scanned
        assert [row["number"] for row in engine.outbox.refused(named)] == ["E-2002"]


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [pause_before(attempt, lambda: 1.0) for attempt in range(1, 10)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pause_before(3, lambda: 0.0) == 2


def test_pauses_stay_a_minute_however_long_a_disk_is_full() -> None:
    assert pause_before(5000, lambda: 1.0) == 60


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (PeerFull(cause="A700"), TransferState.QUEUED),
        (DiskFull(path="outbox"), TransferState.QUEUED),
        (PeerBusy(cause="later"), TransferState.SENDING),
    ],
)
def test_who_waits_for_room_is_not_shown_as_on_its_way(
    tmp_path: Path, error: TodokeError, state: TransferState
) -> None:
    Node.create(tmp_path, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    with closing(Engine(tmp_path)) as engine:
        job = engine.outbox.job(engine.outbox.submit("asahikawa", [tmp_path], {}))
        (name,) = engine.outbox.scanned(job, [(values(), [instance(1)])], [], 1)
        engine.outbox.set_state(name, TransferState.SENDING)
        engine._try_again(engine.outbox.transfer(name), error)
        kept = engine.outbox.transfer(name)
        assert kept.state is state
        assert kept.error is not None
        assert kept.error["number"] == error.number
        assert engine._due[name] > 0


@pytest.mark.parametrize(
    "error",
    [
        statuses.error_of(InstanceTooLarge.dimse_status, InstanceTooLarge.number),
        http._refusal(413, {"error": InstanceTooLarge(limit=64).as_json()}),
    ],
    ids=["DICOM", "link"],
)
def test_what_is_too_large_for_the_peer_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    Node.create(tmp_path, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)

    def deliver(*_: object) -> None:
        raise error

    with closing(Engine(tmp_path)) as engine:
        job = engine.outbox.job(engine.outbox.submit("asahikawa", [tmp_path], {}))
        (name,) = engine.outbox.scanned(job, [(values(), [instance(1)])], [], 1)
        engine.outbox.set_state(name, TransferState.SENDING)
        monkeypatch.setattr("sender.engine.find_partner", deliver)
        engine._deliver(engine.outbox.transfer(name), Turn())
        kept = engine.outbox.transfer(name)
        assert kept.state is TransferState.FAILED
        assert kept.error is not None
        assert kept.error["number"] == "E-6100"
        assert "max_instance_gb" in kept.error["ja"]


def test_a_failed_sync_of_our_own_disk_ends_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Node.create(tmp_path, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    broken = SyncFailed(cause="outbox")

    def deliver(*_: object) -> None:
        raise broken

    with closing(Engine(tmp_path)) as engine:
        job = engine.outbox.job(engine.outbox.submit("asahikawa", [tmp_path], {}))
        engine.outbox.scanned(job, [(values(), [instance(1)])], [], 1)
        monkeypatch.setattr("sender.engine.find_partner", deliver)
        enough = threading.Timer(20, engine.stop.set)
        enough.start()
        with pytest.raises(SyncFailed):
            engine.run()
        enough.cancel()
