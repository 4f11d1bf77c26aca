"""Joining a receiver by its invitation, and entering ends that are not todoke.

The order is the protection: the CA certificate is fetched from anybody, compared
with the invitation, and only over a connection that this CA proves does the
secret leave the machine.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from common import durable, tls
from common.addresses import split_address
from common.errors import (
    EqualInstitution,
    InvitationError,
    PeerCertificateRefused,
    PeerRefused,
    PeerUnreachable,
    ProtocolError,
    TodokeError,
    UsageError,
)
from common.proof import certificates, install, jws, renewal, revocation
from common.proof.certificates import Authority, Key
from common.proof.identity import (
    Institution,
    Node,
    check_institution_code,
    check_not_own,
)
from common.proof.invitation import OTHER_CA, OTHER_INSTITUTION, Invitation
from common.proof.role import Role
from common.setting_checks import check_aet
from common.settings import Sender
from sender.partners import Partner, load_partner, partner_file

MAX_ANSWER = 65_536
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class FirewallRow:
    """One rule that somebody has to enter: TCP, outwards only."""

    address: str
    port: int
    ja: str
    en: str


def init(data: Path, institution: Institution, settings: Sender, *, operator: str) -> Node:
    """Set up a sender: signing key, settings, install record.

    Raises
    ------
    AlreadyInitialised
        Nothing is overwritten.
    """
    settings.check(data)
    node = Node.create(data, institution, Role.REQUESTER)
    settings.save(data)
    install.write_record(node, operator=operator)
    return node


def join(
    node: Node,
    invitation: Invitation,
    settings: Sender | None = None,
    *,
    now: datetime | None = None,
) -> Partner:
    """Pair with the receiver that made `invitation`.

    Parameters
    ----------
    node : Node
        The sender.
    invitation : Invitation
    settings : Sender, optional
        For the AE title we wish; the receiver has the last word.
    now : datetime, optional
        Moment that decides on expiry, aware.

    Returns
    -------
    Partner
        Written to ``DATA/partners/<code>.json`` with key and certificate beside.

    Raises
    ------
    InvitationError
        Expired, used, altered, for another institution, or the receiver's CA is
        another; the cause says which.
    EqualInstitution
        The receiver has our own code (DIR-13).
    PeerUnreachable
        No address answers.
    """
    check_not_own(node.institution.code, invitation.receiver_code)
    check_institution_code(invitation.receiver_code)
    if invitation.code != node.institution.code:
        raise InvitationError(cause=f"{OTHER_INSTITUTION} ({invitation.code})")
    invitation.check_time(now or datetime.now(UTC))
    address, ca = _fetch_ca(invitation)
    key = certificates.new_key()
    answer = _ask(address, ca, invitation, _request(node, invitation, key, settings or Sender()))
    partner = _as_before(_partner(node.data, invitation, ca, answer))
    chain = checked_leaf(str(answer.get("certificate")), ca, key) + ca
    _check_signing(partner)
    renewal.replace_pair(partner.credentials, certificates.key_to_pem(key), chain)
    partner.save()
    return partner


def add_product(
    node: Node,
    name: str,
    *,
    addresses: Sequence[str],
    port: int,
    aet: str,
    calling_aet: str,
    ca: Path,
    host: str = "",
    pin: bool = False,
    code: str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    limits: Sequence[str] = (),
    associations: int = 0,
    commit: bool = False,
    commit_listen: str = "",
    crl: Path | None = None,
) -> Partner:
    """Enter a DICOM product as a partner; it gets the objects alone, over TLS.

    Parameters
    ----------
    name : str
        Key on the command line, a safe file name.
    addresses, port, aet
        Where it listens and its AE title.
    calling_aet : str
        Ours, as it knows us.
    ca : Path
        PEM of its CA, or its certificate itself where it is self-signed.
    host : str
        Name in its certificate; the first address by default.
    pin : bool
        `ca` is its very certificate, whatever name that has.
    code : str, optional
        Its institution code, where it is known.
    certificate, key : Path, optional
        What it accepts from us; made here, with a CA file to hand over, if neither
        is given.
    limits, associations
        See :meth:`sender.partners.Partner.with_line`.
    commit : bool
        Ask it for Storage Commitment.
    commit_listen : str
        ADDRESS:PORT at which it may dial back with its report; implies `commit`.
    crl : Path, optional
        Revocation list of `ca`, in a file that somebody keeps up to date.

    Raises
    ------
    UsageError
        An AE title, an address, a file or the name is wrong.
    EqualInstitution
    """
    _check_listen(commit_listen)
    if code is not None:
        check_not_own(node.institution.code, check_institution_code(code))
    for title in (aet, calling_aet):
        if wrong := check_aet(title):
            raise UsageError(cause=f"{title}: {wrong}")
    if (certificate is None) != (key is None):
        raise UsageError(cause="--cert + --key")
    trust = _text(ca)
    certificates.from_pem(trust)
    if crl is not None:
        if pin:
            raise UsageError(cause="--crl: --pin")
        revocation.read_list(crl, trust)
    partner = Partner(
        name=name,
        kind="dicom",
        code=code,
        addresses=tuple(addresses),
        host=host or addresses[0],
        dicom_port=port,
        link_port=0,
        aet=aet,
        calling_aet=calling_aet,
        ca=trust,
        signing_certificate="",
        leaf=tls.fingerprint_of_pem(trust) if pin else "",
        file=partner_file(node.data, name),
        commit=commit or bool(commit_listen),
        commit_listen=commit_listen,
        crl=str(crl.absolute()) if crl else "",
    ).with_line(limits, associations)
    if partner.file.exists():
        raise UsageError(cause=f"{name}: 登録済み / known already")
    own = partner.credentials
    if certificate is not None and key is not None:
        durable.save(own.key, _text(key).encode(), private=True)
        durable.save(own.chain, _text(certificate).encode())
        tls.client_context(own, [trust])  # the pair must fit before it is promised
    else:
        _make_own(node, partner)
    partner.save()
    return partner


def _check_listen(commit_listen: str) -> None:
    """Refuse to open a door to a partner on every interface."""
    if commit_listen:
        host, _ = split_address(commit_listen, "--commit-listen")
        if host in {"0.0.0.0", "::", "*"}:  # noqa: S104 - refused here
            raise UsageError(
                cause=f"--commit-listen {host}: アドレスを1つ / one address, not every interface"
            )


def product_ca_file(partner: Partner) -> Path:
    """Return where the CA lies that a product needs in order to accept us."""
    return partner.file.with_suffix(".ca.crt")


def calling_aet(node: Node, settings: Sender) -> str:
    """Return our AE title: that of the settings, else derived from the code."""
    return settings.aet or f"TDK{node.institution.code[-7:]}"


def firewall(partner: Partner, pairing_port: int = 0) -> list[FirewallRow]:
    """Return the rows of the sender's firewall: outwards only, nothing is let in."""
    rows = []
    for address in partner.addresses:
        rows.append(FirewallRow(address, partner.dicom_port, "DICOM (TLS)", "DICOM over TLS"))
        if partner.link_port:
            rows.append(FirewallRow(address, partner.link_port, "リンク (HTTPS)", "link (HTTPS)"))
        if pairing_port:
            rows.append(
                FirewallRow(address, pairing_port, "組み合わせの間だけ", "only while pairing")
            )
    return rows


