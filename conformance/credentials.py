"""Client certificates that are wrong in exactly one point (cryptography alone, kept in memory)."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from common.errors import UsageError

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA that may issue; ``certificate`` None for a certificate that signs itself."""

    key: SigningKey
    certificate: x509.Certificate | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes

    def load_into(self, context: ssl.SSLContext) -> None:
        """Present this certificate from now on.

        The ssl module reads from files only: they live in a private folder for
        as long as the call.
        """
        with tempfile.TemporaryDirectory(prefix="todoke-test-") as folder:
            certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
            certificate.write_bytes(self.certificate)
            key.write_bytes(self.key)
            context.load_cert_chain(certificate, key)


def read_issuer(key: Path, certificate: Path) -> Issuer:
    """Read the CA of ``--test-ca-key``.

    Raises
    ------
    UsageError
        Unreadable, or key and certificate do not belong together.
    """
    try:
        loaded = load_pem_private_key(key.read_bytes(), password=None)
        authority = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(cause=f"--test-ca-key: {error}") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UsageError(cause="--test-ca-key: EC or RSA")
    if loaded.public_key() != authority.public_key():
        raise UsageError(cause="--test-ca-key: not the key of --test-ca")
    return Issuer(loaded, authority)


def unknown_authority() -> Issuer:
    """Make a CA that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TODOKE TEST unknown CA")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    return Issuer(key, certificate)


def like(
    model: x509.Certificate,
    issuer: Issuer | None,
    *,
    usages: Sequence[x509.ObjectIdentifier] = (CLIENT, SERVER),
    first_day: int = -1,
    last_day: int = 30,
) -> Pair:
    """Issue a certificate with the names of ``model``, so that only one point differs.

    Parameters
    ----------
    model : Certificate
        The tester's right certificate.
    issuer : Issuer or None
        None: it signs itself.
    usages : sequence of ObjectIdentifier
        Extended key usage.
    first_day, last_day : int
        Validity in days from today.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    signer = issuer or Issuer(key, None)
    authority = signer.certificate
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder(
            model.subject if authority is None else authority.subject,
            model.subject,
            key.public_key(),
            x509.random_serial_number(),
        )
        .not_valid_before(now + first_day * _DAY)
        .not_valid_after(now + last_day * _DAY)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False
        )
    )
    for extension in model.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(signer.key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), private)


def _usage(*, signs_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
