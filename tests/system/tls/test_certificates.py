"""The matrix of certificates: each is refused at both doors of the real receiver, and noted."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from common import link, tls
from common.proof import jws, renewal, revocation
from common.proof.certificates import Authority, from_pem
from common.proof.identity import Node
from common.proof.role import Role
from conformance.credentials import unknown_authority
from tests.system.ends import RECEIVER_CODE, SENDER_CODE, must, until
from tests.system.tls import forging
from tests.system.tls.site import LET_IN, OTHER_CODE, PRODUCT_AET, Site, each_door

pytestmark = [pytest.mark.system, pytest.mark.tls, pytest.mark.timeout(240)]
Files = tuple[Path, Path] | None


def _unknown(site: Site, folder: Path) -> Files:
    stranger = unknown_authority()
    made = forging.certificate(stranger.certificate, stranger.key, institution=SENDER_CODE)
    return made.save(folder, "x")


def _leaf_as_ca(site: Site, folder: Path) -> Files:
    """The hospital's own certificate issues one for somebody else."""
    own = site.forge()
    made = forging.certificate(own.certificate, own.key, institution=SENDER_CODE)
    both = forging.Forged(made.certificate, made.key, (own.certificate, site.ca))
    return both.save(folder, "x")


def _long(site: Site, folder: Path) -> Files:
    own = site.forge()
    filler = forging.certificate(None, None, padding=60_000, name="filler").certificate
    return forging.Forged(own.certificate, own.key, (site.ca, filler, filler)).save(folder, "x")


def _weak(site: Site, folder: Path) -> Files:
    key = rsa.generate_private_key(65537, 1024)
    return site.forge(key=key).save(folder, "x")


def _sha1(site: Site, folder: Path) -> Files:
    ca, key = site.identity / "ca.crt", site.identity / "ca.key"
    return forging.with_sha1(folder, ca, key, SENDER_CODE)


CASES: dict[str, tuple[Callable[[Site, Path], Files], str]] = {
    "no certificate": (lambda *_: None, "no certificate was shown"),
    "unknown CA": (_unknown, "self-signed certificate in certificate chain"),
    "expired": (lambda s, f: s.forge(days=(-30, -1)).save(f, "x"), "has expired"),
    "not yet valid": (lambda s, f: s.forge(days=(5, 30)).save(f, "x"), "not yet valid"),
    "wrong usage": (lambda s, f: s.forge(usages=[forging.SERVER]).save(f, "x"), "purpose"),
    "leaf used as CA": (_leaf_as_ca, "invalid CA certificate"),
    "RSA 1024": (_weak, "key too weak"),
    "SHA-1": (_sha1, "digest algorithm too weak"),
    "chain of 100 kB": (_long, "EXCESSIVE_MESSAGE_SIZE"),
}


@pytest.mark.requirement("NET-01", "NET-06", "NET-08", "NET-11")
@pytest.mark.parametrize(
    "variant", [pytest.param(v, marks=pytest.mark.badinput(89, v)) for v in CASES]
)
@each_door()
def test_a_wrong_certificate_is_refused_and_noted(
    door: str, variant: str, site: Site, tmp_path: Path
) -> None:
    make, cause = CASES[variant]
    site.refused(door, site.context(make(site, tmp_path)), cause)


@each_door()
def test_a_faultless_certificate_of_the_same_making_is_let_in(
    door: str, site: Site, tmp_path: Path
) -> None:
    """Or the refusals above would show nothing."""
    assert site.knock(door, site.context(site.forge().save(tmp_path, "x"))) == LET_IN


@pytest.mark.requirement("NET-06")
@pytest.mark.badinput(89, "wrong name")
@each_door()
def test_a_certificate_that_names_no_partner_is_refused(
    door: str, site: Site, tmp_path: Path
) -> None:
    for institution in ("0110000043", None):
        made = site.forge(institution=institution)
        files = made.save(tmp_path, "x")
        printed = tls.fingerprint_of_pem(files[0].read_text())
        site.refused(door, site.context(files), printed[:16])
        assert site.audited(door, printed[:16])["certificate"] == printed


