"""One transfer to its end: opened, sent, closed, and the receipt compared with our own digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import link, tls
from common.errors import (
    ContextNotAccepted,
    IntegrityError,
    PeerError,
    PeerUnreachable,
    SourceChanged,
    TodokeError,
)
from common.link import Closing, Digest, Opening, Slot
from common.proof import jws
from common.proof.identity import Node
from common.settings import Sender
from common.states import TransferState
from sender.links import dicom
from sender.links.http import Incomplete, LinkClient, Unequal
from sender.outbox import Acknowledgements, Instance, Outbox, Transfer, now
from sender.partners import Partner

if TYPE_CHECKING:
    from sender.slides import Slide

ROUNDS = 3  # times that a receiver may say it misses something after all
AGAIN = 1  # times that instances with other digests are sent once more
VERSION_FACT = "software"


@dataclass(slots=True)
class Delivery:
    """Delivers transfers to one partner.

    Attributes
    ----------
    stop : threading.Event
        Set to end soon; what was acknowledged stays so.
    """

    outbox: Outbox
    node: Node
    settings: Sender
    partner: Partner
    stop: threading.Event

    def deliver(self, transfer: Transfer) -> None:
        """Bring a transfer to its end, from wherever it was.

        Raises
        ------
        TodokeError
            Retryable or not, as its class says.
        """
        if transfer.state is TransferState.QUEUED:
            self.outbox.set_state(
                transfer.id, TransferState.SENDING, started=transfer.started or now(), error=None
            )
        if self.partner.kind == "todoke":
            self._over_link(transfer)
        else:
            self._objects_alone(transfer)

    # -- an end that is no todoke -------------------------------------------

    def _objects_alone(self, transfer: Transfer) -> None:
        if transfer.kind == "slide":
            raise ContextNotAccepted(cause="a slide needs a todoke receiver")
        while True:
            owed = [i for i in self.outbox.instances(transfer.id) if not i.acked]
            # each try begins elsewhere: an object at which the peer breaks off holds up no other
            turn = transfer.attempts % max(1, len(owed))
            self._store(transfer, owed[turn:] + owed[:turn])
            if not self.partner.commit:
                self.outbox.set_state(transfer.id, TransferState.DELIVERED, finished=now())
            elif not self._settle(transfer):
                continue  # instances that were not committed to are owed again
            return

    def _settle(self, transfer: Transfer) -> bool:
        from sender.commitment import Settling

        minutes = self.settings.commit_minutes
        to = self._destination()
        return Settling(self.outbox, self.partner, to, minutes, self.stop).settle(transfer.id)

    def _store(self, transfer: Transfer, owed: list[Instance]) -> None:
        if not owed:
            return

        kept = Acknowledgements(self.outbox, transfer.id)

        def acknowledged(instance: Instance) -> None:
            kept.add(instance.sop_uid)
            if self.stop.is_set():
                raise PeerError(cause="stopped")

        try:
            refused = dicom.send(self._destination(), owed, acknowledged)
        finally:
            kept.flush()
        if refused:
            raise next((e for e in refused if e.retryable), refused[0])

    def _destination(self) -> dicom.Destination:
        partner = self.partner
        own = partner.credentials
        context = tls.client_context(
            own if own.key.exists() else None,
            [partner.ca],
            profile=self.settings.profile,
            check_host=not partner.leaf,
        ) if partner.ca else None  # fmt: skip
        address = (self._address(), partner.dicom_port)
        titles = partner.calling_aet, partner.aet
        even = partner.kind != "todoke"
        return dicom.Destination(address, partner.host, context, *titles, even=even)

    def _address(self) -> str:
        return self.partner.addresses[0]

    # -- between two todoke ends --------------------------------------------

    @contextlib.contextmanager
    def _link(self) -> Iterator[LinkClient]:
        """Connect to the first address of the partner that answers."""
        partner = self.partner
        context = tls.client_context(
            partner.credentials, [partner.ca], profile=self.settings.profile
        )
        failure: TodokeError = PeerUnreachable(peer=partner.key, cause="no address")
        for address in partner.addresses:
            with LinkClient(address, partner.link_port, partner.host, context) as client:
                try:
                    client.hello()
                except PeerUnreachable as unreachable:
                    failure = unreachable
                    continue
                self.partner = replace(partner, addresses=(address,))
                yield client
                return
        raise failure

    def _over_link(self, transfer: Transfer) -> None:
        with self._link() as client, self._slide(transfer) as slide:
            instances = self.outbox.instances(transfer.id)
            client.open(transfer.opening or self._opening(transfer, instances, slide))
            sent_again = 0
            for _ in range(ROUNDS):
                if slide is None:
                    self._send_instances(client, transfer)
                    found = [_digest(i) for i in self.outbox.instances(transfer.id)]
                    source: dict[str, Any] = {}
                else:
                    found, source = self._send_slide(client, transfer, slide)
                if self.stop.is_set():
                    return
                self.outbox.set_state(transfer.id, TransferState.DELIVERED)
                try:
                    self._close(client, transfer, found, source)
                    return
                except Incomplete as missing:
                    uids = missing.uids
                except Unequal as unequal:
                    uids = unequal.uids
                    sent_again += 1
                    if sent_again > AGAIN:
                        self._differ(transfer, uids)
                self.outbox.acknowledged(transfer.id, uids, held=0)
                self.outbox.set_state(transfer.id, TransferState.SENDING)
            raise IntegrityError(cause="acknowledged, but missing at the receiver")

    def _differ(self, transfer: Transfer, uids: list[str]) -> None:
        self.outbox.keep(transfer.id, digests_equal=0)
        raise IntegrityError(cause=f"{len(uids)}: {uids[0] if uids else ''}")

    @contextlib.contextmanager
    def _slide(self, transfer: Transfer) -> Iterator[Slide | None]:
        if transfer.slide is None:
            yield None
            return
        from sender import slides

        case = slides.SlideCase.from_json(json.loads(transfer.slide))
        path = Path(self.outbox.instances(transfer.id)[0].path)
        with contextlib.closing(slides.open_slide(path, case)) as slide:
            known = self.outbox.instances(transfer.id)
            stat = path.stat()
            if any((i.size, i.mtime_ns) != (stat.st_size, stat.st_mtime_ns) for i in known):
                raise SourceChanged(path=path)
            yield slide

    def _opening(self, transfer: Transfer, instances: list[Instance], slide: Slide | None) -> str:
        """Sign the opening and keep it before it is sent, so that it is always the same."""
        if slide is None:
            slots = [
                Slot(i.sop_uid, i.sop_class, i.transfer_syntax, i.series, i.number, i.length)
                for i in instances
            ]
        else:
            slots = [
                Slot(
                    i.sop_uid, i.sop_class, i.transfer_syntax, i.series, i.number,
                    frames=level.frames,
                    header=_base64(level.header),
                    prefix=_base64(level.prefix),
                )
                for i, level in zip(instances, slide.instances, strict=True)
            ]  # fmt: skip
        opening = Opening(
            transfer=transfer.id,
            kind=transfer.kind,
            sender=self.node.institution.code,
            receiver=self.partner.code or "",
            study=transfer.study,
            attributes=transfer.attributes,
            instances=tuple(slots),
            priority=transfer.priority,
            purpose=transfer.purpose,
            test=transfer.test,
            request=transfer.request,
            opened_at=now(),
        )
        signed = jws.sign(link.words(opening), self.node)
        self.outbox.keep(transfer.id, opening=signed)
        return signed

    def _send_instances(self, client: LinkClient, transfer: Transfer) -> None:
        missing, _ = client.missing(transfer.id)
        instances = self.outbox.instances(transfer.id)
        held = [i.sop_uid for place, i in enumerate(instances) if place not in missing]
        self.outbox.acknowledged(transfer.id, held)
        self._store(transfer, [i for place, i in enumerate(instances) if place in missing])

    def _send_slide(
        self, client: LinkClient, transfer: Transfer, slide: Slide
    ) -> tuple[list[Digest], dict[str, Any]]:
        from sender.links import frames

        held: dict[str, int] = {}
        lock = threading.Lock()

        def more(uid: str, count: int) -> None:
            with lock:
                held[uid] = held.get(uid, 0) + count
                self.outbox.acknowledged(transfer.id, [uid], held[uid])

        with ThreadPoolExecutor(1, thread_name_prefix="digest") as beside:
            digests: Future[list[Digest]] = beside.submit(frames.digests, slide)
            file_set: Future[str] = beside.submit(slide.file_digest)
            frames.Push(client, transfer.id, slide, more, self.stop).run()
            found = digests.result()
            source = {"files": len(slide.files), "sha256": file_set.result()}
        slide.check()
        for known in found:
            self.outbox.digested(transfer.id, known.uid, known.d1, known.root)
        return found, source

    def _close(
        self, client: LinkClient, transfer: Transfer, found: list[Digest], source: dict[str, Any]
    ) -> None:
        """Sign the closing, wait for the receipt and compare it with our own digests."""
        statement = self._closing(transfer.id, found, source)
        signed = client.complete(transfer.id, statement)
        while signed is None:
            if self.stop.is_set():
                return
            signed = client.receipt(transfer.id)
        receipt = link.read_receipt(jws.verify(signed, self.partner.signing_certificate))
        named = (receipt.transfer, receipt.sender, receipt.receiver, receipt.closing)
        ours = (
            transfer.id,
            self.node.institution.code,
            self.partner.code,
            hashlib.sha256(statement.encode()).hexdigest(),
        )
        if named != ours:
            raise IntegrityError(cause="receipt of something else")
        unequal = link.compare(found, receipt.instances)
        if unequal:
            self._differ(transfer, unequal)
        self.outbox.set_state(
            transfer.id,
            TransferState.RECEIPTED,
            receipt=signed,
            digests_equal=1,
            finished=now(),
            error=None,
        )

    def _closing(self, transfer: str, found: list[Digest], source: dict[str, Any]) -> str:
        """Return the signed closing; the same findings keep the one signed before.

        A receipt that was made while we were away answers that one.
        """
        kept = self.outbox.transfer(transfer).closing
        if kept is not None:
            said = link.read_closing(jws.verify(kept, self.node.signing_certificate))
            if (said.instances, said.source) == (tuple(found), source):
                return kept
        closing = Closing(transfer, tuple(found), source, now())
        statement = jws.sign(link.words(closing), self.node)
        self.outbox.keep(transfer, closing=statement)
        return statement


def _digest(instance: Instance) -> Digest:
    return Digest(instance.sop_uid, instance.length, instance.d1 or "", instance.d2, instance.d3)


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode("ascii")
