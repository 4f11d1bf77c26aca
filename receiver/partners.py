"""Who may send: a peer is certificate, AE title and institution together (NET-06)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from common import tls
from common.errors import PeerNotRegistered
from receiver import index
from receiver.index import Index

_partners = index.partners


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
    """
    if der is None:
        raise PeerNotRegistered(cause="no certificate")
    code = tls.peer_institution(der, authority)
    known = _partners.c.fingerprint == tls.fingerprint(der)
    if code is not None:
        known = (_partners.c.code == code) & (_partners.c.kind == "todoke")
    with db_index.read() as db:
        row = db.execute(select(_partners).where(known)).first()
    if row is None:
        raise PeerNotRegistered(cause=tls.fingerprint(der)[:16])
    return row


def trusted(db_index: Index, authority: str) -> list[str]:
    """Return the CA certificates (PEM) whose leaves may open a connection."""
    with db_index.read() as db:
        rows = db.execute(select(_partners.c.ca).where(_partners.c.ca.is_not(None)))
        return [authority, *(str(ca) for (ca,) in rows)]
