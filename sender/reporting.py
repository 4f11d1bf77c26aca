"""A month of this sender: what it sent, and what its partners said of it (SUB-10, EVD-04).

A transfer belongs to the month in which it was put into the outbox, in all columns.
"""

from __future__ import annotations

import contextlib
from datetime import tzinfo
from pathlib import Path
from typing import Any

from common import usage
from common.errors import IntegrityError, ProtocolError, SettingsError
from common.proof import jws, record
from common.proof.identity import Node
from common.proof.role import Role
from common.states import TransferState
from common.usage import Month, Use
from sender.outbox import Outbox, Transfer
from sender.partners import Partner, load_partners
from sender.recorded import Row

SOURCES = {
    "sent": (
        "この送信側の送信箱 (すべての画像が相手に届いたもの)",
        "this sender's outbox (every image reached the partner)",
    ),
    "countersigned": (
        "相手の署名鍵で確かめた副署または受領証",
        "countersigned records, or receipts, that verify under the partner's signing key",
    ),
    "opened": (
        "相手が伝えた、読影者による開封 (受領とは数えない)",
        "what the partner tells of its readers (never counts as receipt)",
    ),
    "done": ("相手が伝えた、読影者による完了", "what the partner tells of its readers"),
}
_NOT_SENT = {TransferState.FAILED, TransferState.HELD, TransferState.RECALLED}


def month(data: Path, name: str, zone: tzinfo | None = None) -> Month:
    """Return the report of a month.

    Parameters
    ----------
    name : str
        YYYY-MM.
    zone : tzinfo, optional
        Whose months; by default that of this machine.

    Raises
    ------
    UsageError, NotInitialised
    """
    of = usage.span(name, zone)
    node = Node.load(data, Role.REQUESTER)
    partners: dict[str, Partner] = {}
    with contextlib.suppress(SettingsError):  # whoever sends is told; what was sent still counts
        partners = {one.key: one for one in load_partners(data)}
    made = usage.now()
    report = Month(
        name, node.institution, node.role, made.isoformat(timespec="seconds"), str(of[0].tzinfo),
        SOURCES,
    )  # fmt: skip
    with contextlib.closing(Outbox(data)) as outbox:
        heard = outbox.readings()
        rows = [row for row in outbox.transfers() if usage.within(row.created, of)]
        sizes = outbox.sizes(row.id for row in rows)
        return usage.add_up(
            report,
            [
                _use(outbox, row, partners.get(row.partner), heard.get(row.id, {}), sizes[row.id])
                for row in rows
            ],
        )


def _use(
    outbox: Outbox,
    row: Transfer,
    partner: Partner | None,
    heard: dict[str, Any],
    size: tuple[int, int],
) -> Use:
    judged: dict[str, Any] = getattr(row, "judgement", None) or {}
    failed = row.error is not None and row.state in _NOT_SENT
    return Use(
        partner=(partner.code or "", partner.name) if partner else ("", row.partner),
        modality=usage.modality(row.attributes, row.kind),
        purpose=row.purpose,
        test=row.test,
        sent=row.delivered is not None,
        countersigned=_countersigned(outbox, row, partner),
        opened=bool(heard.get("opened")),
        done=bool(heard.get("done")),
        images=size[0],
        bytes=size[1],
        seconds=usage.seconds(row.started, row.delivered),
        direct=judged.get("direct"),
        fault=usage.fault(row.error["number"]) if failed and row.error else (),
    )


def _countersigned(outbox: Outbox, row: Transfer, partner: Partner | None) -> bool:
    """Tell whether the partner's receipt is here and is the partner's."""
    if any(_below(one) for one in outbox.records_of(row.id)):
        return True
    if partner is None or not partner.signing_certificate:
        return False
    receipt = outbox.statement(row.id, "receipt")
    if receipt is None:
        return False
    try:
        return bool(jws.verify(receipt, partner.signing_certificate)["transfer"] == row.id)
    except IntegrityError:
        return False


def _below(one: Row) -> bool:
    """Tell whether the partner countersigned a record of images that it read back itself."""
    if one.countersignature is None or one.countersigner is None:
        return False
    try:
        signed = record.read_countersignature(jws.verify(one.countersignature, one.countersigner))
    except (IntegrityError, ProtocolError):
        return False
    return signed.record == one.name and signed.count > 0