@pytest.mark.requirement("NET-06")
@pytest.mark.badinput(89, "site C's certificate with site A's AE title")
def test_another_partners_certificate_does_not_bear_this_title(site: Site) -> None:
    own = site.partner(site.other).credentials
    how = site.refused("dicom", site.context((own.chain, own.key)), "AE title")
    assert how.startswith("PDU 03H")
    chain = own.chain.read_text()
    assert site.audited("dicom", "AE title")["certificate"] == tls.fingerprint_of_pem(chain)
    title = site.partner(site.other).calling_aet
    assert site.knock("dicom", site.context((own.chain, own.key)), calling=title) == LET_IN


@pytest.mark.requirement("NET-06")
@pytest.mark.badinput(89, "site C's certificate on site A's transfer")
def test_another_partner_finds_no_transfer_of_this_one(site: Site) -> None:
    """Every word about it is the same as about one that does not exist."""
    first, other = site.partner(), site.partner(site.other)
    root = f"https://localhost:{site.ends.ports['link']}{link.ROOT}"
    ours = tls.client_context(first.credentials, [first.ca])
    theirs = tls.client_context(other.credentials, [other.ca])
    transfer = "0123456789abcdef0123456789abcdef"
    opening = link.Opening(
        transfer=transfer,
        kind="dicom",
        sender=SENDER_CODE,
        receiver=RECEIVER_CODE,
        study="1.2.392.1",
        attributes={},
        instances=(),
    )
    statement = jws.sign(link.words(opening), Node.load(site.ends.sender, Role.REQUESTER))
    with (
        httpx.Client(base_url=root, verify=ours, trust_env=False, timeout=30) as mine,
        httpx.Client(base_url=root, verify=theirs, trust_env=False, timeout=30) as not_mine,
    ):
        assert mine.post("/transfers", content=statement).status_code == 201
        assert mine.get(f"/transfers/{transfer}").status_code == 200
        asked = [
            ("GET", ""),
            ("GET", "/missing"),
            ("GET", "/receipt"),
            ("POST", "/frames"),
            ("POST", "/complete"),
            ("PUT", "/lengths/0"),
        ]
        for method, path in asked:
            foreign = not_mine.request(method, f"/transfers/{transfer}{path}", content=b"")
            absent = not_mine.request(method, f"/transfers/{'f' * 32}{path}", content=b"")
            assert foreign.status_code == absent.status_code, (method, path)
            assert foreign.status_code in (400, 404)
        # signed by another's key
        assert not_mine.post("/transfers", content=statement).status_code == 422
        assert mine.get(f"/transfers/{transfer}").status_code == 200
    chain = other.credentials.chain.read_text()
    line = site.audited("link", "E-1005")
    assert line["certificate"] == tls.fingerprint_of_pem(chain)


# -- revocation --------------------------------------------------------------


@pytest.mark.requirement("NET-11")
def test_the_product_with_a_ca_of_its_own_is_let_in(site: Site) -> None:
    site.list_product()
    assert _product(site) == LET_IN


def _product(site: Site) -> str:
    files = site.folder / "product.crt", site.folder / "product.key"
    return site.knock("dicom", site.context(files), PRODUCT_AET)


@pytest.mark.requirement("NET-11")
@pytest.mark.badinput(89, "revoked")
def test_a_product_on_the_list_of_its_own_ca_is_refused(site: Site) -> None:
    site.list_product(site.product_leaf.certificate.serial_number)
    assert _product(site) != LET_IN
    site.audited("dicom", "certificate revoked")
    site.list_product()
    assert _product(site) == LET_IN  # without a restart


@pytest.mark.requirement("NET-11")
@pytest.mark.badinput(89, "stale list")
def test_a_product_whose_list_is_past_its_end_is_refused_and_alarmed(site: Site) -> None:
    site.list_product(days=-0.02)
    assert _product(site) != LET_IN
    site.audited("dicom", "CRL has expired")
    site.alarmed("link", "stale")
    status = must("receiver", "status", "--data", site.ends.receiver)
    assert [one["age"] for one in status["lists"]] == ["fresh", "stale"]
    assert any("stale" in en for _, en in status["warnings"])
    assert site.good("dicom") == LET_IN
    site.list_product()
    assert _product(site) == LET_IN


