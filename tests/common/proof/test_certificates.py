"""What the private CA issues, and what it refuses to believe."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from common.errors import ProtocolError
from common.proof import certificates
from common.proof.certificates import Authority

CODE = "0110000019"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("todoke CA")


def test_a_leaf_is_strict_short_lived_and_no_ca(authority: Authority) -> None:
    key = certificates.new_key().public_key()
    leaf = authority.issue(key, "依頼病院", hosts=["a.example", "::1"], institution=CODE)
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    assert authority.certificate.extensions.get_extension_for_class(
        x509.BasicConstraints
    ).value == x509.BasicConstraints(True, 0)
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days <= 398
    for kind in (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier, x509.KeyUsage):
        assert leaf.extensions.get_extension_for_class(kind)
    assert certificates.institution_of(leaf) == CODE
    leaf.verify_directly_issued_by(authority.certificate)


def test_a_long_japanese_name_is_cut_between_letters(authority: Authority) -> None:
    name = "社会福祉法人恩賜財団済生会支部北海道済生会小樽病院"
    leaf = authority.issue(certificates.new_key().public_key(), name)
    common = str(leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    assert name.startswith(common)
    assert 60 < len(common.encode()) <= 64


def test_only_the_key_of_a_request_is_believed() -> None:
    key = certificates.new_key()
    found = certificates.requested_key(certificates.new_request(key, "x"))
    assert found.public_numbers() == key.public_key().public_numbers()


def _request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    return request.public_bytes(Encoding.PEM).decode()


def test_a_request_that_proves_no_key_is_refused() -> None:
    good = certificates.new_request(certificates.new_key(), "x")
    der = bytearray(ssl.PEM_cert_to_DER_cert(good.replace("CERTIFICATE REQUEST", "CERTIFICATE")))
    der[-1] ^= 1
    altered = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    small = _request(ec.generate_private_key(ec.SECP192R1()))
    other = _request(rsa.generate_private_key(65537, 2048))
    for request in ("", "-----BEGIN CERTIFICATE REQUEST-----", altered, small, other):
        with pytest.raises(ProtocolError):
            certificates.requested_key(request)


def test_a_signing_certificate_from_a_ca_is_refused(authority: Authority) -> None:
    """Else the partner whose CA it is could make a sender (DESIGN: keys)."""
    key = certificates.new_key()
    own = certificates.self_issued(key, "依頼病院", CODE)
    certificates.check_self_issued(certificates.to_pem(own))
    issued = authority.issue(key.public_key(), "依頼病院", institution=CODE)
    with pytest.raises(ProtocolError, match="self-issued"):
        certificates.check_self_issued(certificates.to_pem(issued))
    with pytest.raises(ProtocolError):
        certificates.check_self_issued("no certificate")


def test_a_certificate_of_two_institutions_names_none(authority: Authority) -> None:
    names = x509.SubjectAlternativeName(
        [
            x509.UniformResourceIdentifier(f"urn:todoke:institution:{code}")
            for code in (CODE, "1310000001")
        ]
    )
    key = certificates.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    double = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(authority.certificate.not_valid_before_utc)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .add_extension(names, False)
        .sign(key, SHA256())
    )
    assert certificates.institution_of(double) is None
    assert certificates.institution_of(authority.certificate) is None
