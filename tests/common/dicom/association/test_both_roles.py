"""Requestor and acceptor of our own, over real sockets and real TLS."""

from __future__ import annotations

import queue
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common.dicom.association import Outcome, Outgoing
from tests.common.dicom.association.rig import (
    CT,
    DEADLINE,
    Pki,
    Shelf,
    accepting,
    calling,
    expected,
    outgoing,
)

random_bytes = random.Random(7).randbytes


def some_instances() -> list[Outgoing]:
    """Empty, one byte, about a PDU, about a TLS record, and more than one send."""
    lengths = [0, 1, 2, 4090, 4091, 16378, 16384, 100_001, 5 << 20]
    return [outgoing(random_bytes(length), piece=9999) for length in lengths]


@pytest.mark.requirement("DCM-02", "NET-01")
@pytest.mark.parametrize("window", [1, 2, 32])
@pytest.mark.parametrize("max_pdu", [4096, 16384, 1 << 20, 0])
def test_what_is_stored_is_what_was_sent(pki: Pki, window: int, max_pdu: int) -> None:
    shelf = Shelf()
    sent = some_instances()
    with (
        accepting(shelf, pki.server(), max_pdu=max_pdu) as acceptor,
        calling(acceptor, pki.client(), window=window, max_pdu=max_pdu) as requestor,
    ):
        assert requestor.window == window
        assert requestor.echo() == 0
        outcomes = list(requestor.store(iter(sent)))
        assert requestor.echo() == 0
    assert {o.status for o in outcomes} == {0}
    assert not any(o.error for o in outcomes)
    assert shelf.digests() == expected(sent)
    assert not shelf.abandoned
    assert shelf.largest <= 1 << 18
    assert {i.sop_class_uid for i in shelf.began} == {CT}


@pytest.mark.requirement("NET-09")
def test_each_end_knows_the_other(pki: Pki) -> None:
    shelf = Shelf()
    with (
        accepting(shelf, pki.server) as acceptor,
        calling(acceptor, pki.client()) as requestor,
    ):
        list(requestor.store([outgoing(b"1234")]))
        there, here = requestor.peer, shelf.began[0].peer
    assert (there.calling_aet, there.called_aet) == ("SENDER", "TODOKE")
    assert (here.calling_aet, here.called_aet) == ("SENDER", "TODOKE")
    assert here.address == "127.0.0.1"
    assert there.tls_version == here.tls_version == "TLSv1.3"
    assert there.cipher == here.cipher
    assert there.certificate
    assert here.certificate
    assert there.certificate != here.certificate
    assert here.implementation_class_uid == there.implementation_class_uid


def test_answers_from_another_thread_in_any_order_within_the_window(pki: Pki) -> None:
    shelf = Shelf()
    later: queue.SimpleQueue[Callable[[int], None]] = queue.SimpleQueue()
    shelf.later = later
    sent = [outgoing(random_bytes(3000)) for _ in range(40)]

    def answer_in_groups() -> None:
        shuffled = random.Random(3)
        left = len(sent)
        while left:
            group: list[Callable[[int], None]] = [later.get(timeout=DEADLINE)]
            while len(group) < min(8, left):
                group.append(later.get(timeout=DEADLINE))
            shuffled.shuffle(group)
            for say in group:
                say(0)
            left -= len(group)

    committer = threading.Thread(target=answer_in_groups)
    committer.start()
    with (
        accepting(shelf, pki.server(), window=8) as acceptor,
        calling(acceptor, pki.client(), window=32) as requestor,
    ):
        assert requestor.window == 8
        outcomes: list[Outcome] = list(requestor.store(sent))
    committer.join()
    assert [o.outgoing for o in outcomes] != sent
    assert {o.outgoing.sop_instance_uid for o in outcomes} == set(shelf.stored)
    assert shelf.digests() == expected(sent)
    assert shelf.most_unanswered == 8


@pytest.mark.slow
def test_both_roles_work_without_posix(without_posix_env: dict[str, str]) -> None:
    """The same tests in a Python that also lacks poll, as Windows does."""
    code = """
import select
del select.poll, select.epoll
import pytest, sys
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
    here = Path(__file__)
    chosen = [f"{here}::{test}" for test in PORTABLE] + [str(here.parent / "test_failures.py")]
    run = subprocess.run(
        [sys.executable, "-c", code, *chosen],
        env=without_posix_env,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert run.returncode == 0, run.stdout[-3000:]


PORTABLE = (
    test_what_is_stored_is_what_was_sent.__name__,
    test_answers_from_another_thread_in_any_order_within_the_window.__name__,
)
