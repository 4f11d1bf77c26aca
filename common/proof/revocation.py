"""Revocation lists (RFC 5280 section 5): made by a receiver's CA, read from anybody's.

A list lives :data:`LIST_DAYS`.  The receiver writes a new one every day and after
every revocation; a list at half its age is therefore a sign of trouble, and one
past its end proves nothing: whoever it should vouch for is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from common import tls
from common.errors import CertificateRevoked, RevocationListUnusable
from common.proof.certificates import Authority

LIST_DAYS = 7.0
RENEWED = timedelta(days=1)  # age at which the receiver's own list is written anew
_SKEW = timedelta(hours=1)  # a clock that is put back must not stop every partner


class Age(StrEnum):
    """What a list is worth; the words of status and audit trail."""

    FRESH = "fresh"
    HALF = "half"  # past half its life: still good, and nobody renewed it
    STALE = "stale"
    FUTURE = "future"  # a clock is wrong


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list whose signature was checked.

    Parameters
    ----------
    pem : str
    issued, until : datetime
        thisUpdate and nextUpdate, aware.
    serials : dict
        Serial number of each revoked certificate to the moment of its revocation.
    number : int
        CRL number (RFC 5280 section 5.2.3), 0 without.
    """

    pem: str
    issued: datetime
    until: datetime
    serials: Mapping[int, datetime]
    number: int

    def age(self, now: datetime) -> Age:
        """Return what the list is worth at a moment."""
        if now < self.issued:
            return Age.FUTURE
        if now >= self.until:
            return Age.STALE
        return Age.HALF if now - self.issued > (self.until - self.issued) / 2 else Age.FRESH

    def check_age(self, now: datetime) -> None:
        """Refuse a list that is not good at this moment.

        Raises
        ------
        RevocationListUnusable
        """
        if (age := self.age(now)) in (Age.STALE, Age.FUTURE):
            raise RevocationListUnusable(
                cause=f"失効リスト / revocation list: {age}, {self.until:%Y-%m-%d %H:%M} UTC"
            )

    def check(self, leaf: x509.Certificate, now: datetime) -> None:
        """Refuse a certificate that is on the list, or that a list past its end says nothing of.

        Raises
        ------
        CertificateRevoked
        RevocationListUnusable
            Not good at this moment.
        """
        at = self.serials.get(leaf.serial_number)
        if at is not None:
            raise CertificateRevoked(cause=revoked_words(f"{at:%Y-%m-%d}"))
        self.check_age(now)


def revoked_words(day: str) -> str:
    """Return the cause of a refusal, for peer and audit trail."""
    return f"失効 / revoked {day}"


def make_list(
    authority: Authority,
    serials: Mapping[int, datetime],
    *,
    number: int = 1,
    now: datetime | None = None,
    days: float = LIST_DAYS,
) -> str:
    """Return a CA's revocation list, PEM.

    Parameters
    ----------
    authority : Authority
    serials : dict
        Serial number to the moment of revocation, aware.
    number : int
        Greater than that of the list before.
    now : datetime, optional
        Moment of issue, aware.
    days : float
        Life from `now`.
    """
    now = now or datetime.now(UTC)
    key_identifier = authority.certificate.extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    ).value
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - _SKEW)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(number), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_identifier), False
        )
    )
    for serial, at in serials.items():
        row = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
        builder = builder.add_revoked_certificate(row.build())
    made = builder.sign(authority.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def read_list(path: Path, authority: str) -> RevocationList:
    """Read a list from a file, PEM or DER, if `authority` signed it.

    Parameters
    ----------
    path : Path
    authority : str
        PEM of the CA whose list it must be.

    Raises
    ------
    RevocationListUnusable
        Missing, not a list, without an end, or signed by another CA.
    """
    try:
        data = path.read_bytes()
    except OSError as failure:
        raise RevocationListUnusable(cause=f"{path}: {failure.strerror}") from failure
    try:
        pem = data.startswith(b"-----BEGIN")
        found = (x509.load_pem_x509_crl if pem else x509.load_der_x509_crl)(data)
        ca = x509.load_pem_x509_certificate(authority.encode())
        key = ca.public_key()
        # an own CA signs with a key of these kinds, or the list is refused (TypeError)
        genuine = found.issuer == ca.subject and found.is_signature_valid(key)  # type: ignore[arg-type]
        until = found.next_update_utc
    except (ValueError, TypeError, InvalidSignature) as failure:
        raise RevocationListUnusable(cause=f"{path}: {type(failure).__name__}") from failure
    if not genuine or until is None:
        raise RevocationListUnusable(cause=f"{path}: issuer, signature or nextUpdate")
    return RevocationList(
        found.public_bytes(serialization.Encoding.PEM).decode(),
        found.last_update_utc,
        until,
        {row.serial_number: row.revocation_date_utc for row in found},
        _number(found),
    )


class Files:
    """Lists by their files: read again when they change, and kept when that cannot be read.

    One that was swapped for a broken file is used on until its own end; one that
    is gone is refused.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[Path, str], tuple[Hashable, RevocationList]] = {}

    def get(self, path: Path, authority: str) -> RevocationList:
        """Return the list of a file; raises as :func:`read_list`."""
        key, seen = (path, authority), tls.stamp([path])
        with self._lock:
            before = self._kept.get(key)
        if before is not None and before[0] == seen:
            return before[1]
        try:
            found = read_list(path, authority)
        except RevocationListUnusable:
            if before is None or not path.exists():
                raise
            return before[1]
        with self._lock:
            self._kept[key] = seen, found
        return found


#: Of this process; for what is asked anew with each connection.
kept = Files()


def _number(found: x509.CertificateRevocationList) -> int:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
