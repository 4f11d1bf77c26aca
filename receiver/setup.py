"""Setting up a receiver and inviting senders: what the verbs and later pages call."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from common import durable, tls
from common.errors import UsageError
from common.proof import certificates, install
from common.proof.identity import Institution, Node, check_not_own
from common.proof.invitation import Invitation
from common.proof.role import Role
from common.settings import Receiver
from receiver import index, registry
from receiver.index import Index

ALWAYS = ("localhost", "127.0.0.1")
INVITE_HOURS = 72.0


@dataclass(frozen=True, slots=True)
class FirewallRow:
    """One rule that somebody has to enter: TCP, towards the receiver only."""

    port: int
    ja: str
    en: str


def init(data: Path, institution: Institution, settings: Receiver, *, operator: str) -> Node:
    """Set up a receiver: keys, private CA, settings, index, install record.

    Parameters
    ----------
    data : Path
        Data directory, empty or not there yet.
    institution : Institution
    settings : Receiver
        Written to ``receiver.toml``; the certificate carries ``hosts``, localhost
        and 127.0.0.1.
    operator : str
        The person at the console.

    Raises
    ------
    AlreadyInitialised
        Nothing is overwritten.
    UsageError
        A host name cannot stand in a certificate.
    """
    hosts = settings.hosts or (socket.gethostname(),)
    settings = settings.changed(hosts=hosts)
    settings.check(data)
    node = Node.create(data, institution, Role.SUPPORTER, hosts=subject_hosts(settings))
    settings.save(data)
    Index.at(data).close()
    install.write_record(node, operator=operator)
    return node


def subject_hosts(settings: Receiver) -> list[str]:
    """Return the names and addresses of the receiver's own certificate, each once."""
    return list(dict.fromkeys((*settings.hosts, *ALWAYS)))


def invite(
    node: Node,
    settings: Receiver,
    invited: Institution,
    *,
    addresses: Sequence[str] = (),
    hours: float = INVITE_HOURS,
    replace: bool = False,
    now: datetime | None = None,
) -> Invitation:
    """Make one invitation; the index keeps a digest of it alone.

    Parameters
    ----------
    node : Node
        The receiver.
    settings : Receiver
    invited : Institution
        Name and code as this receiver will call the sender, whatever it says.
    addresses : sequence of str
        Where the sender finds us, in order; the hosts of the settings by default.
    hours : float
        Life.
    replace : bool
        The institution is a partner already and gets new keys (new machine).

    Raises
    ------
    EqualInstitution
        The code is our own (DIR-13).
    UsageError
        Known already, or the pairing port is not fixed.
    """
    check_not_own(node.institution.code, invited.code)
    if not settings.pairing_port:
        raise UsageError(cause="pairing_port 0")
    if hours <= 0:
        raise UsageError(cause="--hours")
    db_index = Index.at(node.data)
    try:
        if not replace and registry.is_known(db_index, invited.code):
            raise UsageError(
                cause=f"{invited.code}: 登録済み (--replace) / known already (--replace)"
            )
        made = Invitation.make(
            invited,
            node.institution,
            addresses=tuple(addresses) or settings.hosts,
            host=settings.hosts[0],
            pairing_port=settings.pairing_port,
            ca_sha256=tls.fingerprint_of_pem(node.ca),
            hours=hours,
            now=now or datetime.now(UTC),
        )
        with db_index.write() as db:
            db.execute(
                insert(index.invitations).values(
                    id=made.id,
                    secret_digest=made.digest,
                    name=made.name,
                    code=made.code,
                    expires_at=made.expires_at,
                )
            )
    finally:
        db_index.close()
    return made


def save_invitation(made: Invitation, folder: Path) -> Path:
    """Write the invitation file, readable by its owner alone."""
    name = re.sub(r"[^\w-]+", "_", made.name).strip("_")[:40] or made.code
    path = folder / f"todoke-invite-{name}.json"
    text = json.dumps(made.as_json(), ensure_ascii=False, indent=1)
    durable.save(path, text.encode(), private=True)
    return path


def add_host(node: Node, settings: Receiver, hosts: Sequence[str]) -> Receiver:
    """Give the receiver more names and a new certificate that carries them."""
    settings = settings.changed(hosts=tuple(dict.fromkeys((*settings.hosts, *hosts))))
    node.issue_own(subject_hosts(settings))
    settings.save(node.data)
    return settings


def firewall(settings: Receiver) -> list[FirewallRow]:
    """Return the rows of the receiver's firewall: what must be let in."""
    return [
        FirewallRow(settings.dicom_port, "送信側から: DICOM (TLS)", "from senders: DICOM over TLS"),
        FirewallRow(settings.link_port, "送信側から: リンク (HTTPS)", "from senders: link (HTTPS)"),
        FirewallRow(
            settings.pairing_port,
            "送信側から: 組み合わせの間だけ",
            "from senders: only while pairing",
        ),
        FirewallRow(
            settings.viewer_port,
            "院内の読影端末から: ビューア",
            "from reading machines inside: viewer",
        ),
    ]


def certificate_days(node: Node, now: datetime | None = None) -> int:
    """Return the whole days the receiver's own TLS certificate has left."""
    leaf = certificates.from_pem(node.credentials.chain.read_text("ascii"))
    return (leaf.not_valid_after_utc - (now or datetime.now(UTC))).days
