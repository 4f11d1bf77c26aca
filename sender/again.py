"""What a receiver lost after its receipt, sent again from the source if it is still what it was.

A receiver reads what it stores again and again; what its disk has damaged it asks for.
It cannot dial: we ask it, on a connection that we open, and hear what its readers did.
The transfer stays as it was; only where the source is gone or changed does it go to
inquiry (照会).
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from common.errors import (
    InputError,
    NotFound,
    NotRepairable,
    PatientBlocked,
    PeerRefused,
    TodokeError,
    UsageError,
)
from common.states import TransferState
from sender import sources
from sender.outbox import Instance, Transfer, fault
from sender.safety.blocked import Blocked

if TYPE_CHECKING:
    from sender.delivery import Delivery
    from sender.links.http import LinkClient

log = logging.getLogger("todoke.again")
EVERY = 300.0  # seconds between two questions to a partner


def send_wanted(delivery: Delivery) -> int:
    """Ask a partner what it wants again, and send it; return the number of instances sent.

    Raises
    ------
    TodokeError
        It cannot be reached, or refuses; asked again later.
    GaveWay
        Something more urgent has the line.
    """
    sent = 0
    with contextlib.closing(delivery.connect()) as client:
        news = client.news(delivery.outbox.heard_until(delivery.partner.key))
        delivery.outbox.hear(delivery.partner.key, news.states, news.until)
        for transfer_id, uids in news.wanted:
            transfer = _ours(delivery, transfer_id)
            if transfer is None:
                client.gone(transfer_id, uids)
                continue
            gone = _send(delivery, client, transfer, uids)
            if gone:
                _inquire(delivery, client, transfer, gone)
            came = len(uids) - len(gone)
            sent += came
            log.warning("transfer %s: %s of %s sent again", transfer.id, came, len(uids))
    return sent


def _ours(delivery: Delivery, transfer_id: str) -> Transfer | None:
    try:
        transfer = delivery.outbox.transfer(transfer_id)
    except NotFound:
        return None
    same = transfer.id == transfer_id and transfer.partner == delivery.partner.key
    if not same:
        return None
    try:
        Blocked(delivery.outbox.path.parent).check(transfer.attributes)
    except PatientBlocked:  # an objection made since holds for what is sent again as well
        return None
    return transfer


def _send(delivery: Delivery, client: LinkClient, transfer: Transfer, uids: list[str]) -> list[str]:
    """Send instances of a transfer again; return those whose source is not what it was."""
    if transfer.kind == "slide":
        try:
            delivery.send_frames(client, transfer)
        except (InputError, OSError):
            return uids
        return []
    asked = set(uids)
    known = [one for one in delivery.outbox.instances(transfer.id) if one.sop_uid in asked]
    sound = [one for one in known if _as_it_was(one)]
    try:
        delivery.store(transfer, sound)
    except PeerRefused as refused:
        # other bytes than those that it receipted: it says so again, and we do not insist
        log.error("transfer %s: %s", transfer.id, refused.number)
        return uids
    return sorted(asked - {one.sop_uid for one in sound})


def _as_it_was(instance: Instance) -> bool:
    try:
        sources.digests(instance)
    except TodokeError:
        return False
    return True


def _inquire(delivery: Delivery, client: LinkClient, transfer: Transfer, gone: list[str]) -> None:
    client.gone(transfer.id, gone)
    with contextlib.suppress(UsageError):  # from where it stands there is no such move
        delivery.outbox.set_state(
            transfer.id, TransferState.QUERY, error=fault(NotRepairable(cause="source"))
        )
