"""Keys and certificates: the private CA of a receiver, and self-issued signing certificates.

ECDSA P-256 throughout.  Two kinds never mix: a *TLS certificate* comes from the
receiver's CA and lives 398 days; a *signing certificate* is issued by its own
key and lives as long as its signatures must be checked, so that no partner can
make one in another's name.  Extensions follow RFC 5280 strictly.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from common.errors import ProtocolError, UsageError
from common.tls import INSTITUTION_URN

LEAF_DAYS = 398  # what browsers still accept
CA_DAYS = 3650
SIGNING_DAYS = 20 * 365  # evidence outlives the machines it was made on
_SKEW = timedelta(hours=1)  # a partner's clock may lag

Key = ec.EllipticCurvePrivateKey
BOTH_ENDS: tuple[ObjectIdentifier, ...] = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
)


def new_key() -> Key:
    """Return a new ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: Key) -> bytes:
    """Return the key as unencrypted PKCS #8 PEM; save it private."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_from_pem(pem: bytes) -> Key:
    """Read a key of :func:`key_to_pem`."""
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProtocolError(cause="key is not ECDSA")
    return key


def to_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def to_pem(certificate: x509.Certificate) -> str:
    """Return the certificate as PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def from_pem(pem: str) -> x509.Certificate:
    """Read the first certificate of a PEM text.

    Raises
    ------
    ProtocolError
        It is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as failure:
        raise ProtocolError(cause="certificate cannot be read") from failure


def new_request(key: Key, common_name: str) -> str:
    """Return a certificate signing request (PKCS #10, PEM) for `key`."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name))
    request = builder.sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def requested_key(csr: str) -> ec.EllipticCurvePublicKey:
    """Return the public key of a request, once its own signature is checked.

    Nothing else is taken from a request: names are the issuer's to give.

    Raises
    ------
    ProtocolError
        Not a request, not ECDSA P-256, or not signed by its own key.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
    except ValueError as failure:
        raise ProtocolError(cause="CSR cannot be read") from failure
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ProtocolError(cause="CSR key is not ECDSA P-256")
    if not request.is_signature_valid:
        raise ProtocolError(cause="CSR signature")
    return key


def self_issued(
    key: Key, common_name: str, institution: str, *, now: datetime | None = None
) -> x509.Certificate:
    """Return a long-lived signing certificate, issued by its own key.

    Parameters
    ----------
    key : Key
        The signing key; it never serves TLS.
    common_name : str
        Name of the institution.
    institution : str
        Its code, written as Subject Alternative Name.
    """
    name = _name(common_name)
    builder = _builder(name, name, key.public_key(), SIGNING_DAYS, now)
    builder = (
        builder.add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_key_usage(digital_signature=True, content_commitment=True), True)
        .add_extension(_alternative_names([], institution), False)
    )
    return builder.sign(key, hashes.SHA256())


def check_self_issued(pem: str) -> x509.Certificate:
    """Return a partner's signing certificate if its own key issued it.

    Raises
    ------
    ProtocolError
        It is not ECDSA P-256, or somebody else issued it.
    """
    certificate = from_pem(pem)
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ProtocolError(cause="signing key is not ECDSA P-256")
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature) as failure:
        raise ProtocolError(cause="signing certificate is not self-issued") from failure
    return certificate


def institution_of(certificate: x509.Certificate) -> str | None:
    """Return the one institution code that a certificate names, None otherwise.

    What it is worth depends on who issued the certificate; see
    :func:`common.tls.peer_institution`.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return None
    codes = [uri.removeprefix(INSTITUTION_URN) for uri in uris if uri.startswith(INSTITUTION_URN)]
    return codes[0] if len(codes) == 1 else None


@dataclass(frozen=True, slots=True)
class Authority:
    """The private CA of one receiver; it issues leaves only (path length 0)."""

    certificate: x509.Certificate
    key: Key = field(repr=False)

    @classmethod
    def create(cls, common_name: str, *, now: datetime | None = None) -> Authority:
        """Make a new CA."""
        key = new_key()
        name = _name(common_name)
        builder = _builder(name, name, key.public_key(), CA_DAYS, now)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
        builder = builder.add_extension(_key_usage(key_cert_sign=True, crl_sign=True), True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> str:
        """The CA certificate as PEM text."""
        return to_pem(self.certificate)

    def issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        common_name: str,
        *,
        hosts: Sequence[str] = (),
        institution: str | None = None,
        days: float = LEAF_DAYS,
        now: datetime | None = None,
        since: datetime | None = None,
        usages: Sequence[ObjectIdentifier] = BOTH_ENDS,
    ) -> x509.Certificate:
        """Issue a TLS certificate.

        Parameters
        ----------
        public_key : EllipticCurvePublicKey
        common_name : str
            For people; programs read the alternative names.
        hosts : sequence of str
            Host names and IP addresses of a listener.
        institution : str, optional
            Code of the institution that will connect with it.
        days : float
            Life from `now`.
        now : datetime, optional
            Moment of issue, aware.
        since : datetime, optional
            Begin of its life where that is earlier: whose clock runs ahead would else make
            one that is not yet valid for anybody else.
        usages : sequence of ObjectIdentifier
            Extended key usage.
        """
        builder = _builder(
            _name(common_name), self.certificate.subject, public_key, days, now, self.key, since
        )
        builder = (
            builder.add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(_key_usage(digital_signature=True), True)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
        )
        if hosts or institution:
            builder = builder.add_extension(_alternative_names(hosts, institution), False)
        return builder.sign(self.key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    days: float,
    now: datetime | None,
    issuer_key: Key | None = None,
    since: datetime | None = None,
) -> x509.CertificateBuilder:
    now = now or datetime.now(UTC)
    issuer_public = issuer_key.public_key() if issuer_key else public_key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, since or now) - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), False)
    )


def _name(common_name: str) -> x509.Name:
    # RFC 5280 allows 64 characters, the library 64 bytes: a long Japanese name is cut between two
    cut = common_name.encode()[:64].decode(errors="ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cut)])


def _alternative_names(
    hosts: Sequence[str], institution: str | None
) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(_ascii_host(host)))
    if institution:
        names.append(x509.UniformResourceIdentifier(INSTITUTION_URN + institution))
    return x509.SubjectAlternativeName(names)


def _ascii_host(host: str) -> str:
    try:
        name = host.encode("idna").decode()
    except UnicodeError as failure:
        raise UsageError(cause=f"host {host!r}: {failure}") from failure
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", name):
        raise UsageError(cause=f"host {host!r}")
    return name


def _key_usage(**set_bits: bool) -> x509.KeyUsage:
    bits = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**bits | set_bits)
