"""Tells a receiver that a transfer it has begun to take is held, or has failed, at this end.

Else its list would say 送信中 for ever of half a study.  Owed until it is told: by the one
that ended the transfer, or by the daemon's next look.  Opening the transfer again lifts it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from common.errors import NoNewsThere, NotFound, PatientBlocked, TodokeError
from common.states import TransferState
from sender.heard import Heard

if TYPE_CHECKING:
    from sender.delivery import Delivery
    from sender.links.http import LinkClient
    from sender.outbox import Outbox, Transfer

STOPPED = (TransferState.HELD, TransferState.FAILED)
#: What a transfer's `stopped` statement says once this end of it was told.
_SAID = "t.state || ' ' || t.finished"
_OWED = f"""
SELECT t.id FROM transfers t WHERE t.state IN ('held', 'failed') AND t.finished IS NOT NULL
  AND EXISTS(SELECT 1 FROM statements s WHERE s.transfer=t.id AND s.kind='opening')
  AND NOT EXISTS(
    SELECT 1 FROM statements s WHERE s.transfer=t.id AND s.kind='stopped' AND s.text={_SAID})
  AND t.partner=? ORDER BY t.finished
"""  # noqa: S608 - nothing of it comes from outside


class Stopped(Heard):
    """The part of the outbox that knows which receivers have yet to hear of a stop."""

    def untold(self, partner: str) -> list[str]:
        """Return the transfers that ended here and whose receiver still waits for the rest."""
        return [str(row[0]) for row in self._rows(_OWED, partner)]


def tell_all(outbox: Outbox, client: LinkClient, partner: str) -> None:
    """Tell a receiver of every stop that it has not heard of.

    Raises
    ------
    PeerError
        It could not be reached: tried again later.
    """
    for name in outbox.untold(partner):
        _tell(outbox, client, outbox.transfer(name))


def tell_now(work: Delivery) -> None:
    """Tell at once what is owed to a delivery's partner; what cannot be told stays owed."""
    partner = work.partner
    if partner.kind != "todoke" or not work.outbox.untold(partner.key):
        return
    with contextlib.suppress(TodokeError), contextlib.closing(work.connect()) as client:
        tell_all(work.outbox, client, partner.key)


def _tell(outbox: Outbox, client: LinkClient, one: Transfer) -> None:
    number = (one.error or {}).get("number", "")
    if number == PatientBlocked.number:
        number = ""  # what a patient has asked of this hospital is nobody else's
    with contextlib.suppress(NoNewsThere, NotFound):  # an older receiver, or it knows nothing of it
        client.stopped(one.id, number)
    outbox.keep(one.id, stopped=f"{one.state} {one.finished}")
    if outbox.transfer(one.id).state not in STOPPED:  # it goes on meanwhile, and so it must there
        client.open(outbox.statement(one.id, "opening") or "")
