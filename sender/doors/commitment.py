"""The door for reports of Storage Commitment from a partner that dials back.

Closed unless the partner's entry names an address; then mutual TLS with our
certificate for that partner and its CA, for its certificate and AE title alone,
and for nothing but N-EVENT-REPORT and C-ECHO.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from common import audit, tls
from common.addresses import split_address
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
from common.errors import ContextNotAccepted, PeerNotRegistered, UsageError
from common.refusals import Refusals
from sender.commitment import commit_late
from sender.partners import Partner, find_partner, load_partners
from sender.transactions import Transactions, open_transactions, report_fault

if TYPE_CHECKING:
    from sender.engine import Engine


class CommitmentDoor:
    """Acceptor for one partner.

    Parameters
    ----------
    profile : str
        TLS profile.
    reported : callable
        Told the transfer that a report was taken for.

    Raises
    ------
    UsageError
        The address cannot be listened at.
    """

    def __init__(
        self,
        data: Path,
        key: str,
        known: Transactions,
        trail: audit.Trail,
        *,
        profile: str,
        reported: Callable[[str], None],
    ) -> None:
        self._data = data
        self._key = key
        self._known = known
        self._refusals = Refusals(trail, door=key)
        self._profile = profile
        self._reported = reported
        address = split_address(self._partner().commit_listen, "--commit-listen")
        try:
            self._acceptor = Acceptor(
                address,
                tls=self._context,
                sink=_NoInstances(),
                admit=self.admit,
                refused=self._refusals.note,
                supported=lambda *_: False,
                services=self,
                max_associations=4,
                max_pending=16,
            )
        except OSError as failure:
            cause = f"{key} --commit-listen {address[0]}:{address[1]}: {failure.strerror}"
            raise UsageError(cause=cause) from failure

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

    def _partner(self) -> Partner:
        """Return the partner as its entry is now."""
        return find_partner(self._data, self._key)

    def _context(self) -> ssl.SSLContext:
        partner = self._partner()
        return tls.server_context(
            partner.credentials,
            [partner.ca],
            profile=self._profile,
            strict=not partner.leaf,
            lists=partner.lists(),
        )

    def admit(self, peer: Peer) -> None:
        """Let the partner in, and nobody else whom its CA knows too.

        Raises
        ------
        PeerNotRegistered
        """
        partner = self._partner()
        checks = (
            (is_partners(partner, peer.certificate), "certificate", None),
            (peer.calling_aet.strip() == partner.aet, "AE title", None),
            (peer.called_aet.strip() == partner.calling_aet, "called AE title", CALLED_UNKNOWN),
        )
        for passed, cause, reason in checks:
            if not passed:
                self._refusals.note(peer.address, cause, peer.certificate)
                facts = {} if reason is None else {"reason": reason}
                raise PeerNotRegistered(cause=cause, **facts)

    # -- the service --------------------------------------------------------

    def roles(self, abstract_syntax: str) -> tuple[bool, bool] | None:
        """Let the partner be SCP of Storage Commitment."""
        return (False, True) if abstract_syntax == commitment.SOP_CLASS else None

    def opened(self, _line: Line) -> None:
        """Nothing is told to a partner here."""

    def begin(self, _line: Line, command: Command, transfer_syntax: str) -> Writing:
        """Take a report."""
        refused = report_fault(command)

        def came(data: bytes, answer: Callable[[int], None]) -> None:
            status, transfer = refused, None
            if status is None:
                status, transfer = self._known.take_message(self._key, data, transfer_syntax)
            answer(status)
            if transfer is not None:
                self._reported(transfer)

        return Collecting(came)


class _NoInstances:
    """The sink of a door that no instance comes through."""

    def begin(self, incoming: Incoming) -> NoReturn:
        raise ContextNotAccepted(cause=incoming.sop_class_uid)


def is_partners(partner: Partner, certificate: bytes | None) -> bool:
    """Tell whether a certificate, whose chain is proved, is this partner's own.

    Its CA may have others: it is the one that was pinned, or names the host that
    we dial.
    """
    from cryptography import x509

    if certificate is None:
        return False
    if partner.leaf:
        return tls.fingerprint(certificate) == partner.leaf
    try:
        names = (
            x509.load_der_x509_certificate(certificate)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except (ValueError, x509.ExtensionNotFound):
        return False
    hosts = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    host = partner.host.lower()
    with suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return host in hosts | addresses


@contextmanager
def open_doors(engine: Engine) -> Iterator[list[dict[str, Any]]]:
    """Open the door of each partner whose entry names an address; give the addresses."""
    partners = [one for one in load_partners(engine.data) if one.commit_listen]
    words: list[dict[str, Any]] = []
    with ExitStack() as opened:
        if partners:
            known = opened.enter_context(open_transactions(engine.outbox.path))
            trail = opened.enter_context(closing(audit.Trail(engine.data / "audit", "commitment")))

            def reported(transfer: str) -> None:
                commit_late(engine.outbox, known, transfer)
                engine.look_again(transfer)

            for partner in partners:
                door = CommitmentDoor(
                    engine.data,
                    partner.key,
                    known,
                    trail,
                    profile=engine.settings.profile,
                    reported=reported,
                )
                door.start()
                opened.callback(door.stop)
                host, port = door.address
                words.append({"partner": partner.key, "address": host, "port": port})
        yield words
