"""What a failure of either end becomes at the other."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from common import errors
from common.dicom import commands, negotiation, statuses
from common.dicom.association import Incoming, Outcome, Outgoing, Pieces, Writing
from common.dicom.pdu_stream import Pdu, PduReader, command_pdus
from common.errors import (
    AssociationAborted,
    ContextNotAccepted,
    DiskFull,
    IntegrityError,
    PeerBusy,
    PeerError,
    PeerFull,
    PeerNotRegistered,
    PeerRefused,
    PeerTimeout,
    ProtocolError,
    SameUidOtherContent,
    SourceChanged,
    TodokeError,
)
from tests.common.dicom.association.rig import (
    CT,
    CT_CONTEXT,
    DEADLINE,
    EXPLICIT,
    Pki,
    Shelf,
    accepting,
    calling,
    expected,
    outgoing,
)
from tests.system.ends import until


def every_error(root: type[TodokeError] = TodokeError) -> Iterator[type[TodokeError]]:
    yield root
    for kind in root.__subclasses__():
        yield from every_error(kind)


@pytest.mark.requirement("DCM-06")
@pytest.mark.parametrize("kind", [*every_error()])
def test_every_error_has_a_status_that_means_failure(kind: type[TodokeError]) -> None:
    status = kind.dimse_status
    assert (
        status in {0x0110, 0x0124, 0x0213}
        or 0xA700 <= status <= 0xA7FF
        or 0xA900 <= status <= 0xA9FF
        or 0xC000 <= status <= 0xCFFF
    )
    back = statuses.error_of(status, kind.number)
    assert back is not None
    assert back.words("ja")
    assert kind.number in back.words("ja")


@pytest.mark.requirement("DCM-06")
@pytest.mark.parametrize(
    ("status", "error", "again"),
    [
        (0x0000, None, False),
        (0xB000, None, False),
        (0xB006, None, False),
        (0xB007, None, False),
        (0x0107, None, False),
        (0xA700, PeerFull, True),
        (0xA701, PeerBusy, True),
        (0xA7FF, PeerBusy, True),
        (0xA900, PeerRefused, False),
        (0xC000, PeerRefused, False),
        (0x0124, PeerRefused, False),
        (0x0122, ContextNotAccepted, False),
        (0x0110, PeerError, True),
        (0x0211, ProtocolError, False),
        (0x7777, PeerRefused, False),
    ],
)
def test_what_a_status_means_to_the_sender(
    status: int, error: type[TodokeError] | None, again: bool
) -> None:
    told = statuses.error_of(status)
    assert type(told) is (error or type(None))
    assert told is None or told.retryable is again


@pytest.mark.requirement("DCM-06")
@pytest.mark.parametrize("when", ["begin", "write", "finish"])
@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (DiskFull(path="/secret"), 0xA700, PeerFull),
        (SameUidOtherContent(path="/secret"), 0xA900, PeerRefused),
        (IntegrityError(cause="/secret"), 0xA900, PeerRefused),
        (PeerNotRegistered(cause="/secret"), 0x0124, PeerRefused),
        (errors.TodokeError(cause="/secret"), 0x0110, PeerError),
    ],
)
def test_an_error_of_the_sink_is_a_status_and_nothing_more(
    pki: Pki, when: str, error: TodokeError, status: int, told: type[TodokeError]
) -> None:
    shelf = Shelf(error=error, when=when)
    bad, good = outgoing(b"x" * 300_000), outgoing(b"y" * 10)
    with (
        accepting(shelf, pki.server()) as acceptor,
        calling(acceptor, pki.client()) as requestor,
    ):
        (refused,) = requestor.store([bad])
        shelf.error = None
        (stored,) = requestor.store([good])
        assert requestor.echo() == 0
    assert refused.status == status
    assert type(refused.error) is told
    assert error.number in str(refused.error)
    assert "secret" not in str(refused.error)
    assert stored.status == 0
    assert shelf.digests() == expected([good])
    assert shelf.abandoned == ([] if when == "begin" else [bad.sop_instance_uid])


PATIENT = "Yamada^Tarou"


class Fragile(Shelf):
    """Breaks in a way nobody foresaw for one instance."""

    def begin(self, incoming: Incoming) -> Writing:  # type: ignore[override]
        if incoming.sop_instance_uid == "2.25.13":
            raise RuntimeError(PATIENT)
        return super().begin(incoming)


def test_a_defect_ends_that_association_alone(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Fragile()
    with (
        accepting(shelf, pki.server()) as acceptor,
        calling(acceptor, pki.client()) as other,
        calling(acceptor, pki.client()) as requestor,
    ):
        with pytest.raises(AssociationAborted):
            list(requestor.store([outgoing(b"z", uid="2.25.13")]))
        assert [o.status for o in other.store([outgoing(b"1")])] == [0]
    assert "RuntimeError" in caplog.text
    assert PATIENT not in caplog.text


def test_an_answer_given_twice_or_too_late_is_harmless(pki: Pki) -> None:
    shelf = Shelf()
    given: list[Callable[[int], None]] = []

    class Twice:
        def __init__(self, inner: Writing) -> None:
            self.write, self.abandon = inner.write, inner.abandon
            self.inner = inner

        def finish(self, answer: Callable[[int], None]) -> None:
            given.append(answer)
            self.inner.finish(answer)
            answer(0xA900)

    class Echoing(Shelf):
        def begin(self, incoming: Incoming) -> Writing:  # type: ignore[override]
            return Twice(shelf.begin(incoming))

    with (
        accepting(Echoing(), pki.server()) as acceptor,
        calling(acceptor, pki.client()) as requestor,
    ):
        outcomes = list(requestor.store([outgoing(b"1"), outgoing(b"2")]))
        assert [o.status for o in outcomes] == [0, 0]
    for answer in given:
        answer(0)


@pytest.mark.parametrize("size", [1000, 9 << 20])
def test_a_source_that_fails_is_told_with_its_error(pki: Pki, size: int) -> None:
    shelf = Shelf()
    good = outgoing(b"g" * 1000)

    def chunks() -> Iterator[bytes]:
        yield b"b" * (size // 2)
        raise SourceChanged(path="x")

    bad = Outgoing(CT, "2.25.66", EXPLICIT, size, lambda: Pieces(size, chunks()))
    told: list[Outcome] = []
    with accepting(shelf, pki.server()) as acceptor, calling(acceptor, pki.client()) as requestor:
        outcomes = requestor.store([good, bad, good])
        if size > 4 << 20:  # part of it is on its way
            with pytest.raises(AssociationAborted, match="own instance"):
                told.extend(outcomes)
            shelf.wait_for(lambda: shelf.abandoned == ["2.25.66"])
        else:
            told.extend(outcomes)
            assert len(told) == 3
        failed = next(o for o in told if o.outgoing is bad)
        assert isinstance(failed.error, SourceChanged)
    assert "2.25.66" not in shelf.stored


@pytest.mark.parametrize("said", [999, 1001])
def test_a_source_of_another_length_is_not_sent(pki: Pki, said: int) -> None:
    shelf = Shelf()
    liar = Outgoing(CT, "2.25.67", EXPLICIT, said, lambda: Pieces(said, [b"x" * 1000]))
    with accepting(shelf, pki.server()) as acceptor, calling(acceptor, pki.client()) as requestor:
        (outcome,) = requestor.store([liar])
        assert isinstance(outcome.error, ProtocolError)
        assert requestor.echo() == 0
    assert not shelf.began


@pytest.mark.parametrize("finished", [False, True])
def test_a_peer_that_vanishes(pki: Pki, finished: bool) -> None:
    """Bytes not complete are abandoned; a complete instance is not taken back."""
    shelf = Shelf()
    shelf.later = queue.SimpleQueue()
    vanish = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a" * (8 << 20)
        vanish.set()
        raise KeyboardInterrupt

    part = Outgoing(CT, "2.25.68", EXPLICIT, 9 << 20, lambda: Pieces(9 << 20, chunks()))
    one = outgoing(b"whole") if finished else part
    with accepting(shelf, pki.server()) as acceptor:
        requestor = calling(acceptor, pki.client())
        outcomes = requestor.store([one])
        if finished:
            waiting = threading.Thread(target=lambda: list(swallow(outcomes)))
            waiting.start()
            answer = shelf.later.get(timeout=DEADLINE)
            requestor._channel.cut()
            waiting.join()
            answer(0)
            assert shelf.digests() == expected([one])
            assert not shelf.abandoned
        else:
            with pytest.raises(KeyboardInterrupt):
                next(outcomes)
            shelf.wait_for(lambda: shelf.abandoned == ["2.25.68"])
            assert not shelf.stored


def swallow(outcomes: Iterator[object]) -> Iterator[object]:
    try:
        yield from outcomes
    except TodokeError:
        return


def test_silence_after_the_association_ends_it(pki: Pki) -> None:
    shelf = Shelf()
    shelf.later = queue.SimpleQueue()  # and nobody answers
    with accepting(shelf, pki.server(), idle_timeout=0.3) as acceptor:
        with (
            calling(acceptor, pki.client()) as idle,
            pytest.raises(AssociationAborted, match="A-ABORT"),
        ):
            idle._await_response()
        with pytest.raises(AssociationAborted, match="A-ABORT"):
            list(calling(acceptor, pki.client()).store([outgoing(b"1")]))


def test_a_peer_that_does_not_answer_is_timed_out(pki: Pki) -> None:
    shelf = Shelf()
    shelf.later = queue.SimpleQueue()
    with accepting(shelf, pki.server()) as acceptor:
        requestor = calling(acceptor, pki.client(), timeout=0.3)
        with pytest.raises(PeerTimeout):
            list(requestor.store([outgoing(b"1")]))


def test_stopping_lets_an_instance_end_and_then_aborts(pki: Pki) -> None:
    shelf = Shelf()
    half, go_on = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"a" * (5 << 20)
        half.set()
        assert go_on.wait(DEADLINE)
        yield b"b" * 5

    one = Outgoing(CT, "2.25.69", EXPLICIT, (5 << 20) + 5, lambda: Pieces((5 << 20) + 5, chunks()))
    told = []
    with accepting(shelf, pki.server()) as acceptor:
        requestor = calling(acceptor, pki.client())

        def send() -> None:
            for outcome in requestor.store([one]):
                told.append(outcome.status)

        sender = threading.Thread(target=send)
        sender.start()
        assert half.wait(DEADLINE)
        shelf.wait_for(lambda: bool(shelf.began))
        stopper = threading.Thread(target=acceptor.stop)
        with calling(acceptor, pki.client()) as idle:
            stopper.start()
            with pytest.raises(AssociationAborted):
                idle._await_response()
        go_on.set()
        sender.join()
        stopper.join()
        requestor.close()
        with pytest.raises(TodokeError):
            calling(
                acceptor.last_address if hasattr(acceptor, "last_address") else ("127.0.0.1", 1)
            )
    assert told == [0]
    assert shelf.digests() == expected([one])


def test_closing_with_instances_unanswered_aborts(
    pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf()
    later: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
    shelf.later = later

    def answer_the_first() -> None:
        shelf.wait_for(lambda: shelf.finished == 3)  # an answer to the first alone leaves none open
        later.get(timeout=DEADLINE)(0)

    caplog.set_level(logging.INFO)
    with accepting(shelf, pki.server()) as acceptor:
        with calling(acceptor, pki.client()) as requestor:
            outcomes = requestor.store(outgoing(b"%d" % i) for i in range(3))
            feeder = threading.Thread(target=answer_the_first)
            feeder.start()
            assert next(outcomes).status == 0
            feeder.join()
        requestor.close()
        with pytest.raises(AssociationAborted):
            requestor.echo()
        until(lambda: "A-ABORT by the peer's application" in caplog.text, "the peer says so")


def test_no_more_is_pulled_than_the_window_allows(pki: Pki) -> None:
    shelf = Shelf()
    later: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
    shelf.later = later
    answered = 0

    def in_pairs() -> None:
        nonlocal answered
        for _ in range(5):
            pair = [later.get(timeout=DEADLINE) for _ in range(2)]
            for say in pair:
                answered += 1
                say(0)

    def instances() -> Iterator[Outgoing]:
        for pulled in range(10):
            assert pulled - answered < 2
            yield outgoing(b"1")

    committer = threading.Thread(target=in_pairs)
    committer.start()
    with (
        accepting(shelf, pki.server(), window=2) as acceptor,
        calling(acceptor, pki.client()) as requestor,
    ):
        assert [o.status for o in requestor.store(instances())] == [0] * 10
    committer.join()


def test_what_was_answered_before_the_end_counts() -> None:
    """A response and an A-ABORT come together; the second instance is unknown."""
    sent = [outgoing(b"1"), outgoing(b"2")]
    ready = threading.Event()

    def peer(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        reader = PduReader(0)
        commands_read: list[commands.Command] = []
        with sock:
            while len(commands_read) < 2:
                for event in reader.feed(memoryview(sock.recv(65536))):
                    if isinstance(event, Pdu):
                        user = negotiation.UserInformation(16384, window=(8, 1))
                        results = (negotiation.Result(1, 0, EXPLICIT),)
                        answer = negotiation.Acceptance(results, user)
                        sock.sendall(negotiation.encode_acceptance(answer))
                    elif event.is_command:
                        commands_read.append(commands.decode(bytes(event.data)))
            response = command_pdus(1, commands_read[0].answer(0), 16384)
            sock.sendall(response + negotiation.encode_abort(0, 0))
            ready.set()
            with contextlib.suppress(OSError):
                while sock.recv(65536):
                    pass

    def instances() -> Iterator[Outgoing]:
        yield from sent
        assert ready.wait(DEADLINE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=peer, args=(listener,))
        server.start()
        requestor = calling(listener.getsockname()[:2], contexts=[CT_CONTEXT])
        outcomes = requestor.store(instances())
        assert next(outcomes).outgoing is sent[0]
        with pytest.raises(AssociationAborted):
            next(outcomes)
        server.join()
