"""The door at which targets of the hand-off report Storage Commitment by dialling back.

Closed unless the site names a port.  Mutual TLS for targets that have it, known by AE title
and a certificate of the CA that was agreed on; it takes nothing but N-EVENT-REPORT and C-ECHO.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from common import tls
from common.dicom import commitment
from common.dicom.association import (
    CALLED_UNKNOWN,
    Acceptor,
    Collecting,
    Incoming,
    Line,
    Peer,
    Writing,
)
from common.dicom.commands import Command
from common.errors import ContextNotAccepted, PeerNotRegistered
from common.proof.identity import Node
from common.refusals import Refusals
from receiver import forward_targets
from receiver.forward_commits import Commits, fault_of
from receiver.forward_targets import Target
from receiver.index import Index


class ReportDoor:
    """Acceptor for the targets of the agreed list.

    Parameters
    ----------
    aet : str
        Our AE title.
    profile : str
        TLS profile.
    """

    def __init__(
        self,
        database: Index,
        node: Node,
        commits: Commits,
        refusals: Refusals,
        address: tuple[str, int],
        *,
        aet: str,
        profile: str,
    ) -> None:
        self._index = database
        self._node = node
        self._commits = commits
        self._refusals = refusals
        self._aet = aet
        self._profile = profile
        self._acceptor = Acceptor(
            address,
            tls=self._context,
            sink=_NoInstances(),
            admit=self.admit,
            refused=refusals.note,
            supported=lambda *_: False,
            services=self,
            max_associations=8,
            max_pending=16,
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

    def _targets(self) -> list[Target]:
        """Return the targets that may dial, as the list is now."""
        return [
            one for one in forward_targets.listed(self._index) if one.kind == "dicom" and one.ca
        ]

    def _context(self) -> ssl.SSLContext:
        trust = [one.ca for one in self._targets() if one.ca]
        own = self._node.credentials
        return tls.server_context(own, trust or [self._node.ca], profile=self._profile)

    def admit(self, peer: Peer) -> None:
        """Let a target of the list in, and nobody else whom a CA of it knows.

        Raises
        ------
        PeerNotRegistered
        """
        checks = (
            (self._target(peer) is not None, "AE title, certificate", None),
            (peer.called_aet.strip() == self._aet, "called AE title", CALLED_UNKNOWN),
        )
        for passed, cause, reason in checks:
            if not passed:
                self._refusals.note(peer.address, cause, peer.certificate)
                facts = {} if reason is None else {"reason": reason}
                raise PeerNotRegistered(cause=cause, **facts)

    def _target(self, peer: Peer) -> Target | None:
        mine = [one for one in self._targets() if one.aet == peer.calling_aet.strip()]
        return next((one for one in mine if is_of(peer.certificate, str(one.ca))), None)

    # -- the service --------------------------------------------------------

    def roles(self, abstract_syntax: str) -> tuple[bool, bool] | None:
        """Let the target be SCP of Storage Commitment."""
        return (False, True) if abstract_syntax == commitment.SOP_CLASS else None

    def opened(self, _line: Line) -> None:
        """Nothing is told to a target here."""

    def begin(self, line: Line, command: Command, transfer_syntax: str) -> Writing:
        """Take a report."""
        refused = fault_of(command)
        target = self._target(line.peer)

        def came(data: bytes, answer: Callable[[int], None]) -> None:
            status = refused
            if status is None:
                name = "" if target is None else target.name  # taken off the list meanwhile
                status, _ = self._commits.take(name, data, transfer_syntax)
            answer(status)

        return Collecting(came)


class _NoInstances:
    """The sink of a door that no instance comes through."""

    def begin(self, incoming: Incoming) -> NoReturn:
        raise ContextNotAccepted(cause=incoming.sop_class_uid)


def is_of(certificate: bytes | None, authority: str) -> bool:
    """Tell whether a certificate, whose chain is proved, is of this CA, or is what was entered."""
    if certificate is None:
        return False
    if tls.fingerprint(certificate) == tls.fingerprint_of_pem(authority):
        return True
    try:
        issuer = x509.load_pem_x509_certificate(authority.encode("ascii"))
        x509.load_der_x509_certificate(certificate).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
