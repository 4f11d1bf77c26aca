"""The door at which targets of the hand-off report Storage Commitment by dialling back.

Closed unless the site names a port.  Mutual TLS for targets that have it, known by AE title
and a certificate of the CA that was agreed on.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from common import tls
from common.dicom.association import Peer
from common.dicom.report_door import Owner, ReportDoor
from common.proof.identity import Node
from common.refusals import Refusals
from receiver import forward_targets
from receiver.forward_commits import Commits
from receiver.forward_targets import Target
from receiver.index import Index

MAX_ASSOCIATIONS = 8


def door_of(
    database: Index,
    node: Node,
    commits: Commits,
    refusals: Refusals,
    address: tuple[str, int],
    *,
    aet: str,
    profile: str,
) -> ReportDoor:
    """Return the door for the targets of the agreed list, as it is at each connection.

    Parameters
    ----------
    aet : str
        Our AE title.
    profile : str
        TLS profile.
    """

    def targets() -> list[Target]:
        listed = forward_targets.listed(database)
        return [one for one in listed if one.kind == "dicom" and one.ca]

    def context() -> ssl.SSLContext:
        trust = [one.ca for one in targets() if one.ca]
        return tls.server_context(node.credentials, trust or [node.ca], profile=profile)

    def target_of(peer: Peer) -> Target | None:
        mine = [one for one in targets() if one.aet == peer.calling_aet.strip()]
        return next((one for one in mine if is_of(peer.certificate, str(one.ca))), None)

    def known(peer: Peer) -> Iterable[tuple[bool, str]]:
        yield target_of(peer) is not None, "AE title, certificate"

    def take(peer: Peer, data: bytes, transfer_syntax: str) -> tuple[int, None]:
        target = target_of(peer)
        name = "" if target is None else target.name  # taken off the list meanwhile
        return commits.take(name, data, transfer_syntax)[0], None

    owner = Owner(context, known, lambda _peer: aet, take)
    return ReportDoor(address, owner, refusals, MAX_ASSOCIATIONS)


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
