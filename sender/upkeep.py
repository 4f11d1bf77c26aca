"""What a sender keeps good by itself: the certificates that its receivers gave it.

A todoke receiver is asked over the link for the next one, with the present one,
once that has few weeks left; what else is about to end is said while there is time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import RevocationListUnusable, SettingsError, TodokeError
from sender.partners import Partner, load_partners

if TYPE_CHECKING:
    from sender.engine import Engine
    from sender.links.http import LinkClient

log = logging.getLogger("todoke.upkeep")
LOOK = 3600.0  # seconds between two looks
SOON = 5.0  # seconds until what looks amiss in the records is looked at again
_renewing = threading.Lock()


def finish(data: Path) -> None:
    """Complete a renewal that an interruption left half done, before anybody is dialled."""
    from common.proof import renewal

    with contextlib.suppress(SettingsError):  # whoever needs that partner says so
        for partner in load_partners(data):
            renewal.finish(partner.credentials)


def renew(client: LinkClient, partner: Partner, now: datetime | None = None) -> bool:
    """Have our certificate towards a todoke receiver renewed if it is due.

    A failure costs nothing yet, and is tried again with the next connection.

    Parameters
    ----------
    client : LinkClient
        Open, with the present certificate.

    Returns
    -------
    bool
        Whether there is a new one, which the next connection shows.
    """
    from common.proof import certificates, renewal

    with _renewing:
        try:
            leaf = renewal.leaf_of(partner.credentials)
            if renewal.days_left(leaf, now) >= renewal.RENEW_DAYS:
                return False
            from sender.pairing import checked_leaf

            key = certificates.new_key()
            answer = client.renew(certificates.new_request(key, partner.name))
            chain = checked_leaf(answer, partner.ca, key) + partner.ca
            renewal.replace_pair(partner.credentials, certificates.key_to_pem(key), chain)
        except (TodokeError, OSError, ValueError) as failure:
            log.warning("certificate for %s not renewed: %s", partner.key, failure)
            return False
    log.info("certificate for %s renewed", partner.key)
    return True


@dataclass(frozen=True, slots=True)
class Standing:
    """What our certificate towards a partner, and the list of its CA, are worth."""

    partner: str
    certificate_days: int | None  # None: it cannot be read, or there is none
    list_age: str | None  # None without a list
    warnings: list[tuple[str, str]] = field(default_factory=list)  # ja, en


def standings(data: Path, now: datetime | None = None) -> list[Standing]:
    """Return how each partner's certificates stand."""
    now = now or datetime.now(UTC)
    return [_standing(partner, now) for partner in load_partners(data)]


def _standing(partner: Partner, now: datetime) -> Standing:
    from common.proof import renewal, revocation

    days: int | None = None
    age: str | None = None
    warnings: list[tuple[str, str]] = []
    with contextlib.suppress(TodokeError, OSError, ValueError):
        days = renewal.days_left(renewal.leaf_of(partner.credentials), now)
        if (limit := renewal.warning(days)) is not None:
            warnings.append(
                (f"証明書の残り {limit} 日未満", f"certificate ends in under {limit} days")
            )
    if partner.crl:
        try:
            age = revocation.read_list(Path(partner.crl), partner.ca).age(now)
        except RevocationListUnusable as error:
            age = "unusable"
            log.debug("list of %s: %s", partner.key, error)
        if age != revocation.Age.FRESH:
            words = f"{partner.crl}: {age}"
            warnings.append((f"失効リスト {words}", f"revocation list {words}"))
    return Standing(partner.key, days, age, warnings)


@contextlib.contextmanager
def keeping(engine: Engine) -> Iterator[None]:
    """Look after the certificates for as long as the daemon runs."""
    stop = threading.Event()
    keeper = Keeper(engine)

    def run() -> None:
        while True:
            keeper.look()
            if stop.wait(SOON if keeper.unsure else LOOK):
                return

    thread = threading.Thread(target=run, name="upkeep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


class Keeper:
    """Renews what is due; alarms what cannot be renewed and records that are amiss, each once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._said: set[tuple[str, str]] = set()
        self._records_of = ""  # day on which records were last looked through
        self._suspected: set[tuple[str, str, int | None]] = set()
        self.unsure = False

    def look(self, now: datetime | None = None) -> None:
        """Look once; nothing that goes wrong here stops the sender."""
        from common.proof import renewal

        try:
            for partner in load_partners(self._engine.data):
                if partner.kind != "todoke":
                    continue
                leaf = renewal.leaf_of(partner.credentials)
                if renewal.days_left(leaf, now) < renewal.RENEW_DAYS:
                    self._renew(partner)
            for one in standings(self._engine.data, now):
                for _, words in one.warnings:
                    self._alarm(one.partner, words)
            self._check_records()
        except (TodokeError, OSError, ValueError) as failure:
            log.error("upkeep: %s", failure)

    def _check_records(self) -> None:
        """Look once a day for records that are missing or were edited (EVD-06)."""
        from sender import record_checking
        from sender.recorded import today

        if self._records_of == today():
            return
        data, outbox = self._engine.data, self._engine.outbox
        found = [
            one
            for key in record_checking.partners(data, outbox)
            for one in record_checking.ledger(data, outbox, key).check()
        ]
        seen = {(one.partner, one.kind, one.number) for one in found}
        self.unsure = bool(seen - self._suspected)  # a record may just be written
        self._suspected = seen
        if not self.unsure:
            self._records_of = today()
            for one in found:
                self._alarm(one.partner, f"{one.ja} / {one.en}")

    def _renew(self, partner: Partner) -> None:
        from sender.delivery import Delivery

        ours = self._engine.outbox, self._engine.node, self._engine.settings
        with contextlib.suppress(TodokeError):  # unreachable: again at the next look
            Delivery(*ours, partner, self._engine.stop).connect().close()

    def _alarm(self, partner: str, words: str) -> None:
        from common import audit

        if (partner, words) in self._said:
            return
        self._said.add((partner, words))
        log.error("%s: %s", partner, words)
        with contextlib.closing(audit.Trail(self._engine.data / "audit", "upkeep")) as trail:
            trail.note("alarm", of=partner, cause=words)
