"""The only builder of :class:`ssl.SSLContext`.

Two profiles.  ``jp-high13`` speaks TLS 1.3 alone (the Japanese guidelines'
高セキュリティ型 with client certificates); ``dicom-b12`` adds TLS 1.2 with
ephemeral keys and AEAD ciphers for products that know nothing newer (PS3.15
B.12, BCP 195).  Every chain is checked strictly (RFC 5280), so certificates
need key identifiers and key usage; :mod:`common.proof.certificates` makes them
so.  A certificate alone says only *known to the CA*: which institution it is,
the caller decides with :func:`peer_institution` and its table of partners.
Certificates and revocation lists change without a restart: a listener's context
is :class:`Following`.
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from common.errors import PeerCertificateRefused, SettingsError, TodokeError

Profile = Literal["jp-high13", "dicom-b12"]
PROFILES: tuple[Profile, ...] = ("jp-high13", "dicom-b12")

#: TLS 1.2 only; with the three suites of TLS 1.3 these are all that is offered (NET-02).  The
#: level refuses RSA below 2048 bit and SHA-1 in certificates, whatever a distribution allows.
CIPHERS_12 = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"

#: What an alarm says when a file cannot be used.
KEPT = (
    "新しい証明書か失効リストが使えず、前のものを使い続けます / kept the certificate or list before"
)

HALF_DONE = 1.0  # seconds in which a key and its certificate are replaced one after the other

#: Subject Alternative Name (URI) by which the receiver's CA names a sender's institution.
INSTITUTION_URN = "urn:todoke:institution:"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Key and chain of one TLS certificate; :mod:`ssl` loads them from files only.

    Parameters
    ----------
    key : Path
        PEM, readable by the owner alone.
    chain : Path
        PEM, leaf first.
    """

    key: Path
    chain: Path


def server_context(
    own: Credentials,
    trust: Iterable[str] = (),
    *,
    profile: str = "jp-high13",
    client_required: bool = True,
    strict: bool = True,
    lists: Iterable[str] = (),
) -> ssl.SSLContext:
    """Return the context of a listener.

    Parameters
    ----------
    own : Credentials
        What the listener shows.
    trust : iterable of str
        CA certificates (PEM) whose leaves may connect; nothing else is trusted.
    profile : {'jp-high13', 'dicom-b12'}
    client_required : bool
        False only for pairing and viewer, where no certificate exists yet.
    strict : bool
        False only where `trust` is the very certificate of a product, entered by
        hand, as for ``check_host`` of :func:`client_context`.
    lists : iterable of str
        Revocation lists (PEM), one of each CA in `trust`: a leaf whose CA has none
        here, or one past its end, is refused.  None at all checks nothing.

    Raises
    ------
    SettingsError
        The profile is not known, or a client is required and nobody trusted.
    PeerCertificateRefused
        A file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, profile)
    _present(context, own)
    if client_required:
        context.verify_mode = ssl.CERT_REQUIRED
        if not strict:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        _trust(context, trust, lists)
        # a resumed session would outlive the certificate it began with
        context.num_tickets = 0
    return context


def client_context(
    own: Credentials | None,
    trust: Iterable[str],
    *,
    profile: str = "jp-high13",
    check_host: bool = True,
    lists: Iterable[str] = (),
) -> ssl.SSLContext:
    """Return the context of a connection that we open.

    Parameters
    ----------
    own : Credentials, optional
        What we show; None only towards the pairing door.
    trust : iterable of str
        CA certificates (PEM), the peer's only.
    profile : {'jp-high13', 'dicom-b12'}
    check_host : bool
        False only for DICOM products whose certificate names no host.  `trust`
        is then that very certificate, entered by hand; what a strict check would
        find amiss in it (products make such) is no matter.
    lists : iterable of str
        As for :func:`server_context`.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, profile)
    context.check_hostname = check_host
    if not check_host:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    _trust(context, trust, lists)
    if own is not None:
        _present(context, own)
    return context


def public_context(authority: str = "") -> ssl.SSLContext:
    """Return the context of a connection to a server that is no partner: mail, a webhook.

    Parameters
    ----------
    authority : str
        File of CA certificates (PEM) that it is trusted by; empty: those of this system.

    Raises
    ------
    SettingsError
        The file holds none.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, "dicom-b12")
    if not authority:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=authority)
    except (OSError, ssl.SSLError) as failure:
        raise SettingsError(path=authority, key="CA", cause=str(failure)) from failure
    return context


def unverified_context() -> ssl.SSLContext:
    """Return a context that believes anybody.

    For one purpose: fetching the CA certificate, which is then compared with
    the fingerprint of the invitation.  Nothing secret goes over it.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, "jp-high13")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def facts(connection: Any) -> dict[str, Any] | None:
    """Return what a record states of a TLS connection; None where it is none.

    Parameters
    ----------
    connection : ssl.SSLSocket or ssl.SSLObject or None
        After its handshake, at the end that dialled.

    Returns
    -------
    dict
        ``version``, ``cipher``, and ``certificates`` with the SHA-256 of the receiver's leaf.
    """
    if not isinstance(connection, ssl.SSLSocket | ssl.SSLObject):
        return None
    try:
        der, cipher = connection.getpeercert(binary_form=True), connection.cipher()
    except ValueError:  # it is closed by now
        return None
    return {
        "version": connection.version() or "",
        "cipher": cipher[0] if cipher else "",
        "certificates": {"receiver": fingerprint(der) if der else ""},
    }


def fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a DER certificate, 64 lower-case hex digits."""
    return hashlib.sha256(der).hexdigest()


def fingerprint_of_pem(pem: str) -> str:
    """Return :func:`fingerprint` of the first certificate in `pem`.

    Raises
    ------
    PeerCertificateRefused
        There is no certificate in it.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    _, found, rest = pem.partition(begin)
    body, closed, _ = rest.partition(end)
    if not (found and closed):
        raise PeerCertificateRefused(cause="PEM")
    try:
        return fingerprint(ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}"))
    except ValueError as failure:
        raise PeerCertificateRefused(cause="PEM") from failure


@lru_cache(maxsize=256)  # asked for with every instance, and always the same
def peer_institution(der: bytes, authority: str) -> str | None:
    """Return the institution code that `authority` gave to a peer's certificate.

    The issuer is checked again here: a listener may also trust the CA of
    another product, and that CA must not be able to name our partners.

    Parameters
    ----------
    der : bytes
        The peer's leaf.
    authority : str
        PEM of our own CA, the only one that may give institution codes.

    Returns
    -------
    str or None
        Ten digits; None if the certificate is not from `authority` or names
        no single institution.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    from common.proof.certificates import institution_of

    try:
        leaf = x509.load_der_x509_certificate(der)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except (ValueError, TypeError, InvalidSignature):
        return None
    return institution_of(leaf)


def _context(side: int, profile: str) -> ssl.SSLContext:
    if profile not in PROFILES:
        raise SettingsError(path="settings", key="profile", cause=f"{profile}: {PROFILES}")
    context = ssl.SSLContext(side)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if profile == "jp-high13" else ssl.TLSVersion.TLSv1_2
    )
    context.set_ciphers(CIPHERS_12)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # a leaf may be trusted by itself, without all that its CA may issue besides
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _present(context: ssl.SSLContext, own: Credentials) -> None:
    try:
        context.load_cert_chain(own.chain, own.key)
    except (OSError, ssl.SSLError) as failure:
        raise PeerCertificateRefused(cause=f"{own.chain}: {failure}") from failure


def _trust(context: ssl.SSLContext, trust: Iterable[str], lists: Iterable[str]) -> None:
    pems = "\n".join(trust)
    if not pems.strip():
        raise SettingsError(path="settings", key="trust", cause="no CA certificate")
    revoked = "\n".join(lists)
    try:
        context.load_verify_locations(cadata=pems)
        if revoked:
            _load_lists(context, revoked)
    except (ssl.SSLError, ValueError) as failure:
        raise PeerCertificateRefused(cause=f"CA: {failure}") from failure


def _load_lists(context: ssl.SSLContext, lists: str) -> None:
    """Give OpenSSL the lists, which :mod:`ssl` reads from a file only, and have it check."""
    with tempfile.NamedTemporaryFile("w", suffix=".crl", delete=False) as file:
        file.write(lists)
    try:
        context.load_verify_locations(cafile=file.name)
    finally:
        Path(file.name).unlink()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def stamp(paths: Iterable[Path]) -> Hashable:
    """Return what changes when one of the files does: read no byte, cheap with every handshake."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            known = path.stat()
            found.append((known.st_mtime_ns, known.st_size, known.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)


class Following:
    """Gives a context that is built anew as soon as what it was made of has changed.

    What cannot be used changes nothing: the context before stays, and an alarm is
    given once for each such change.

    Parameters
    ----------
    build : callable
        Makes the context; a TodokeError when something in it cannot be used.
    stamp : callable
        Says by its answer whether anything has changed; asked with each handshake.
    alarm : callable
        Told the cause.
    clock : callable
        Seconds that only go on.

    Raises
    ------
    TodokeError
        There is nothing good to begin with.
    """

    def __init__(
        self,
        build: Callable[[], ssl.SSLContext],
        stamp: Callable[[], Hashable],
        alarm: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._stamp = stamp
        self._alarm = alarm
        self._clock = clock
        self._lock = threading.Lock()
        self._good = stamp()
        self._bad: tuple[Hashable, float, str] | None = None  # stamp, since, cause
        self._context = build()

    def __call__(self) -> ssl.SSLContext:
        """Return the context of the next handshake; from any thread."""
        with self._lock:
            seen = self._stamp()
            if seen == self._good:
                self._bad = None
            elif self._bad is None or self._bad[0] != seen:
                self._renew(seen)
            else:
                self._say()
            return self._context

    def _renew(self, seen: Hashable) -> None:
        try:
            self._context = self._build()
        except TodokeError as error:
            self._bad = seen, self._clock(), str(error)
        else:
            self._good, self._bad = seen, None

    def _say(self) -> None:
        """Give the alarm, unless key and certificate are just being replaced one after another."""
        if self._bad is not None and self._bad[2] and self._clock() - self._bad[1] >= HALF_DONE:
            cause = self._bad[2]
            self._bad = self._bad[0], self._bad[1], ""
            self._alarm(cause)
