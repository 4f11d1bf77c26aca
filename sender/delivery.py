"""One transfer to its end: opened, sent, closed, and the receipt compared with our own digests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from common import link, tls
from common.dicom import calling
from common.dicom.channel import Channel
from common.errors import (
    IntegrityError,
    PeerBusy,
    PeerError,
    PeerRefused,
    PeerUnreachable,
    TodokeError,
    UsageError,
)
from common.link import Digest, Opening, Slot
from common.proof import jws
from common.proof.identity import Node
from common.settings import Sender
from common.states import TransferState
from sender import closing, line_facts, slots, sources, upkeep
from sender.acknowledgements import Acknowledgements
from sender.ahead import Ready
from sender.compression.flight import Flight, cores
from sender.links import dicom
from sender.links.http import Incomplete, LinkClient, Unequal
from sender.links.window import Window
from sender.outbox import Instance, Outbox, Transfer, now
from sender.pace import Pace
from sender.partners import Partner
from sender.turns import GaveWay, Turn

if TYPE_CHECKING:
    from sender.slide_delivery import SlideDelivery
    from sender.slides import Slide

ROUNDS = 3  # times that a receiver may say it misses something after all
DIGESTERS = 2  # threads that read sources again; hashing leaves Python to the others
WARM = 4  # connections that a slide needs at once: two levels, wanted frames, a batch
AGAIN = 1  # times that instances with other digests are sent once more


@dataclass(slots=True)
class Delivery:
    """Delivers transfers to one partner.

    Attributes
    ----------
    stop : threading.Event
        Set to end soon; what was acknowledged stays so.
    turn : Turn
        Asked between two instances whether something more urgent has the line.
    window : Window
        The partner's: bytes of frames under way, over all its slides.
    ready : Ready
        What was begun while the job was read.
    pace : Pace
        The partner's, shared with its other deliveries.
    """

    outbox: Outbox
    node: Node
    settings: Sender
    partner: Partner
    stop: threading.Event
    turn: Turn = field(default_factory=Turn)
    pace: Pace = field(default_factory=Pace)
    window: Window = field(default_factory=Window)
    ready: Ready = field(default_factory=Ready)
    lines: dict[str, Any] = field(default_factory=dict, init=False)  # TLS facts for the record
    _last: str = field(default="", init=False)  # when something was last taken

    def deliver(self, transfer: Transfer) -> None:
        """Bring a transfer to its end, from wherever it was.

        Raises
        ------
        TodokeError
            Retryable or not, as its class says.
        GaveWay
            Something more urgent has the line; what was acknowledged stays so.
        """
        if transfer.state is TransferState.ANNOUNCED:
            self._announce(transfer)
            return
        if transfer.state is TransferState.QUEUED:
            self.outbox.set_state(
                transfer.id, TransferState.SENDING, started=transfer.started or now(), error=None
            )
            transfer = self.outbox.transfer(transfer.id)  # its request may have changed till now
        if self.partner.kind != "todoke":
            self._objects_alone(transfer)
        elif transfer.kind == "slide":
            self._by_frames(transfer)
        else:
            self._by_dicom(transfer)

    # -- an end that is no todoke -------------------------------------------

    def _objects_alone(self, transfer: Transfer) -> None:
        with contextlib.ExitStack() as held:
            source: dicom.Opening = sources.FileSource
            if transfer.slide is not None:
                source = partial(sources.LevelSource, held.enter_context(self._slide(transfer)))
            while True:
                owed = [i for i in self.outbox.instances(transfer.id) if not i.acked]
                dicom.check_lengths(owed)
                # each try begins elsewhere: where the peer breaks off holds up no other object
                turn = transfer.attempts % max(1, len(owed))
                self.store(transfer, owed[turn:] + owed[:turn], source=source)
                if self.lines:
                    facts = line_facts.words({"link": None, **self.lines}, self.partner)
                    self.outbox.keep(transfer.id, facts=facts)
                if not self.partner.commit:
                    self._delivered(transfer, finished=now())
                elif not self._settle(transfer):
                    continue  # instances that were not committed to are owed again
                return

    def _delivered(self, transfer: Transfer, **values: Any) -> None:
        """Everything is acknowledged, and was when the last answer came."""
        when = {"delivered": self._last} if self._last else {}
        self.outbox.set_state(transfer.id, TransferState.DELIVERED, **when, **values)

    def _settle(self, transfer: Transfer) -> bool:
        from sender.commitment import Settling

        minutes = self.settings.commit_minutes
        to = self._destination()
        return Settling(self.outbox, self.partner, to, minutes, self.stop).settle(transfer.id)

    def store(
        self,
        transfer: Transfer,
        owed: list[Instance],
        check: Callable[[], None] = lambda: None,
        source: dicom.Opening = sources.FileSource,
    ) -> None:
        """Store instances; `check` is asked with each acknowledgement and raises to end it."""
        if not owed:
            return
        kept = Acknowledgements(self.outbox, transfer.id)
        gave_way = False

        def acknowledged(instance: Instance, d1: str) -> None:
            self._last = now()
            kept.add(instance.sop_uid, d1)
            check()
            if self.stop.is_set():
                raise PeerError(cause="stopped")

        def gives_way() -> bool:
            nonlocal gave_way
            gave_way = gave_way or self.turn.gives_way()
            return gave_way

        try:
            to = replace(self._destination(), flight=self._flight(transfer), source=source)
            refused = dicom.send(to, owed, acknowledged, gives_way)
        finally:
            kept.flush()
        if gave_way:
            raise GaveWay
        if refused:
            raise next((e for e in refused if e.retryable), refused[0])

    def _destination(self) -> dicom.Destination:
        partner = self.partner
        context = dicom.tls_towards(partner, self.settings.profile)
        addresses = tuple((address, partner.dicom_port) for address in partner.addresses)
        titles = partner.calling_aet, partner.aet
        return dicom.Destination(
            addresses,
            partner.host,
            context,
            *titles,
            even=partner.kind != "todoke",
            associations=partner.most_associations(self.settings.associations),
            pieces=self.pace.pieces,
            reach=self._reach,
        )

    def _reach(
        self, address: tuple[str, int], context: Any, hostname: str | None, timeout: float
    ) -> Channel:
        """Give a connection, and keep what the record states of it."""
        dial = self.ready.dialled.reach if self.ready.dialled else calling.reach
        channel = dial(address, context, hostname, timeout)
        self.lines["dicom"] = tls.facts(channel.tls)
        return channel

    def _flight(self, transfer: Transfer) -> Flight | None:
        if self.partner.kind != "todoke":
            return None  # nobody proves what it stores
        encoders = max(0, cores() - self.settings.spare_cores)
        keep = partial(self.outbox.send_as, transfer.id)
        data = self.outbox.path.parent
        return Flight(data, self.partner.key, self.settings.compression, encoders, keep)

    # -- between two todoke ends --------------------------------------------

    def connect(self, *, warm: int = 0) -> LinkClient:
        """Connect to the first address that answers; our certificate is renewed if it is due.

        Parameters
        ----------
        warm : int
            Further connections that will be needed at once.
        """
        partner = self.partner
        context = tls.client_context(
            partner.credentials, [partner.ca], profile=self.settings.profile
        )
        failure: TodokeError = PeerUnreachable(peer=partner.key, cause="no address")
        for address in partner.addresses:
            where = address, partner.link_port, partner.host
            client = LinkClient(*where, context, pace=self.pace)
            client.warm(warm)
            try:
                client.hello()
                upkeep.renew(client, partner)
                return client
            except PeerUnreachable as unreachable:
                failure = unreachable
                client.close()
            except BaseException:
                client.close()
                raise
        raise failure

    def _open(
        self,
        transfer: Transfer,
        slide: Slide | None = None,
        connecting: Future[LinkClient] | None = None,
    ) -> LinkClient:
        """Open the transfer over a new connection, with the same words as before if it was."""
        client = self.connect() if connecting is None else connecting.result()
        self.lines["link"] = client.line
        try:
            kept = self.outbox.statement(transfer.id, "opening")
            client.open(kept or self._opening(transfer, slide))
        except BaseException:
            client.close()
            raise
        self._last = now()
        return client

    def _announce(self, transfer: Transfer) -> None:
        """Tell the receiver what will come, or no longer will; nothing of it is kept as opened."""
        if self.partner.kind != "todoke":
            raise UsageError(cause=f"{self.partner.key}: /link/v1")
        with contextlib.closing(self.connect()) as client:
            client.open(self._signed(transfer, ()))
        self.outbox.announced(transfer)

    def _by_dicom(self, transfer: Transfer) -> None:
        """Send instances by C-STORE, the opening beside and not before them.

        What arrives ahead of its opening is stored, acknowledged and joined to it.
        """
        begun = self.outbox.statement(transfer.id, "opening") is not None
        with ThreadPoolExecutor(1, thread_name_prefix="opening") as beside:
            opening = beside.submit(self._open, transfer)
            try:
                stored = not begun and self._store_ahead(transfer, opening)
                self._rounds(opening.result(), transfer, None, stored=stored)
            except TodokeError:
                _raise_failure(opening, wait=True)  # the reason, if it is one
                raise
            finally:
                if opening.exception() is None:
                    opening.result().close()

    def _store_ahead(self, transfer: Transfer, opening: Future[LinkClient]) -> bool:
        """Store everything while the transfer is being opened; return whether all is held."""
        owed = [i for i in self.outbox.instances(transfer.id) if not i.acked]
        try:
            self.store(transfer, owed, lambda: _raise_failure(opening))
        except PeerRefused:
            return False  # the receiver says over the link what it misses, and why
        return True

    def _by_frames(self, transfer: Transfer) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="link") as beside:
            # two round trips and more, while the slide is opened
            made = self.ready.take_connection()
            connecting = made or beside.submit(self.connect, warm=WARM)
            try:
                with self._slide(transfer) as slide:
                    self._rounds(self._open(transfer, slide, connecting), transfer, slide)
            finally:
                if connecting.exception() is None:
                    connecting.result().close()

    def _rounds(
        self, client: LinkClient, transfer: Transfer, slide: Slide | None, *, stored: bool = False
    ) -> None:
        """Send what is missing and close, until the receiver says that it has all as it was.

        Parameters
        ----------
        stored : bool
            Everything has been sent and acknowledged in this try already.
        """
        sent_again = 0
        for _ in range(ROUNDS):
            found: list[Digest] = []
            source: dict[str, Any] = {}
            if slide is not None:
                sending = self._frames(client, transfer)
                found, source = sending.send(slide, transfer.source_sha256)
                self._last = sending.taken or self._last
            elif not stored:
                self._send_instances(client, transfer)
            stored = False
            if self.stop.is_set():
                return
            self._delivered(transfer)
            try:
                found = found or self._digests(transfer)
                closing.conclude(self, client, transfer, found, source)
                return
            except Incomplete as missing:
                uids = missing.uids
                self._of_others(transfer, uids)
            except Unequal as unequal:
                uids = unequal.uids
                sent_again += 1
                if sent_again > AGAIN:
                    self.differ(transfer, uids)
                self._as_they_are(transfer, uids)
            self.outbox.acknowledged(transfer.id, uids, held=0)
            self.outbox.set_state(transfer.id, TransferState.SENDING)
        raise IntegrityError(cause="acknowledged, but missing at the receiver")

    def _of_others(self, transfer: Transfer, uids: list[str]) -> None:
        """Wait where the receiver misses what another transfer brings: a slide's request form."""
        own = {i.sop_uid for part in self.outbox.parts(transfer.id) for i in part}
        if not own.issuperset(uids):
            raise PeerBusy(cause="依頼票 / request form")

    def _digests(self, transfer: Transfer) -> list[Digest]:
        """Read every source again and digest it whole; D1 must be that of what was sent.

        Raises
        ------
        SourceChanged
        """
        found: list[Digest] = []
        with ThreadPoolExecutor(DIGESTERS, thread_name_prefix="digest") as beside:
            for part in self.outbox.parts(transfer.id):  # what waits in a pool takes memory too
                found += beside.map(sources.digests, part)
        self.outbox.digested(transfer.id, found)
        return found

    def _as_they_are(self, transfer: Transfer, uids: list[str]) -> None:
        """Compress none of these on the way any more."""
        again = [i for i in self.outbox.instances(transfer.id) if i.sop_uid in set(uids)]
        self.outbox.send_as(transfer.id, {i.sop_uid: i.transfer_syntax for i in again})

    def differ(self, transfer: Transfer, uids: list[str]) -> None:
        """Keep that the ends do not agree.

        Raises
        ------
        IntegrityError
        """
        self.outbox.keep(transfer.id, digests_equal=0)
        raise IntegrityError(cause=f"{len(uids)}: {uids[0] if uids else ''}")

    def _slide(self, transfer: Transfer) -> contextlib.AbstractContextManager[Slide]:
        from sender import slide_instances

        ready = self.ready.take_slide()
        return slide_instances.opened(transfer, self.outbox.instances(transfer.id), ready)

    def send_frames(self, client: LinkClient, transfer: Transfer) -> None:
        """Send what the receiver misses of a slide, and nothing else.

        Raises
        ------
        SourceChanged, SlideUnreadable
        """
        with self._slide(transfer) as slide:
            self._frames(client, transfer).send_missing(slide)

    def _frames(self, client: LinkClient, transfer: Transfer) -> SlideDelivery:
        from sender.slide_delivery import SlideDelivery

        ours = self.outbox, self.stop, self.turn, self.window
        return SlideDelivery(client, transfer.id, *ours)

    def _opening(self, transfer: Transfer, slide: Slide | None) -> str:
        """Sign the opening and keep it before it is sent, so that it is always the same."""
        if slide is None:
            announced = slots.of_images(i for part in self.outbox.parts(transfer.id) for i in part)
        else:
            announced = slots.of_slide(self.outbox.instances(transfer.id), slide)
        signed = self._signed(transfer, announced)
        self.outbox.keep(transfer.id, opening=signed)
        return signed

    def _signed(self, transfer: Transfer, announced: tuple[Slot, ...]) -> str:
        opening = Opening(
            transfer=transfer.id,
            kind=transfer.kind,
            sender=self.node.institution.code,
            receiver=self.partner.code or "",
            study=transfer.study,
            attributes=transfer.attributes,
            instances=announced,
            priority=transfer.priority,
            purpose=transfer.purpose,
            test=transfer.test,
            request=transfer.request,
            opened_at=now(),
            declaration=transfer.judgement,
        )
        return jws.sign(link.words(opening), self.node)

    def _send_instances(self, client: LinkClient, transfer: Transfer) -> None:
        missing, _ = client.missing(transfer.id)
        instances = self.outbox.instances(transfer.id)
        held = [i.sop_uid for place, i in enumerate(instances) if place not in missing]
        self.outbox.acknowledged(transfer.id, held)
        self.store(transfer, [i for place, i in enumerate(instances) if place in missing])


def _raise_failure(opening: Future[LinkClient], *, wait: bool = False) -> None:
    """Raise what the opening failed with, if it has."""
    if (wait or opening.done()) and (failure := opening.exception()) is not None:
        raise failure
