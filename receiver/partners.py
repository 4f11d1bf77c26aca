"""Who may send: a peer is certificate, AE title and institution together (NET-06)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from common import tls
from common.errors import CertificateRevoked, PeerNotRegistered
from common.proof.revocation import revoked_words
from receiver import index
from receiver.index import Index

_partners = index.partners
_certificates = index.certificates

# asked with every request and every image, so made once
_TODOKE = select(_partners).where(
    _partners.c.code == bindparam("named"), _partners.c.kind == "todoke"
)
_PRODUCT = select(_partners).where(_partners.c.fingerprint == bindparam("print"))
_SHOWN = select(_certificates.c.fingerprint, _certificates.c.revoked_at).where(
    _certificates.c.institution == bindparam("named")
)


def of_certificate(db_index: Index, der: bytes | None, authority: str) -> Row[Any]:
    """Return the partner that a client certificate stands for.

    Parameters
    ----------
    der : bytes or None
        Leaf certificate of the TLS connection.
    authority : str
        PEM of our own CA, which issues the certificates of todoke senders; the
        leaves of other products are known one by one.

    Raises
    ------
    PeerNotRegistered
        No certificate, or nobody's that we know.
    CertificateRevoked
        The partner's, and no longer good.
    """
    if der is None:
        raise PeerNotRegistered(cause="no certificate")
    code = tls.peer_institution(der, authority)
    with db_index.read() as db:
        if code is not None:
            row = db.execute(_TODOKE, {"named": code}).first()
        else:
            row = db.execute(_PRODUCT, {"print": tls.fingerprint(der)}).first()
        if row is None:
            raise PeerNotRegistered(cause=tls.fingerprint(der)[:16])
        _check_revoked(db, str(row.code), der)
    return row


def check_revoked(db_index: Index, code: str, der: bytes) -> None:
    """Refuse a certificate that was revoked, and every one of a partner that has no other.

    A partner that was paired before certificates were listed has none here.

    Raises
    ------
    CertificateRevoked
    """
    with db_index.read() as db:
        _check_revoked(db, code, der)


def _check_revoked(db: Connection, code: str, der: bytes) -> None:
    rows = db.execute(_SHOWN, {"named": code}).all()
    own = next((row for row in rows if row.fingerprint == tls.fingerprint(der)), None)
    last = max((row.revoked_at or "" for row in rows), default="")
    if own is not None and own.revoked_at:
        raise CertificateRevoked(cause=revoked_words(own.revoked_at[:10]))
    if rows and all(row.revoked_at for row in rows):
        raise CertificateRevoked(cause=revoked_words(last[:10]))


def trusted(db_index: Index, authority: str) -> list[str]:
    """Return the CA certificates (PEM) whose leaves may open a connection."""
    with db_index.read() as db:
        rows = db.execute(select(_partners.c.ca).where(_partners.c.ca.is_not(None)))
        return [authority, *(str(ca) for (ca,) in rows)]
