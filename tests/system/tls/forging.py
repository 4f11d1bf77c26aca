"""Certificates as nobody should issue them: one thing wrong in each (cryptography, openssl)."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.tls import INSTITUTION_URN
from tests.system.peers import program

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Forged:
    """A certificate, its key, and what is sent along with it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write chain and key; return both files."""
        chain, key = folder / f"{name}.crt", folder / f"{name}.key"
        chain.write_bytes(
            b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))
        )
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return chain, key


def key_usage(*, ca: bool) -> x509.KeyUsage:
    """What RFC 5280 wants of a leaf, or of a CA."""
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)


def certificate(
    issuer: x509.Certificate | None,
    issuer_key: Key | None,
    *,
    institution: str | None = None,
    key: Key | None = None,
    usages: Sequence[x509.ObjectIdentifier] = (CLIENT, SERVER),
    days: tuple[float, float] = (-1, 30),
    ca: bool = False,
    name: str = "forged",
    padding: int = 0,
) -> Forged:
    """Issue a certificate that is right in all that is not said.

    Parameters
    ----------
    issuer : Certificate or None
        None: it signs itself.
    days : (float, float)
        Its life in days from now.
    padding : int
        Bytes of a comment that nobody reads.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer_key or key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer.subject if issuer else subject)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(key_usage(ca=ca), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    if institution:
        names = [x509.UniformResourceIdentifier(INSTITUTION_URN + institution)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    if padding:
        oid = x509.ObjectIdentifier("2.25.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, bytes(padding)), False)
    return Forged(builder.sign(signer, hashes.SHA256()), key, (issuer,) if issuer else ())


def with_sha1(folder: Path, ca: Path, ca_key: Path, institution: str) -> tuple[Path, Path]:
    """Issue a certificate that is signed over SHA-1; libraries refuse to, the command does not."""
    key, request, made = folder / "sha1.key", folder / "sha1.csr", folder / "sha1.crt"
    extensions = folder / "sha1.ext"
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=clientAuth,serverAuth\nsubjectKeyIdentifier=hash\n"
        f"authorityKeyIdentifier=keyid\nsubjectAltName=URI:{INSTITUTION_URN}{institution}\n"
    )
    openssl = program("openssl")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    lines = (
        (openssl, "req", "-new", *curve, "-subj", "/CN=forged", "-keyout", key, "-out", request),
        (
            *(openssl, "x509", "-req", "-sha1", "-in", request, "-CA", ca, "-CAkey", ca_key),
            *("-days", "30", "-set_serial", "4711", "-extfile", extensions, "-out", made),
        ),
    )
    for line in lines:
        subprocess.run([*map(str, line)], check=True, capture_output=True)
    return made, key
