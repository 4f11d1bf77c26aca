"""TLS certificates that are about to end: when a new one is due, and how it takes its place.

The certificate before stays good until its own end, so nothing waits for the
change: what is open goes on, and the next handshake shows the new one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from common import durable
from common.proof import certificates
from common.tls import Credentials

RENEW_DAYS = 60  # days before its end that a new certificate is asked for
WARN_DAYS = (60, 30, 7)  # NET-11


def since(now: datetime) -> datetime:
    """Return when the life of a leaf begins that follows another: as early as that one may have.

    A clock that runs ahead renews too early; what it makes is to be valid for the others.
    """
    return now - timedelta(days=certificates.LEAF_DAYS)


def leaf_of(own: Credentials) -> x509.Certificate:
    """Return the certificate that is shown.

    Raises
    ------
    ProtocolError
        The file holds none.
    OSError
    """
    return certificates.from_pem(own.chain.read_text("ascii"))


def days_left(leaf: x509.Certificate, now: datetime | None = None) -> int:
    """Return the whole days that a certificate has left; negative once it has ended."""
    return (leaf.not_valid_after_utc - (now or datetime.now(UTC))).days


def warning(days: int) -> int | None:
    """Return the smallest of :data:`WARN_DAYS` that is reached, None while there is time."""
    reached = [limit for limit in WARN_DAYS if days < limit]
    return min(reached) if reached else None


def replace_pair(own: Credentials, key: bytes, chain: str) -> None:
    """Put a key and its chain in the place of those before.

    Two files cannot be renamed at once: both lie beside their places first, so
    that :func:`finish` can complete what a power failure interrupted.
    """
    durable.save(_next(own).key, key, private=True)
    durable.save(_next(own).chain, chain.encode())
    finish(own)


def finish(own: Credentials) -> None:
    """Complete a replacement that was interrupted; nothing to do otherwise."""
    coming = _next(own)
    if not coming.chain.exists():
        return  # a key alone was never promised to anybody
    if coming.key.exists():
        durable.publish(coming.key, own.key)
    durable.publish(coming.chain, own.chain)


def _next(own: Credentials) -> Credentials:
    return Credentials(
        own.key.with_name(own.key.name + ".next"), own.chain.with_name(own.chain.name + ".next")
    )
