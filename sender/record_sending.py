"""Records on their way to the receiver: made when a transfer has ended, sent, countersigned.

Beside the deliveries and never before one: a transfer waits for no record.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import clocks, durable
from common.clocks import Clock
from common.errors import (
    FalseCountersignature,
    IntegrityError,
    NotFound,
    ProtocolError,
    RecordDiffers,
    RecordOrder,
    TodokeError,
)
from common.proof import jws, record, record_file
from common.request import forbidden
from common.states import TransferState
from sender import record_making
from sender.links.http import LinkClient, OutOfOrder
from sender.outbox import Outbox
from sender.partners import Partner
from sender.recorded import AnchorRow, Row, today

if TYPE_CHECKING:
    from sender.delivery import Delivery

log = logging.getLogger("todoke.records")
FOLDER = "evidence"
REASON = 200  # letters of why something is taken back


@dataclass(slots=True)
class Recorder:
    """Makes and sends what is owed of records to one partner.

    Parameters
    ----------
    delivery : Delivery
        To that partner; its connection is asked for once, for all of them.
    day : callable
        Returns the day that is not over: those before it are anchored.
    """

    delivery: Delivery
    day: Callable[[], str] = today

    @property
    def outbox(self) -> Outbox:
        """Where they are kept."""
        return self.delivery.outbox

    @property
    def partner(self) -> Partner:
        """To whom they go."""
        return self.delivery.partner

    def work(self) -> int:
        """Do all that is owed; return the number of records that were made or answered.

        Raises
        ------
        TodokeError
            Something stays owed, and is tried again.
        """
        maker = record_making.Maker(self.outbox, self.delivery.node, self.partner)
        if self.partner.kind != "todoke":
            return self._make(maker, None) + self._anchor(maker)
        with contextlib.closing(self.delivery.connect()) as client:
            self._recall(client)
            clock = clocks.measure(
                lambda: str(client.hello().get("time")), self.delivery.settings.clock_bound_ms
            )
            done = self._make(maker, clock)
            done += self._send(client)
            done += self._anchor(maker)
            done += self._send_anchors(client)
        return done

    # -- making ---------------------------------------------------------------

    def _make(self, maker: record_making.Maker, clock: Clock | None) -> int:
        self._mend()
        made = 0
        for transfer, when in self.outbox.unrecorded(self.partner.key):
            made += maker.make(self.outbox.transfer(transfer), when, clock)
            for row in self.outbox.newest_record(self.partner.key):
                self._stamp(row)
            for row in self.outbox.newest_record(self.partner.key):
                keep_file(self.outbox, row)
        return made

    def _mend(self) -> None:
        """Write the newest record as a file, where a crash came between the two."""
        for row in self.outbox.newest_record(self.partner.key):
            if not path_of(self.outbox.path.parent, row).exists():
                keep_file(self.outbox, row)

    def _stamp(self, row: Row) -> None:
        """Have the root timestamped, where the site has an authority; no record fails by it."""
        url = self.delivery.settings.timestamp_url
        root = jws.payload(row.statement)["instances"]["root"]
        if not url or not root:
            return
        from sender import timestamps

        try:
            self.outbox.timestamped(row, timestamps.stamp(url, bytes.fromhex(root)))
        except TodokeError as error:
            log.error("record %s of %s has no timestamp: %s", row.number, row.partner, error)

    def _anchor(self, maker: record_making.Maker) -> int:
        days = self.outbox.unanchored(self.partner.key, self.day())
        for day in days:
            maker.anchor(day)
        return len(days)

    # -- sending --------------------------------------------------------------

    def _recall(self, client: LinkClient) -> None:
        """Say first of all what was recalled: it is to be hidden, whatever the clocks say."""
        for name, _when in self.outbox.unrecorded(self.partner.key):
            transfer = self.outbox.transfer(name)
            opened = self.outbox.statement(name, "opening") is not None
            if transfer.state is TransferState.RECALLED and opened:
                said = transfer.request["recalled"]
                reason = str(said.get("reason", ""))[:REASON]
                words = {"by": said["by"], "reason": "" if forbidden(reason) else reason}
                with contextlib.suppress(NotFound):  # it never heard of it
                    client.ask("POST", f"/transfers/{name}/recall", words)

    def _send(self, client: LinkClient) -> int:
        """Send every record that is not answered, in order; the receiver may ask for older ones."""
        sent = 0
        waiting = self.outbox.uncountersigned(self.partner.key)
        asked: set[int] = set()
        while waiting and not self.delivery.stop.is_set():
            row = waiting.pop(0)
            try:
                self._send_one(client, row)
                sent += 1
            except OutOfOrder as order:
                before = self.outbox.records(self.partner.key, order.number)
                if order.number in asked or not before or before[0].number != order.number:
                    cause = f"{self.partner.key}: {row.number}, 相手 / partner {order.number}"
                    raise RecordOrder(cause=cause) from order
                asked.add(order.number)
                waiting = before
            except (RecordDiffers, FalseCountersignature) as error:
                # said for good, so that one record holds up none of those after it
                log.error("record %s of %s: %s", row.number, row.partner, error)
                self.outbox.refused_record(row, error)
                sent += 1
        return sent

    def _send_one(self, client: LinkClient, row: Row) -> None:
        transfer = self.outbox.transfer(row.transfer)
        leaves = record_making.leaves(self.outbox, transfer)
        words = {"record": row.statement, "roles": list(leaves.roles)}
        answer = client.ask("POST", f"/transfers/{row.transfer}/record", words)
        signed = _text(answer, "countersignature")
        signer = self.partner.signing_certificate
        believe(row.statement, signed, signer)
        # the file first: what is not committed yet is asked for again, and written again
        keep_file(self.outbox, replace(row, countersignature=signed, countersigner=signer))
        self.outbox.countersigned(row, signed, signer)

    def _send_anchors(self, client: LinkClient) -> int:
        anchors = self.outbox.anchors(self.partner.key)
        owed = [one for one in anchors if one.countersignature is None and one.refused is None]
        for row in owed:
            self._send_anchor(client, row)
        return len(owed)

    def _send_anchor(self, client: LinkClient, row: AnchorRow) -> None:
        signer = self.partner.signing_certificate
        try:
            answer = client.ask("POST", "/anchors", {"anchor": row.statement})
            signed = _text(answer, "countersignature")
            with _believed():
                found = record.read_anchor_countersignature(jws.verify(signed, signer))
                made = record.read_anchor(jws.payload(row.statement))
                _same((found.anchor, found.count, found.root), (row.name, made.count, made.root))
        except (RecordDiffers, FalseCountersignature) as error:
            log.error("anchor %s of %s: %s", row.day, row.partner, error)
            self.outbox.refused_record(row, error)
            return
        self.outbox.countersigned(row, signed, signer)


def _text(answer: dict[str, Any], member: str) -> str:
    if not isinstance(answer.get(member), str):
        raise ProtocolError(cause=member)
    return str(answer[member])


def believe(statement: str, signed: str, signer: str) -> None:
    """Check that a partner countersigned this very record, and read back what was sent.

    Parameters
    ----------
    statement, signed : str
        The record and what the partner answered, JWS.
    signer : str
        Signing certificate of the partner, PEM.

    Raises
    ------
    FalseCountersignature
    """
    with _believed():
        found = record.read_countersignature(jws.verify(signed, signer))
        made = record.read_record(jws.payload(statement))
        _same(
            (found.record, found.transfer, found.number, found.sender, found.receiver),
            (record.name(statement), made.transfer, made.number, made.sender["code"],
             made.receiver["code"]),
        )  # fmt: skip
        if made.statements["receipt"]:
            ours = made.instances["count"], made.instances["root"]
            _same((found.count, found.root), ours)


@contextlib.contextmanager
def _believed() -> Iterator[None]:
    """Say of a countersignature that does not hold that it is none, not that it may come yet."""
    try:
        yield
    except (IntegrityError, ProtocolError) as error:
        raise FalseCountersignature(cause=str(error.facts.get("cause", ""))) from error


def _same(said: object, ours: object) -> None:
    if said != ours:
        raise IntegrityError(cause="of something else")


# -- files --------------------------------------------------------------------


def kept(outbox: Outbox, row: Row) -> record_file.Kept:
    """Return all that is kept of a record."""
    data = outbox.path.parent
    transfer = outbox.transfer(row.transfer)
    key = record_making.key(data, transfer.id)
    leaves = record_making.leaves(outbox, transfer)
    return record_file.Kept(
        record=row.statement,
        countersignature=row.countersignature,
        sender=row.certificate,
        receiver=row.countersigner,
        leaves=leaves,
        count=len(leaves),
        subject={
            "key": key.hex(),
            "patient": record_making.patient_of(transfer.attributes),
            "study": transfer.study,
            "said": row.said,
        },
        timestamp=row.timestamp,
        anchors=_anchors(outbox, row),
    )


def _anchors(outbox: Outbox, row: Row) -> list[dict[str, Any]]:
    for one in outbox.anchors(row.partner):
        if one.first <= row.number <= one.last:
            names = [r.name for r in outbox.records(row.partner, one.first) if r.number <= one.last]
            place = row.number - one.first
            made = record_file.anchor_entry(one.statement, one.countersignature, names, place)
            return [made]
    return []


def path_of(data: Path, row: Row) -> Path:
    """Return where a record lies as a file, beside the outbox."""
    return data / FOLDER / row.partner / f"{row.number:08d}.json"


def keep_file(outbox: Outbox, row: Row) -> None:
    """Write a record as a file: who backs the data directory up has it without the outbox."""
    path = path_of(outbox.path.parent, row)
    durable.make_folder(path.parent)
    record_file.save(path, record_file.build(kept(outbox, row)))
