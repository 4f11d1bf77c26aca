"""TLS as it is offered and refused: real handshakes, in memory."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from common import durable, tls
from common.errors import PeerCertificateRefused, SettingsError
from common.proof import certificates
from common.proof.certificates import Authority
from common.proof.revocation import make_list

CODE = "0110000019"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("todoke CA 支援病院")


@pytest.fixture
def leaf(tmp_path: Path, authority: Authority) -> Callable[..., tls.Credentials]:
    def issue(name: str = "leaf", by: Authority = authority, **options: object) -> tls.Credentials:
        key = certificates.new_key()
        certificate = by.issue(key.public_key(), name, **options)  # type: ignore[arg-type]
        own = tls.Credentials(tmp_path / f"{name}.key", tmp_path / f"{name}.crt")
        durable.save(own.key, certificates.key_to_pem(key), private=True)
        durable.save(own.chain, (certificates.to_pem(certificate) + by.pem).encode())
        return own

    return issue


def shake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str | None = "receiver.example"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Carry a handshake between two contexts to its end, one byte each way included."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = {
        "server": server.wrap_bio(to_server, to_client, server_side=True),
        "client": client.wrap_bio(to_client, to_server, server_hostname=host),
    }
    waiting = set(ends)
    for _turn in range(20):
        for name in sorted(waiting):
            try:
                ends[name].do_handshake()
                waiting.discard(name)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return ends["server"], ends["client"]
    raise AssertionError("no end to the handshake")


@pytest.mark.requirement("NET-01")
def test_both_ends_show_a_certificate_and_speak_tls_13(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    server = tls.server_context(leaf("r", hosts=["receiver.example"]), [authority.pem])
    client = tls.client_context(leaf("s", institution=CODE), [authority.pem])
    accepted, asked = shake(server, client)
    assert accepted.version() == asked.version() == "TLSv1.3"
    der = accepted.getpeercert(binary_form=True)
    assert der is not None
    assert tls.peer_institution(der, authority.pem) == CODE
    assert tls.fingerprint(der) == tls.fingerprint_of_pem(ssl.DER_cert_to_PEM_cert(der))


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("EXPIRED", {"now": NOW - timedelta(days=30), "days": 29}),
        ("NOT_YET_VALID", {"now": NOW + timedelta(days=2)}),
        ("PURPOSE", {"usages": [ExtendedKeyUsageOID.SERVER_AUTH]}),
    ],
)
def test_a_client_certificate_with_a_fault_is_refused(
    fault: str,
    options: dict[str, object],
    authority: Authority,
    leaf: Callable[..., tls.Credentials],
) -> None:
    server = tls.server_context(leaf("r", hosts=["receiver.example"]), [authority.pem])
    client = tls.client_context(leaf("s", institution=CODE, **options), [authority.pem])
    with pytest.raises(ssl.SSLCertVerificationError) as refusal:
        shake(server, client)
    assert fault.replace("_", " ").lower() in refusal.value.verify_message.lower()


@pytest.mark.parametrize("profile", tls.PROFILES)
def test_no_certificate_and_a_strangers_are_refused(
    profile: str, authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    own = leaf("r", hosts=["receiver.example"])
    server = tls.server_context(own, [authority.pem], profile=profile)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(server, tls.client_context(None, [authority.pem]))
    other = Authority.create("todoke CA 支援病院")  # the same name does not help
    stranger = leaf("x", by=other, institution=CODE)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, tls.client_context(stranger, [authority.pem]))


def test_a_signing_certificate_opens_no_connection(tmp_path: Path, authority: Authority) -> None:
    key = certificates.new_key()
    own = tls.Credentials(tmp_path / "s.key", tmp_path / "s.crt")
    signing = certificates.self_issued(key, "依頼病院", CODE)
    durable.save(own.key, certificates.key_to_pem(key), private=True)
    durable.save(own.chain, certificates.to_pem(signing).encode())
    host_key = certificates.new_key()
    host = tls.Credentials(tmp_path / "r.key", tmp_path / "r.crt")
    durable.save(host.key, certificates.key_to_pem(host_key), private=True)
    issued = authority.issue(host_key.public_key(), "r", hosts=["receiver.example"])
    durable.save(host.chain, certificates.to_pem(issued).encode())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(tls.server_context(host, [authority.pem]), tls.client_context(own, [authority.pem]))


def test_a_server_with_another_name_or_ca_is_refused(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    client = tls.client_context(leaf("s", institution=CODE), [authority.pem])
    elsewhere = tls.server_context(leaf("r", hosts=["other.example"]), [authority.pem])
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(elsewhere, client)
    # a sender's certificate names an institution and no host: it is no receiver
    sender = tls.server_context(leaf("s2", institution=CODE), [authority.pem])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(sender, client)
    false = Authority.create("x")
    forged = tls.server_context(leaf("r", by=false, hosts=["receiver.example"]), [authority.pem])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(forged, client)


def _plain_client(own: tls.Credentials, ciphers: str) -> ssl.SSLContext:
    """A client that is not ours: TLS 1.2 with ciphers of its choice."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.load_cert_chain(own.chain, own.key)
    client.set_ciphers(ciphers)
    return client


