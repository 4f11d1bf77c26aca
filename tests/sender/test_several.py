"""Several associations to a peer without the window: as many as bring something."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.dicom.association import Acceptor, Context, Requestor
from common.errors import AssociationAborted, PeerBusy, TodokeError
from sender import identity
from sender.links import dicom
from sender.links.several import Several
from sender.outbox import Instance
from tests.common.dicom.association.rig import DEADLINE, Shelf, accepting
from tests.system.series import write_series

CT = Context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")


class Line:
    """A peer that needs a round trip for each instance: its answers come when the test says."""

    def __init__(self, gain: bool) -> None:
        self.now = 0.0
        self.gain = gain
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def pass_instance(self, serving: int) -> None:
        with self._lock:
            self.now += 1.0 / serving if self.gain else 1.0


def series(folder: Path, count: int) -> list[Instance]:
    paths = write_series(folder / "ct", 1, slices=count, side=8)
    found = [identity.read(str(path)) for path in paths]
    return [one.instance for one in found if one is not None]


def call(acceptor: Acceptor) -> Requestor:
    return Requestor.open(
        acceptor.address, tls=None, server_hostname=None, calling_aet="SENDER",
        called_aet="TODOKE", contexts=[CT], window=1,
    )  # fmt: skip


@pytest.fixture
def peer() -> Iterator[tuple[Acceptor, Shelf]]:
    shelf = Shelf()
    with accepting(shelf, None, window=1) as acceptor:
        yield acceptor, shelf


class Further:
    """Opens further associations; the first waits meanwhile, so that there is work for them."""

    def __init__(self, acceptor: Acceptor) -> None:
        self.acceptor = acceptor
        self.asked, self.opened = threading.Semaphore(0), threading.Semaphore(0)

    def open(self) -> Requestor:
        self.asked.release()
        try:
            return call(self.acceptor)
        finally:
            self.opened.release()

    def wait(self) -> None:
        while self.asked.acquire(blocking=False):
            assert self.opened.acquire(timeout=DEADLINE)


def run(
    acceptor: Acceptor, instances: list[Instance], line: Line, most: int = 4
) -> tuple[int, list[TodokeError]]:
    further = Further(acceptor)

    def store(association: Requestor, some: Iterator[Instance]) -> list[TodokeError]:
        by_uid = {i.sop_uid: i for i in instances}
        for outcome in association.store(dicom.outgoing(i) for i in some):
            assert outcome.error is None
            line.pass_instance(several.serving)
            several.acknowledged(by_uid[outcome.outgoing.sop_instance_uid])
            further.wait()
        return []

    several = Several(further.open, store, most, line.clock)
    with call(acceptor) as first:
        refused = several.run(first, iter(instances))
    return several.serving, refused


@pytest.mark.requirement("NET-08")
def test_as_many_as_bring_something(tmp_path: Path, peer: tuple[Acceptor, Shelf]) -> None:
    acceptor, shelf = peer
    instances = series(tmp_path, 60)
    serving, refused = run(acceptor, instances, Line(gain=True))
    assert 2 <= serving <= 4
    assert refused == []
    assert sorted(shelf.stored) == sorted(i.sop_uid for i in instances)


def test_no_more_where_the_first_step_brings_nothing(
    tmp_path: Path, peer: tuple[Acceptor, Shelf]
) -> None:
    acceptor, shelf = peer
    serving, _ = run(acceptor, series(tmp_path, 60), Line(gain=False))
    assert serving <= 2
    assert len(shelf.stored) == 60


def test_a_peer_that_takes_no_second_one_gets_all_over_the_first(tmp_path: Path) -> None:
    shelf = Shelf()
    with accepting(shelf, None, window=1, max_associations=1) as acceptor:
        serving, _ = run(acceptor, series(tmp_path, 12), Line(gain=True))
    assert serving == 1
    assert len(shelf.stored) == 12


def test_one_that_never_answers_holds_up_nothing(tmp_path: Path) -> None:
    """As a product that serves one association after another and lets the next wait."""
    asked, go_on = threading.Event(), threading.Event()
    shelf = Shelf()
    instances = series(tmp_path, 12)
    with accepting(shelf, None, window=1) as acceptor:

        def open_another() -> Requestor:
            asked.set()
            assert go_on.wait(DEADLINE)
            raise PeerBusy(cause="later")

        def store(association: Requestor, some: Iterator[Instance]) -> list[TodokeError]:
            for outcome in association.store(dicom.outgoing(i) for i in some):
                assert outcome.error is None
                several.acknowledged(instances[0])
            return []

        several = Several(open_another, store, 4)
        with call(acceptor) as first:
            several.run(first, iter(instances))
        assert asked.is_set()
        assert len(shelf.stored) == 12
        go_on.set()


def test_what_a_further_one_breaks_with_is_told(
    tmp_path: Path, peer: tuple[Acceptor, Shelf]
) -> None:
    acceptor, _ = peer
    instances = series(tmp_path, 40)
    line, main, further = Line(gain=True), threading.current_thread(), Further(acceptor)

    def store(association: Requestor, some: Iterator[Instance]) -> list[TodokeError]:
        for _ in association.store(dicom.outgoing(i) for i in some):
            if threading.current_thread() is not main:
                raise AssociationAborted(cause="broke")
            line.pass_instance(several.serving)
            several.acknowledged(instances[0])
            further.wait()
        return []

    several = Several(further.open, store, 4, line.clock)
    with call(acceptor) as first, pytest.raises(AssociationAborted, match="broke"):
        several.run(first, iter(instances))
