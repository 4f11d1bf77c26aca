"""Revocation lists at the receiver's doors: our own, written anew by itself, and those given.

The index is the truth about our own certificates and is asked with every request
and instance; the list says the same to OpenSSL, during the handshake, and to
whoever else believes our CA.  A product whose CA is another is checked against
the list that was given for it, if one was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Row, select

from common import durable, tls
from common.errors import RevocationListUnusable
from common.proof import revocation
from common.proof.identity import Node
from common.proof.revocation import Age, Files
from receiver import index
from receiver.index import Index

Clock = Callable[[], datetime]
_partners, _lists = index.partners, index.revocation_lists
_writing = threading.Lock()


def utc() -> datetime:
    """Return the moment, aware."""
    return datetime.now(UTC)


def renew(node: Node, db_index: Index, *, now: datetime | None = None) -> bool:
    """Write our CA's list anew if it is a day old, lacks a certificate or cannot be read.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    StorageError
    """
    now = now or utc()
    with _writing:
        due = _revoked(db_index)
        number = int(now.timestamp())
        try:
            before = revocation.read_list(node.revocation_list, node.ca)
        except RevocationListUnusable:
            pass
        else:
            # what was revoked once stays so, whatever becomes of the index
            due = dict(before.serials) | due
            number = max(number, before.number + 1)
            young = before.age(now) is Age.FRESH and now < before.issued + revocation.RENEWED
            if young and due.keys() == before.serials.keys():
                return False
        made = revocation.make_list(node.authority, due, number=number, now=now)
        durable.save(node.revocation_list, made.encode())
        return True


def _revoked(db_index: Index) -> dict[int, datetime]:
    rows = index.certificates
    wanted = rows.c.revoked_at.is_not(None) & rows.c.serial.is_not(None)
    with db_index.read() as db:
        found = db.execute(select(rows.c.serial, rows.c.revoked_at).where(wanted)).all()
    return {int(serial, 16): datetime.fromisoformat(at) for serial, at in found}


@dataclass(frozen=True, slots=True)
class Standing:
    """One list, for status and alarms."""

    of: str  # institution code, or "" for our own CA
    path: str
    age: str  # an Age, or "unusable"
    until: str | None
    cause: str = ""


class Lists:
    """The lists that the doors go by; a file is read again when it has changed.

    Parameters
    ----------
    authority : str
        PEM of our own CA.
    own : Path
        Its list.
    clock : callable
        The moment, aware.
    """

    def __init__(self, db_index: Index, authority: str, own: Path, clock: Clock = utc) -> None:
        self._index = db_index
        self._authority = authority
        self._own = own
        self._clock = clock
        self._files = Files()

    def check(self, partner: Row[Any], der: bytes | None) -> None:
        """Refuse a partner's certificate that the list of its CA does not clear.

        Raises
        ------
        CertificateRevoked
        RevocationListUnusable
            Missing, or past its end.
        """
        path, authority = self._own, self._authority
        if partner.ca:
            with self._index.read() as db:
                given = db.execute(
                    select(_lists.c.path).where(_lists.c.institution == partner.code)
                ).scalar()
            if given is None:
                return
            path, authority = Path(given), str(partner.ca)
        self._files.get(path, authority).check(_leaf(der or b""), self._clock())

    def pems(self) -> list[str]:
        """Return the lists for the handshake: one of each CA that is trusted, or none at all.

        OpenSSL would refuse every leaf of a CA without one, and a product that was
        entered without a list is known by its very certificate.

        Raises
        ------
        RevocationListUnusable
            Our own is missing.
        """
        found = []
        for path, authority in self._wanted():
            if path is None:
                return []
            try:
                found.append(self._files.get(path, authority).pem)
            except RevocationListUnusable:
                if path == self._own:
                    raise
                continue  # whose leaves OpenSSL then refuses
        return found

    def own(self) -> str:
        """Return the list of our own CA; raises as :meth:`pems`."""
        return self._files.get(self._own, self._authority).pem

    def stamp(self) -> Hashable:
        """Return what changes when a list does."""
        return tls.stamp(path for path, _ in self._wanted() if path is not None)

    def standings(self) -> list[Standing]:
        """Return what each list is worth now."""
        with self._index.read() as db:
            rows = db.execute(
                select(_lists, _partners.c.ca).join(
                    _partners, _partners.c.code == _lists.c.institution
                )
            ).all()
        given = [(row.institution, Path(row.path), str(row.ca)) for row in rows]
        return [self._standing(*one) for one in [("", self._own, self._authority), *given]]

    def _standing(self, of: str, path: Path, authority: str) -> Standing:
        try:
            found = revocation.read_list(path, authority)
        except RevocationListUnusable as error:
            return Standing(of, str(path), "unusable", None, str(error.facts.get("cause")))
        return Standing(of, str(path), found.age(self._clock()), found.until.isoformat())

    def _wanted(self) -> list[tuple[Path | None, str]]:
        with self._index.read() as db:
            rows = db.execute(
                select(_partners.c.ca, _lists.c.path)
                .outerjoin(_lists, _lists.c.institution == _partners.c.code)
                .where(_partners.c.ca.is_not(None))
            ).all()
        given = [(Path(row.path) if row.path else None, str(row.ca)) for row in rows]
        return [(self._own, self._authority), *given]


@lru_cache(maxsize=256)
def _leaf(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


def is_trouble(standing: Standing) -> bool:
    """Tell whether somebody has to do something about a list."""
    return standing.age != Age.FRESH
