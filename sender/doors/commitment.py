"""The door for reports of Storage Commitment from a partner that dials back.

Closed unless the partner's entry names an address; then mutual TLS with our
certificate for that partner and its CA, for its certificate and AE title alone.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import audit, tls
from common.addresses import split_address
from common.dicom.association import Peer
from common.dicom.report_door import Owner, ReportDoor
from common.errors import UsageError
from common.refusals import Refusals
from sender.commitment import commit_late
from sender.partners import Partner, find_partner, load_partners
from sender.transactions import Transactions, open_transactions

if TYPE_CHECKING:
    from sender.engine import Engine

MAX_ASSOCIATIONS = 4


def door_of(
    data: Path,
    key: str,
    known: Transactions,
    trail: audit.Trail,
    *,
    profile: str,
    reported: Callable[[str], None],
) -> ReportDoor:
    """Return the door for one partner, as its entry is at each connection.

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

    def context() -> ssl.SSLContext:
        partner = find_partner(data, key)
        return tls.server_context(
            partner.credentials,
            [partner.ca],
            profile=profile,
            strict=not partner.leaf,
            lists=partner.lists(),
        )

    def is_known(peer: Peer) -> Iterable[tuple[bool, str]]:
        partner = find_partner(data, key)
        yield is_partners(partner, peer.certificate), "certificate"
        yield peer.calling_aet.strip() == partner.aet, "AE title"

    def take(
        _peer: Peer, message: bytes, transfer_syntax: str
    ) -> tuple[int, Callable[[], None] | None]:
        status, transfer = known.take_message(key, message, transfer_syntax)
        return status, None if transfer is None else partial(reported, transfer)

    address = split_address(find_partner(data, key).commit_listen, "--commit-listen")
    owner = Owner(context, is_known, lambda _peer: find_partner(data, key).calling_aet, take)
    try:
        return ReportDoor(address, owner, Refusals(trail, door=key), MAX_ASSOCIATIONS)
    except OSError as failure:
        cause = f"{key} --commit-listen {address[0]}:{address[1]}: {failure.strerror}"
        raise UsageError(cause=cause) from failure


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
                door = door_of(
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