@pytest.mark.requirement("NET-11")
@pytest.mark.badinput(89, "missing list")
def test_a_product_whose_list_is_gone_is_refused_and_alarmed(site: Site) -> None:
    site.product_list.unlink()
    assert _product(site) != LET_IN
    site.audited("dicom", "unable to get certificate CRL")
    site.alarmed("link", "unusable")
    assert site.good("dicom") == LET_IN
    site.list_product()
    assert _product(site) == LET_IN


@pytest.mark.badinput(90, "broken list")
def test_a_list_swapped_for_a_broken_one_leaves_the_one_before(site: Site) -> None:
    site.list_product(site.product_leaf.certificate.serial_number)
    assert _product(site) != LET_IN
    site.product_list.write_text("-----BEGIN X509 CRL-----\nbroken\n")
    assert _product(site) != LET_IN  # revoked as before
    site.alarmed("link", "unusable")
    assert site.good("dicom") == LET_IN
    site.list_product()
    assert _product(site) == LET_IN


@pytest.mark.badinput(89, "stale list")
@pytest.mark.requirement("NET-11")
def test_a_stale_list_of_our_own_ca_stops_everybody_until_it_is_renewed(site: Site) -> None:
    authority = Authority(site.ca, site.ca_key)
    with site.ca_out_of_order():
        (site.identity / "revoked.crl").write_text(revocation.make_list(authority, {}, days=-0.02))
        for door in ("dicom", "link"):
            assert site.good(door) != LET_IN
            site.audited(door, "CRL has expired")
        site.alarmed("link", "renew_list")
        site.alarmed("link", "stale")
    _wait_until_good(site)


@pytest.mark.badinput(89, "missing list")
@pytest.mark.requirement("NET-11")
def test_a_missing_list_of_our_own_ca_stops_everybody_until_it_is_made(site: Site) -> None:
    with site.ca_out_of_order():
        (site.identity / "revoked.crl").unlink()
        for door in ("dicom", "link"):
            assert site.good(door) != LET_IN
            site.audited(door, "revoked.crl")
        site.alarmed("link", "unusable")
    _wait_until_good(site)


def _wait_until_good(site: Site) -> None:
    """Until the list was renewed, and both processes have seen it."""

    for door in ("dicom", "link"):
        until(lambda door=door: site.good(door) == LET_IN, f"{door} good again")  # type: ignore[misc]


@pytest.mark.badinput(90, "broken certificate")
@pytest.mark.badinput(90, "key of another certificate")
@pytest.mark.parametrize("what", ["certificate", "key"])
def test_a_broken_own_certificate_leaves_the_one_before_and_alarms(
    what: str, site: Site, tmp_path: Path
) -> None:
    path = site.identity / ("tls.crt" if what == "certificate" else "tls.key")
    kept = path.read_bytes()
    broken = b"broken"
    if what == "key":
        _, other = site.forge().save(tmp_path, "x")
        broken = other.read_bytes()
    before = {door: len(_kept_lines(site, door)) for door in ("dicom", "link")}
    path.write_bytes(broken)
    try:
        for door, count in before.items():

            def noted(door: str = door, count: int = count) -> bool:
                assert site.good(door) == LET_IN
                return len(_kept_lines(site, door)) > count

            until(noted, f"alarm at {door}")
    finally:
        path.write_bytes(kept)
    assert site.good("dicom") == site.good("link") == LET_IN


def _kept_lines(site: Site, door: str) -> list[str]:
    lines = (line for line in site.trail(door) if line["event"] == "alarm")
    return [str(line["cause"]) for line in lines if tls.KEPT in str(line["cause"])]