def _url(address: str, invitation: Invitation, verb: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}:{invitation.pairing_port}/pairing/v1/{verb}"


def _fetch_ca(invitation: Invitation) -> tuple[str, str]:
    """Return the first address that answers and its CA (PEM), proved by the fingerprint.

    Nothing secret is sent here.  Only the one certificate that was compared goes
    on: whatever else the answer holds is not trusted.
    """
    failures = []
    for address in invitation.addresses:
        try:
            with _client(tls.unverified_context()) as client:
                pem = _get(client, _url(address, invitation, "ca"))
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            failures.append(f"{address}: {failure}")
            continue
        try:
            only = certificates.from_pem(pem)
        except ProtocolError as failure:
            raise InvitationError(cause=OTHER_CA) from failure
        der = certificates.to_der(only)
        if tls.fingerprint(der) != invitation.ca_sha256.lower():
            raise InvitationError(cause=OTHER_CA)
        return address, certificates.to_pem(only)
    peer = f"{invitation.receiver_name} :{invitation.pairing_port}"
    raise PeerUnreachable(peer=peer, cause="; ".join(failures))


def _request(node: Node, invitation: Invitation, key: Key, settings: Sender) -> dict[str, Any]:
    statement = {
        "invitation": invitation.id,
        "csr": certificates.new_request(key, node.institution.name),
        "aet": settings.aet,
    }
    return {
        "invitation": invitation.as_json(),
        "signing_certificate": node.signing_certificate,
        "statement": jws.sign(statement, node),
    }


