"""What a running receiver keeps good by itself: certificates and revocation lists.

A leaf lives 398 days and is replaced :data:`common.proof.renewal.RENEW_DAYS` days
before its end; a todoke sender asks for its next one over the link, with the one
it has.  What nobody can renew here (a product's certificate, another CA's list)
is alarmed while there is time.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import Row

from common import audit, tls
from common.errors import NotRenewable, PeerNotRegistered, TodokeError
from common.proof import certificates, renewal
from common.proof.identity import Node
from common.settings import Receiver
from receiver import registry, revocation, setup
from receiver.index import Index
from receiver.revocation import Clock, Lists, utc
from receiver.rounds import Rounds

log = logging.getLogger("todoke.upkeep")
LOOK = 5.0  # seconds between two looks
EARLY = 30  # days that a partner's clock or calendar may be before ours


def prepare(node: Node, db_index: Index) -> None:
    """Complete what an interruption left, and write a good list, before a door opens."""
    renewal.finish(node.credentials)
    try:
        revocation.renew(node, db_index)
    except (TodokeError, OSError, ValueError) as failure:
        # the doors go by the list that is there, and refuse once it has ended
        log.error("revocation list not renewed: %s", failure)


def issue(
    node: Node, db_index: Index, partner: Row[Any], shown: bytes, csr: str, clock: Clock = utc
) -> str:
    """Return the certificate that follows a todoke sender's present one, PEM.

    The present one stays good until its own end, so nothing hurries.

    Parameters
    ----------
    partner : Row
        Whose certificate it is.
    shown : bytes
        The present one, DER, proved by the connection.
    csr : str
        Request for the new one, PEM.

    Raises
    ------
    NotRenewable
        It has long to go.
    PeerNotRegistered
        It is not of our CA, or names no institution.
    ProtocolError
        The request is none.
    """
    if tls.peer_institution(shown, node.ca) != partner.code:
        raise PeerNotRegistered(cause="institution")
    now = clock()
    days = renewal.days_left(x509.load_der_x509_certificate(shown), now)
    if days >= renewal.RENEW_DAYS + EARLY:
        raise NotRenewable(cause=f"残り {days} 日 / {days} days left")
    key = certificates.requested_key(csr)
    leaf = node.authority.issue(
        key, partner.name, institution=partner.code, now=now, since=renewal.since(now)
    )
    with db_index.write() as db:
        registry.put_certificate(db, partner.code, leaf, ours=True)
    log.info("certificate of institution %s renewed", partner.code)
    return certificates.to_pem(leaf)


def standing(node: Node, db_index: Index, clock: Clock = utc) -> dict[str, Any]:
    """Return what ``status`` says of certificates and lists.

    Returns
    -------
    dict
        ``certificate_days`` (None: unreadable), ``lists``, ``warnings`` (ja, en).
    """
    days: int | None = None
    with contextlib.suppress(TodokeError, OSError, ValueError):
        days = renewal.days_left(renewal.leaf_of(node.credentials), clock())
    lists = Lists(db_index, node.ca, node.revocation_list, clock).standings()
    warnings: list[tuple[str, str]] = []
    limit = None if days is None else renewal.warning(days)
    if days is None or limit is not None:
        warnings.append(
            (f"受信側の証明書の残り: {days} 日", f"certificate of this receiver: {days} days left")
        )
    for one in filter(revocation.is_trouble, lists):
        of = one.of or "CA"
        warnings.append(
            (
                f"失効リスト {of}: {one.age} {one.path}",
                f"revocation list {of}: {one.age} {one.path}",
            )
        )
    warnings += [_ending(one, limit) for one, limit in _endings(db_index, clock())]
    return {
        "certificate_days": days,
        "lists": [asdict(one) for one in lists],
        "warnings": warnings,
    }


def _endings(db_index: Index, now: datetime) -> list[tuple[registry.Partner, int]]:
    """Return the partners whose certificate ends soon, and in under how many days."""
    found = []
    for one in registry.list_partners(db_index):
        if one.expires_at is not None:
            days = (datetime.fromisoformat(one.expires_at) - now).days
            if (limit := renewal.warning(days)) is not None:
                found.append((one, limit))
    return found


def _ending(one: registry.Partner, limit: int) -> tuple[str, str]:
    return (
        f"{one.name} の証明書の残り {limit} 日未満",
        f"{one.name}: certificate ends in under {limit} days",
    )


class Upkeep:
    """Looks every few seconds, in a thread of its own.

    Parameters
    ----------
    lists : Lists
    trail : Trail
        For alarms.
    contexts : sequence of Following
        Of this process's listeners: so an unusable file is seen before anybody connects.
    clock : callable
        The moment, aware.
    """

    def __init__(
        self,
        node: Node,
        db_index: Index,
        lists: Lists,
        trail: audit.Trail,
        contexts: Sequence[tls.Following] = (),
        clock: Clock = utc,
    ) -> None:
        self._node = node
        self._index = db_index
        self._lists = lists
        self._trail = trail
        self._contexts = contexts
        self._clock = clock
        self._said: set[tuple[str, ...]] = set()
        self.rounds = Rounds("upkeep", self.look, LOOK, db_index, trail.note)

    def look(self) -> None:
        """Renew what is due, and say once what cannot be."""
        now = self._clock()
        for part in (self._renew_list, self._renew_own, self._watch_lists, self._watch_partners):
            try:
                part(now)
            except Exception as failure:  # one that fails stops neither the others nor a door
                words = str(failure) if isinstance(failure, TodokeError) else ""
                name = part.__name__.strip("_")
                self._alarm(name, f"{name}: {type(failure).__name__} {words}".strip())
        for context in self._contexts:
            context()

    def _renew_list(self, now: datetime) -> None:
        revocation.renew(self._node, self._index, now=now)

    def _renew_own(self, now: datetime) -> None:
        try:
            leaf = renewal.leaf_of(self._node.credentials)
        except (TodokeError, OSError, ValueError):
            return  # the context says so, and keeps the one before
        ours = leaf.issuer == certificates.from_pem(self._node.ca).subject
        if ours and renewal.days_left(leaf, now) < renewal.RENEW_DAYS:
            hosts = setup.subject_hosts(Receiver.load(self._node.data))
            self._node.issue_own(hosts, now=now)
            self._trail.note("certificate-renewed", days=renewal.days_left(leaf, now))

    def _watch_lists(self, _now: datetime) -> None:
        for one in self._lists.standings():
            if revocation.is_trouble(one):
                until = f" {one.until}" if one.until else ""
                cause = f"失効リスト / revocation list: {one.age}{until} {one.cause}".strip()
                self._alarm(f"list {one.of}", cause, institution=one.of, path=one.path)

    def _watch_partners(self, now: datetime) -> None:
        for one, limit in _endings(self._index, now):
            self._alarm(
                f"certificate {one.code}", " / ".join(_ending(one, limit)), institution=one.code
            )

    def _alarm(self, of: str, cause: str, **facts: Any) -> None:
        """Note an alarm, once for each cause."""
        if (of, cause) in self._said:
            return
        self._said.add((of, cause))
        log.error("%s: %s", of, cause)
        self._trail.note("alarm", of=of, cause=cause, **facts)