@pytest.mark.requirement("NET-01", "NET-04")
def test_tls_12_is_for_the_profile_that_names_it(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    own, client = leaf("r", hosts=["receiver.example"]), _plain_client(leaf("s"), tls.CIPHERS_12)
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake(tls.server_context(own, [authority.pem]), client)
    accepted, _ = shake(tls.server_context(own, [authority.pem], profile="dicom-b12"), client)
    assert accepted.version() == "TLSv1.2"


@pytest.mark.requirement("NET-02")
@pytest.mark.parametrize(
    "cipher",
    [
        "ECDHE-ECDSA-AES256-SHA384",  # CBC
        "ECDHE-ECDSA-AES128-SHA",  # CBC with SHA-1
        "ECDHE-ECDSA-AES256-CCM8",  # short tag
        "AES256-GCM-SHA384",  # RSA key exchange, no forward secrecy
    ],
)
def test_a_weak_cipher_is_refused(
    cipher: str, authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    own = leaf("r", hosts=["receiver.example"])
    server = tls.server_context(own, [authority.pem], profile="dicom-b12")
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        shake(server, _plain_client(leaf("s"), cipher))


@pytest.mark.requirement("NET-02")
def test_only_aead_ciphers_are_offered(leaf: Callable[..., tls.Credentials]) -> None:
    context = tls.server_context(leaf(), client_required=False, profile="dicom-b12")
    offered = context.get_ciphers()
    assert len(offered) > 6
    for cipher in offered:
        assert cipher["aead"]
        assert cipher["protocol"] == "TLSv1.3" or "ECDHE" in cipher["name"]
        assert "CCM8" not in cipher["name"]


def test_another_ca_cannot_name_our_partners(authority: Authority) -> None:
    """A listener may trust a product's CA too; that CA gives no institution codes."""
    other = Authority.create("product")
    forged = other.issue(certificates.new_key().public_key(), "x", institution=CODE)
    der = ssl.PEM_cert_to_DER_cert(certificates.to_pem(forged))
    assert tls.peer_institution(der, other.pem) == CODE
    assert tls.peer_institution(der, authority.pem) is None
    unnamed = authority.issue(certificates.new_key().public_key(), "x", hosts=["a.example"])
    der = ssl.PEM_cert_to_DER_cert(certificates.to_pem(unnamed))
    assert tls.peer_institution(der, authority.pem) is None
    assert tls.peer_institution(b"no certificate", authority.pem) is None


def test_a_leaf_is_trusted_alone_and_not_its_whole_ca(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    product = Authority.create("product")
    known, sibling = leaf("known", by=product), leaf("sibling", by=product)
    server = tls.server_context(
        leaf("r", hosts=["receiver.example"]), [authority.pem, _first(known.chain)]
    )
    accepted, _ = shake(server, tls.client_context(known, [authority.pem]))
    assert accepted.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, tls.client_context(sibling, [authority.pem]))


def test_a_pinned_server_needs_no_name_and_no_other_is_taken(
    leaf: Callable[..., tls.Credentials],
) -> None:
    product = Authority.create("product")
    pinned, sibling = leaf("pinned", by=product), leaf("sibling", by=product)
    client = tls.client_context(None, [_first(pinned.chain)], check_host=False)
    _, asked = shake(tls.server_context(pinned, client_required=False), client, None)
    der = asked.getpeercert(binary_form=True) or b""
    assert tls.fingerprint(der) == tls.fingerprint_of_pem(_first(pinned.chain))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(tls.server_context(sibling, client_required=False), client, None)


def _first(chain: Path) -> str:
    end = "-----END CERTIFICATE-----\n"
    return chain.read_text().partition(end)[0] + end


def test_a_listener_that_trusts_nobody_is_refused(
    tmp_path: Path, leaf: Callable[..., tls.Credentials]
) -> None:
    with pytest.raises(SettingsError, match="trust"):
        tls.server_context(leaf())
    with pytest.raises(SettingsError, match="profile"):
        tls.server_context(leaf("b"), client_required=False, profile="none")
    gone = tls.Credentials(tmp_path / "no.key", tmp_path / "no.crt")
    with pytest.raises(PeerCertificateRefused):
        tls.server_context(gone, client_required=False)


# -- revocation and reload ---------------------------------------------------


@pytest.mark.tls
@pytest.mark.requirement("NET-11")
@pytest.mark.parametrize(
    ("days", "listed", "why"),
    [
        (7.0, True, "certificate revoked"),
        (-0.01, False, "CRL has expired"),
        (None, False, "unable to get certificate CRL"),
    ],
)
def test_the_handshake_checks_the_list(
    days: float | None,
    listed: bool,
    why: str,
    authority: Authority,
    leaf: Callable[..., tls.Credentials],
) -> None:
    own, theirs = leaf("r", hosts=["receiver.example"]), leaf("s", institution=CODE)
    serial = certificates.from_pem(theirs.chain.read_text()).serial_number
    other = make_list(Authority.create("other"), {})
    made = (
        other if days is None else make_list(authority, {serial: NOW} if listed else {}, days=days)
    )
    server = tls.server_context(own, [authority.pem], lists=[made])
    client = tls.client_context(theirs, [authority.pem])
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        shake(server, client)
    if days is not None:
        good = tls.server_context(
            own, [authority.pem], lists=[make_list(authority, {serial + 1: NOW})]
        )
        shake(good, client)


class Seconds:
    """A clock of the test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.tls
def test_a_broken_certificate_keeps_the_one_before_and_alarms_once(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    own = leaf("r", hosts=["receiver.example"])
    alarms: list[str] = []
    clock = Seconds()
    following = tls.Following(
        lambda: tls.server_context(own, client_required=False),
        lambda: tls.stamp([own.key, own.chain]),
        alarms.append,
        clock,
    )
    client = tls.client_context(None, [authority.pem])

    def shown() -> bytes | None:
        _, asked = shake(following(), client)
        return asked.getpeercert(binary_form=True)

    first, text = shown(), own.chain.read_text()
    own.chain.write_text("broken")
    assert shown() == first
    assert alarms == []  # key and certificate may just be changing one after another
    clock.now += tls.HALF_DONE
    assert shown() == first
    assert shown() == first
    assert len(alarms) == 1
    own.chain.write_text(text)
    assert shown() == first
    leaf("r", hosts=["receiver.example"])  # a new key and certificate in the same place
    assert shown() != first
    assert len(alarms) == 1


@pytest.mark.tls
def test_a_key_that_does_not_fit_its_certificate_yet_is_no_alarm(
    authority: Authority, leaf: Callable[..., tls.Credentials]
) -> None:
    own, coming = leaf("r", hosts=["receiver.example"]), leaf("n", hosts=["receiver.example"])
    alarms: list[str] = []
    following = tls.Following(
        lambda: tls.server_context(own, client_required=False),
        lambda: tls.stamp([own.key, own.chain]),
        alarms.append,
        Seconds(),
    )
    before = following()
    own.key.write_bytes(coming.key.read_bytes())
    assert following() is before
    own.chain.write_bytes(coming.chain.read_bytes())
    assert following() is not before
    assert alarms == []