def _ask(address: str, ca: str, invitation: Invitation, body: dict[str, Any]) -> dict[str, Any]:
    """Send the request over a connection whose certificate this CA issued for this host."""
    try:
        with _client(tls.client_context(None, [ca])) as client:
            answer = client.post(
                _url(address, invitation, "join"),
                json=body,
                extensions={"sni_hostname": invitation.host},  # checked whatever the address
            )
            words = answer.json()
    except httpx.HTTPError as failure:
        if isinstance(failure.__cause__, ssl.SSLError) or "CERTIFICATE" in str(failure):
            raise PeerCertificateRefused(cause=str(failure)) from failure
        raise PeerUnreachable(peer=address, cause=str(failure)) from failure
    except ValueError as failure:
        raise ProtocolError(cause="JSON") from failure
    if not isinstance(words, dict):
        raise ProtocolError(cause="JSON")
    if answer.status_code != 200:
        raise _refusal(words, invitation)
    return words


def _refusal(words: dict[str, Any], invitation: Invitation) -> TodokeError:
    """Return the receiver's refusal as an error of our own tree, in its words."""
    error = words.get("error")
    error = error if isinstance(error, dict) else {}
    cause = str(error.get("cause", "?"))[:200]
    if error.get("number") == InvitationError.number:
        return InvitationError(cause=cause)
    if error.get("number") == EqualInstitution.number:
        return EqualInstitution(code=invitation.code)
    return PeerRefused(cause=cause)


def _partner(data: Path, invitation: Invitation, ca: str, answer: dict[str, Any]) -> Partner:
    try:
        if answer["version"] != 1:
            raise ProtocolError(cause=f"pairing version {answer['version']}")
        institution = Institution(answer["institution"]["name"], answer["institution"]["code"])
        if institution.code != invitation.receiver_code:
            raise ProtocolError(cause="institution is not that of the invitation")
        return Partner(
            name=institution.name,
            kind="todoke",
            code=institution.code,
            addresses=invitation.addresses,
            host=invitation.host,
            dicom_port=int(answer["dicom_port"]),
            link_port=int(answer["link_port"]),
            aet=str(answer["aet"]),
            calling_aet=str(answer["calling_aet"]),
            ca=ca,
            signing_certificate=str(answer["signing_certificate"]),
            leaf="",
            file=partner_file(data, institution.code),
        )
    except (KeyError, TypeError, ValueError) as failure:
        raise ProtocolError(cause=f"pairing answer: {failure}") from failure


def _as_before(partner: Partner) -> Partner:
    """Keep what a person has set of the line to a partner that is paired anew."""
    if not partner.file.exists():
        return partner
    try:
        known = load_partner(partner.file)
    except TodokeError:  # pairing anew is what mends it
        return partner
    return partner.with_line(known.limits, known.associations)


def checked_leaf(pem: str, ca: str, key: Key) -> str:
    """Return our new certificate, PEM, if it is for our key and from this CA.

    Raises
    ------
    ProtocolError
    """
    leaf = certificates.from_pem(pem)
    try:
        leaf.verify_directly_issued_by(certificates.from_pem(ca))
    except (ValueError, TypeError, InvalidSignature) as failure:
        raise ProtocolError(cause="certificate of another CA") from failure
    if leaf.public_key() != key.public_key():
        raise ProtocolError(cause="certificate for another key")
    return certificates.to_pem(leaf)


def _check_signing(partner: Partner) -> x509.Certificate:
    """Refuse to pin a signing certificate that names another institution."""
    signing = certificates.check_self_issued(partner.signing_certificate)
    if certificates.institution_of(signing) != partner.code:
        raise ProtocolError(cause="signing certificate of another institution")
    return signing


def _make_own(node: Node, partner: Partner) -> None:
    """Make a certificate for a product from a CA whose key is forgotten at once."""
    authority = Authority.create(f"todoke {node.institution.name}")
    key = certificates.new_key()
    leaf = certificates.to_pem(authority.issue(key.public_key(), node.institution.name))
    durable.save(partner.credentials.key, certificates.key_to_pem(key), private=True)
    durable.save(partner.credentials.chain, (leaf + authority.pem).encode())
    durable.save(product_ca_file(partner), authority.pem.encode())


def _client(context: ssl.SSLContext) -> httpx.Client:
    # no proxy, netrc or redirect of the environment may come between
    return httpx.Client(
        verify=context, trust_env=False, follow_redirects=False, timeout=TIMEOUT_SECONDS
    )


def _get(client: httpx.Client, url: str) -> str:
    body = b""
    with client.stream("GET", url) as answer:
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MAX_ANSWER:
                raise InvitationError(cause=OTHER_CA)
    return body.decode("ascii", "replace")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError) as failure:
        raise UsageError(cause=f"{path}: {failure}") from failure
