"""A connection made while a job is read: used once while it is fresh, closed otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.dicom.association import Acceptor, Requestor
from common.errors import PeerUnreachable
from common.free_ports import free_ports
from sender.links.dialling import FRESH, Dialling
from tests.common.dicom.association.rig import (
    CT_CONTEXT,
    HOST,
    Pki,
    Refusals,
    Shelf,
    accepting,
    outgoing,
)


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(Path(tmp_path_factory.mktemp("pki")))


def send_one(acceptor: Acceptor, pki: Pki, dialling: Dialling) -> None:
    with Requestor.open(
        acceptor.address, tls=pki.client(), server_hostname=HOST, calling_aet="SENDER",
        called_aet="TODOKE", contexts=[CT_CONTEXT], reach=dialling.reach,
    ) as association:  # fmt: skip
        assert [one.status for one in association.store([outgoing(b"1234")])] == [0]


def test_it_is_used_once(pki: Pki) -> None:
    shelf, clock = Shelf(), Clock()
    with accepting(shelf, pki.server()) as acceptor:
        dialling = Dialling(acceptor.address, pki.client(), HOST, clock=clock)
        send_one(acceptor, pki, dialling)
        send_one(acceptor, pki, dialling)  # a second one is made anew
    assert len(shelf.stored) == 2


def test_one_that_has_waited_long_is_closed_and_made_anew(pki: Pki) -> None:
    shelf, clock, refusals = Shelf(), Clock(), Refusals()
    with accepting(shelf, pki.server(), refused=refusals) as acceptor:
        dialling = Dialling(acceptor.address, pki.client(), HOST, clock=clock)
        clock.now += FRESH
        send_one(acceptor, pki, dialling)
        refusals.wait()  # the peer saw it closed
    assert len(shelf.stored) == 1


def test_one_that_is_given_up_is_closed(pki: Pki) -> None:
    refusals = Refusals()
    with accepting(Shelf(), pki.server(), refused=refusals) as acceptor:
        dialling = Dialling(acceptor.address, pki.client(), HOST)
        dialling.give_up()
        refusals.wait()


def test_an_address_that_does_not_answer_is_told_as_ever(pki: Pki) -> None:
    (port,) = free_ports(1)
    dialling = Dialling(("127.0.0.1", port), pki.client(), HOST)
    with pytest.raises(PeerUnreachable):
        dialling.reach(("127.0.0.1", port), pki.client(), HOST, 5.0)
    dialling.give_up()  # and again: nothing is left to close
