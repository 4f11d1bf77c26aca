"""A door for reports of Storage Commitment from who was asked and dials back (PS3.4 annex J).

It takes nothing but N-EVENT-REPORT and C-ECHO, with mutual TLS, from whom its owner knows.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from common.dicom import commands, commitment
from common.dicom.association import (
    CALLED_UNKNOWN,
    Acceptor,
    Collecting,
    Incoming,
    Line,
    Peer,
    Writing,
)
from common.errors import ContextNotAccepted, PeerNotRegistered
from common.refusals import Refusals

_MAX_PENDING = 16


@dataclass(frozen=True, slots=True)
class Owner:
    """What a door does for whom it stands.

    Attributes
    ----------
    context : callable
        TLS context of a connection, as certificates and peers are now.
    known : callable
        What has to be true of a peer, each with the word for it where it is not.
    called : callable
        Our AE title towards a peer.
    take : callable
        Takes a report (its data set and transfer syntax) of a peer and returns the status of the
        answer, with what is to be done when that has been given.
    """

    context: Callable[[], ssl.SSLContext]
    known: Callable[[Peer], Iterable[tuple[bool, str]]]
    called: Callable[[Peer], str]
    take: Callable[[Peer, bytes, str], tuple[int, Callable[[], None] | None]]


class ReportDoor:
    """Acceptor for reports.

    Parameters
    ----------
    address : (str, int)
        Where it listens; port 0 takes any.

    Raises
    ------
    OSError
        The address cannot be listened at.
    """

    def __init__(
        self, address: tuple[str, int], owner: Owner, refusals: Refusals, max_associations: int
    ) -> None:
        self._owner = owner
        self._refusals = refusals
        self._acceptor = Acceptor(
            address,
            tls=owner.context,
            sink=_NoInstances(),
            admit=self.admit,
            refused=refusals.note,
            supported=lambda *_: False,
            services=self,
            max_associations=max_associations,
            max_pending=_MAX_PENDING,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and real port."""
        return self._acceptor.address

    def start(self) -> None:
        """Open the door."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close it."""
        self._acceptor.stop(2.0)
        self._refusals.close()

    def admit(self, peer: Peer) -> None:
        """Let in whom the owner knows, and nobody else whom a CA of theirs knows too.

        Raises
        ------
        PeerNotRegistered
        """
        for passed, cause in self._owner.known(peer):
            if not passed:
                self._refuse(peer, cause)
        if peer.called_aet.strip() != self._owner.called(peer):
            self._refuse(peer, "called AE title", reason=CALLED_UNKNOWN)

    def _refuse(self, peer: Peer, cause: str, **facts: int) -> NoReturn:
        self._refusals.note(peer.address, cause, peer.certificate)
        raise PeerNotRegistered(cause=cause, **facts)

    # -- the service --------------------------------------------------------

    def roles(self, abstract_syntax: str) -> tuple[bool, bool] | None:
        """Let the peer be SCP of Storage Commitment."""
        return (False, True) if abstract_syntax == commitment.SOP_CLASS else None

    def opened(self, _line: Line) -> None:
        """Nothing is told to a peer here."""

    def begin(self, line: Line, command: commands.Command, transfer_syntax: str) -> Writing:
        """Take a report."""
        refused = commitment.report_fault(command)

        def came(data: bytes, answer: Callable[[int], None]) -> None:
            status, after = refused, None
            if status is None:
                status, after = self._owner.take(line.peer, data, transfer_syntax)
            answer(status)
            if after is not None:
                after()

        return Collecting(came)


class _NoInstances:
    """The sink of a door that no instance comes through."""

    def begin(self, incoming: Incoming) -> NoReturn:
        raise ContextNotAccepted(cause=incoming.sop_class_uid)
