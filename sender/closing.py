"""Closing a transfer: our digests signed, and the receipt compared with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common import link, request
from common.errors import IntegrityError
from common.link import Closing, Digest
from common.proof import jws
from common.states import TransferState
from sender import line_facts
from sender.links.http import LinkClient
from sender.outbox import Transfer, now

if TYPE_CHECKING:
    from sender.delivery import Delivery


def conclude(
    of: Delivery,
    client: LinkClient,
    transfer: Transfer,
    found: list[Digest],
    source: dict[str, Any],
) -> None:
    """Sign the closing, wait for the receipt and compare it with our own digests.

    Raises
    ------
    Incomplete, Unequal
        The receiver misses something, or read something else back.
    IntegrityError
        The receipt is of something else.
    """
    named = _closing(of, transfer.id, found, source)
    signed = client.complete(transfer.id, lambda: of.outbox.statement(transfer.id, "closing") or "")
    while signed is None:
        if of.stop.is_set():
            return
        signed = client.receipt(transfer.id)
    receipt = link.read_receipt(
        jws.verify(signed, of.partner.signing_certificate, link.digests(found))
    )
    ours = transfer.id, of.node.institution.code, of.partner.code, named
    if (receipt.transfer, receipt.sender, receipt.receiver, receipt.closing) != ours:
        raise IntegrityError(cause="receipt of something else")
    asked = transfer.priority, transfer.purpose, transfer.request
    if not request.agrees(receipt.facts, *asked):
        raise IntegrityError(cause="request")
    unequal = link.compare(found, receipt.instances)
    if unequal:
        of.differ(transfer, unequal)
    of.outbox.set_state(
        transfer.id,
        TransferState.RECEIPTED,
        receipt=signed,
        facts=line_facts.words(of.lines, of.partner),
        digests_equal=1,
        finished=now(),
        error=None,
    )


def _closing(of: Delivery, transfer: str, found: list[Digest], source: dict[str, Any]) -> str:
    """Keep the signed closing and return its name; the same findings keep the one before.

    A receipt that was made while we were away answers that one.
    """
    kept = of.outbox.statement(transfer, "closing")
    if kept is not None:
        said = link.read_closing(jws.verify(kept, of.node.signing_certificate, link.digests(found)))
        if (said.instances, said.source) == (tuple(found), source):
            return jws.name(kept)
    made = Closing(transfer, tuple(found), source, now())
    statement = jws.sign(link.words(made), of.node)
    of.outbox.keep(transfer, closing=statement)
    return jws.name(statement)
