"""The engine at real sockets: urgent studies overtake, and nobody waits for a dead partner."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from common.dicom.association import Incoming
from common.proof.identity import Node
from common.settings import Sender
from common.states import TransferState
from sender import identity, pairing, sending
from sender.doors.folder import FolderDoor
from sender.engine import Engine
from sender.outbox import Transfer
from sender.pace import read
from sender.partners import Partner, find_partner
from tests.common.dicom.association.rig import accepting
from tests.sender.test_strange import HERE
from tests.system.ends import until
from tests.system.series import write_series

DEADLINE = 20.0
WINDOW = 32  # instances unanswered at a time


class Desk:
    """A receiver that answers when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.waiting: list[tuple[str, Callable[[int], None]]] = []
        self.at_once = False
        self.changed = threading.Condition()

    def begin(self, incoming: Incoming) -> OnDesk:
        with self.changed:
            self.begun.append(incoming.sop_instance_uid)
            self.changed.notify_all()
        return OnDesk(self, incoming.sop_instance_uid)

    def answer(self, count: int) -> list[str]:
        """Say success to the first that wait for it."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.waiting) >= count, DEADLINE)
            now, self.waiting = self.waiting[:count], self.waiting[count:]
        for _, say in now:
            say(0)
        return [uid for uid, _ in now]

    def answer_all_at_once(self) -> None:
        with self.changed:
            self.at_once = True
            now, self.waiting = self.waiting, []
        for _, say in now:
            say(0)

    def wait(self, count: int) -> list[str]:
        """Wait until so many instances have begun to come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, DEADLINE)
            return list(self.begun)


class OnDesk:
    def __init__(self, desk: Desk, uid: str) -> None:
        self.desk = desk
        self.uid = uid

    def write(self, data: memoryview) -> None:
        pass

    def finish(self, answer: Callable[[int], None]) -> None:
        with self.desk.changed:
            at_once = self.desk.at_once
            if not at_once:
                self.desk.waiting.append((self.uid, answer))
                self.desk.changed.notify_all()
        if at_once:
            answer(0)

    def abandon(self) -> None:
        pass


class Watched(Engine):
    """Tells of each scan and each delivery that ended or gave way."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.ends = threading.Semaphore(0)

    def _ended(self, failure: BaseException | None) -> None:
        super()._ended(failure)
        self.ends.release()

    def wait_for_ends(self, count: int) -> None:
        for _ in range(count):
            assert self.ends.acquire(timeout=DEADLINE)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return pairing.init(tmp_path / "sender", HERE, Sender(), operator="test")


def know(node: Node, name: str, port: int) -> Partner:
    """Enter a partner without TLS, as only loopback has it."""
    partner = Partner(
        name=name, kind="dicom", code=None, addresses=("127.0.0.1",), host="localhost",
        dicom_port=port, link_port=0, aet="DESK", calling_aet="US", ca="",
        signing_certificate="", leaf="", file=node.data / "partners" / f"{name}.json",
    )  # fmt: skip
    partner.save()
    return partner


@contextmanager
def running(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """An engine that does nothing unless it is woken."""
    monkeypatch.setattr("sender.engine.POLL", 3600.0)
    with closing(Watched(node.data)) as engine:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                engine.run()
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=run, name="engine")
        thread.start()
        try:
            yield engine
        finally:
            engine.end()
            thread.join(DEADLINE)
        assert not thread.is_alive(), "the end did not wake it"
        assert failures == []


def study(folder: Path, seed: int, slices: int) -> Path:
    write_series(folder, seed, slices=slices, side=16)
    return folder


def only(engine: Engine, job: int) -> Transfer:
    [transfer] = engine.outbox.transfers(job)
    return transfer


def arrived(engine: Engine, job: int) -> bool:
    found = engine.outbox.transfers(job)
    return bool(found) and all(t.finished is not None for t in found)


@pytest.mark.requirement("UX-04")
def test_an_urgent_study_overtakes_and_the_other_goes_on_after_it(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        know(node, "desk", acceptor.address[1])
        big, small = study(tmp_path / "big", 1, 100), study(tmp_path / "small", 2, 2)
        routine = sending.submit(node.data, "desk", [big], {"priority": "routine"})
        first = desk.wait(WINDOW)
        engine.wait_for_ends(1)  # its scan
        urgent = sending.submit(node.data, "desk", [small], {"priority": "urgent"})
        engine.wait_for_ends(1)
        # none of the big study has been answered, and yet the urgent one comes
        over = desk.wait(WINDOW + 2)[WINDOW:]
        assert {i.sop_uid for i in engine.outbox.instances(only(engine, urgent).id)} == set(over)
        assert desk.answer(WINDOW) == first
        engine.wait_for_ends(1)  # it has given way
        assert len(desk.begun) == WINDOW + 2
        aside = only(engine, routine)
        assert (aside.state, aside.attempts, aside.error) == (TransferState.SENDING, 0, None)
        assert [i.acked for i in engine.outbox.instances(aside.id)] == [1] * WINDOW + [0] * 68
        desk.answer(2)
        engine.wait_for_ends(1)
        assert arrived(engine, urgent)
        desk.answer_all_at_once()
        engine.wait_for_ends(1)
        done = only(engine, routine)
    assert (done.state, done.attempts, done.error) == (TransferState.DELIVERED, 0, None)
    assert done.finished is not None
    assert set(Counter(desk.begun).values()) == {1}, "something was sent twice"
    assert len(desk.begun) == 102


@pytest.mark.requirement("UX-04")
def test_of_two_urgent_studies_the_first_ends_first(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        know(node, "desk", acceptor.address[1])
        one = sending.submit(
            node.data, "desk", [study(tmp_path / "1", 1, 3)], {"priority": "urgent"}
        )
        desk.wait(3)
        two = sending.submit(
            node.data, "desk", [study(tmp_path / "2", 2, 2)], {"priority": "urgent"}
        )
        engine.wait_for_ends(2)  # both scans
        desk.answer(3)
        engine.wait_for_ends(1)
        assert arrived(engine, one)
        assert not arrived(engine, two)
        desk.answer(2)
        engine.wait_for_ends(1)
        assert arrived(engine, two)


def test_a_dead_partner_slows_no_other(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    desk.answer_all_at_once()
    silent = socket.create_server(("127.0.0.1", 0))  # the system takes the call, nobody answers
    with socket.create_server(("127.0.0.1", 0)) as gone:
        refuses = gone.getsockname()[1]
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        try:
            know(node, "silent", silent.getsockname()[1])
            know(node, "refuses", refuses)
            know(node, "desk", acceptor.address[1])
            files = study(tmp_path / "ct", 1, 20)
            dead = [
                sending.submit(node.data, name, [files], {"priority": priority})
                for name in ("silent", "refuses")
                for priority in ("urgent", "routine")
            ]
            alive = [sending.submit(node.data, "desk", [files], {}) for _ in range(3)]
            until(lambda: all(arrived(engine, job) for job in alive), "the living has its studies")
            # and that before the silent one was given up for the first time
            first, second, *_ = (only(engine, job) for job in dead)
            assert (first.state, first.attempts) == (TransferState.SENDING, 0)
            assert (second.state, second.attempts) == (TransferState.QUEUED, 0)
            assert not any(arrived(engine, job) for job in dead)
        finally:
            silent.close()


class Gate:
    """Holds up the reading of files of one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.open = threading.Event(), threading.Event()
        read = identity.read

        def held(path: str) -> identity.Identity | None:
            if Path(path).parent == folder:
                self.at.set()
                assert self.open.wait(DEADLINE)
            return read(path)

        monkeypatch.setattr(identity, "read", held)