def test_a_new_own_certificate_is_shown_at_the_next_handshake(site: Site) -> None:
    node = Node.load(site.ends.receiver, Role.SUPPORTER)

    def shown(door: str) -> int:
        with (
            socket.create_connection(("127.0.0.1", site.ends.ports[door]), 30) as sock,
            site.context(None).wrap_socket(sock, server_hostname="localhost") as line,
        ):
            return hash(line.getpeercert(binary_form=True))

    before = {door: shown(door) for door in ("dicom", "link", "pairing")}
    node.issue_own(["localhost", "127.0.0.1"])
    for door, old in before.items():
        assert shown(door) != old, door
    assert site.good("dicom") == site.good("link") == LET_IN


@pytest.mark.requirement("NET-11")
def test_a_sender_has_its_certificate_renewed_over_the_link(site: Site) -> None:
    """Nobody does anything: its present one has 20 days left, and the daemon starts."""
    own = site.partner().credentials
    files = site.forge(days=(-300, 20)).save(site.folder, "ending")
    for kept, path in zip((own.chain, own.key), files, strict=True):
        kept.write_bytes(path.read_bytes())
    status = must("sender", "status", "--data", site.ends.sender)
    assert status["partners"][0]["warnings"] == [
        ["証明書の残り 30 日未満", "certificate ends in under 30 days"]
    ]
    with site.ends.daemon():
        until(lambda: renewal.days_left(renewal.leaf_of(own)) > 300, "certificate renewed")
    assert site.good("dicom") == site.good("link") == LET_IN
    assert site.knock("link", site.context(files)) == LET_IN  # until its own end


@pytest.mark.requirement("NET-11")
@pytest.mark.badinput(89, "revoked")
def test_a_revoked_partner_is_refused_from_its_next_word(site: Site) -> None:
    """At both doors; on the association and the connection that it has, too. Last in this file."""
    partner = site.partner(site.other)
    own = partner.credentials
    context = site.context((own.chain, own.key))
    root = f"https://localhost:{site.ends.ports['link']}{link.ROOT}"
    client = httpx.Client(
        base_url=root,
        verify=tls.client_context(own, [partner.ca]),
        trust_env=False,
        timeout=30,
        limits=httpx.Limits(keepalive_expiry=70),  # the verb may take long on a busy machine
    )
    with client:
        assert client.get("/hello").status_code == 200
        said = must(
            *("receiver", "partner", "revoke", "網走依頼病院", "--reason", "端末の盗難"),
            *("--operator", "試験", "--data", site.ends.receiver),
        )
        assert said["revoked_at"]
        answer = client.get("/hello")  # on the same connection
        assert answer.status_code == 403
        assert answer.json()["error"]["number"] == "E-6200"
    for door in ("dicom", "link"):
        title = partner.calling_aet if door == "dicom" else None
        site.refused(door, context, "certificate revoked", calling=title)
    listed = must("receiver", "partner", "list", "--data", site.ends.receiver)["partners"]
    reasons = {one["name"]: one["reason"] for one in listed}
    assert reasons["網走依頼病院"] == "端末の盗難"
    serial = from_pem(own.chain.read_text()).serial_number
    console = (site.ends.receiver / "audit" / "console.jsonl").read_text("utf-8")
    assert json.loads(console.splitlines()[-1])["reason"] == "端末の盗難"
    text = (site.identity / "revoked.crl").read_bytes()
    assert x509.load_pem_x509_crl(text).get_revoked_certificate_by_serial_number(serial)
    # a new invitation lets it in again, with a new certificate alone
    old = tuple(path.read_bytes() for path in (own.chain, own.key))
    invited = must(
        *("receiver", "invite", "網走依頼病院", "--code", OTHER_CODE, "--replace"),
        *("--address", "localhost", "--out", site.folder, "--data", site.ends.receiver),
    )
    must("sender", "join", invited["path"], "--data", site.other)
    title = site.partner(site.other).calling_aet
    assert site.knock("dicom", site.context((own.chain, own.key)), title) == LET_IN
    files = site.folder / "old.crt", site.folder / "old.key"
    for path, data in zip(files, old, strict=True):
        path.write_bytes(data)
    site.refused("dicom", site.context(files), "certificate revoked", calling=title)