RULES = '[[rule]]\nfrom = "modality:CT1"\nto = "desk"\npriority = "urgent"\n'


@pytest.mark.requirement("UX-04")
@pytest.mark.parametrize(
    ("to", "options"),
    [
        ("desk", {"priority": "urgent"}),
        ("desk", {"priority": "soon"}),
        ("", {"source": "modality:CT1"}),
    ],
)
def test_an_urgent_study_does_not_wait_until_another_is_read(
    to: str,
    options: dict[str, str],
    node: Node,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (node.data / "rules.toml").write_text(RULES, "utf-8")
    desk = Desk()
    desk.answer_all_at_once()
    big, small = study(tmp_path / "big", 1, 6), study(tmp_path / "small", 2, 2)
    gate = Gate(big, monkeypatch)
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        know(node, "desk", acceptor.address[1])
        read_long = sending.submit(node.data, "desk", [big], {"priority": "routine"})
        assert gate.at.wait(DEADLINE)
        job = sending.submit(node.data, to, [small], options)
        engine.wait_for_ends(2)  # its scan and its delivery
        assert arrived(engine, job)
        assert not engine.outbox.job(read_long).scanned
        gate.open.set()
        engine.wait_for_ends(2)
        assert arrived(engine, read_long)


def test_the_end_does_not_wait_until_all_is_read(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = study(tmp_path / "big", 1, 6)
    gate = Gate(big, monkeypatch)
    with running(node, monkeypatch) as engine:
        job = sending.submit(node.data, "desk", [big], {})
        assert gate.at.wait(DEADLINE)
        engine.end()
        gate.open.set()
        engine.wait_for_ends(1)
        assert not engine.outbox.job(job).scanned


def test_retry_and_release_wake_the_engine(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    desk.answer_all_at_once()
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        job = sending.submit(node.data, "desk", [study(tmp_path / "ct", 1, 2)], {})
        engine.wait_for_ends(2)  # there is no such partner yet
        assert only(engine, job).state is TransferState.HELD
        sending.retry(node.data, only(engine, job).id)
        engine.wait_for_ends(1)
        assert only(engine, job).state is TransferState.HELD
        know(node, "desk", acceptor.address[1])
        sending.release(node.data, only(engine, job).id, by="鈴木", reason="登録した")
        engine.wait_for_ends(1)
        assert only(engine, job).state is TransferState.DELIVERED


def test_a_watched_folder_wakes_the_engine(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node.data / "rules.toml").write_text('[[rule]]\nto = "desk"\n', "utf-8")
    folder = study(tmp_path / "in" / "ct", 1, 2).parent
    settings = Sender(watch=(str(folder),))
    desk = Desk()
    desk.answer_all_at_once()
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        know(node, "desk", acceptor.address[1])
        moments = iter((0.0, 60.0))
        door = FolderDoor(engine.outbox, settings, lambda: next(moments), engine.wake)
        assert door.look() == []
        [job] = door.look()
        engine.wait_for_ends(2)
        assert arrived(engine, job)


@pytest.mark.requirement("NET-14")
def test_a_cap_that_is_set_holds_for_what_is_under_way(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    with accepting(desk) as acceptor, running(node, monkeypatch) as engine:
        know(node, "desk", acceptor.address[1])
        sending.submit(node.data, "desk", [study(tmp_path / "ct", 1, 2)], {})
        desk.wait(2)
        assert engine._paces["desk"].limits is None
        find_partner(node.data, "desk").with_line(["5"], None).save()
        engine.wake()
        until(lambda: engine._paces["desk"].limits == read(["5"]), "the cap is known")
        desk.answer_all_at_once()
