"""Pushes instances and frames, and notes each acknowledgement as it is heard."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import link
from common.dicom import dataset
from common.dicom.association import Outgoing, Requestor
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Sender
from sender import ingest
from sender.delivery import Delivery
from sender.links import dicom
from sender.links.http import LinkClient
from sender.links.window import Line
from sender.outbox import Outbox
from sender.partners import find_partner
from tests.common.dicom.association.rig import CT_CONTEXT, outgoing
from tests.system.powercut.hearing import Ack, Heard
from tests.system.series import write_series

SMALL, LARGE = 64, 800  # pixels a side: a file that is written whole, and one in pieces
SLICES = 5  # of one study
BATCH = 20_000  # bytes of frames in one request: more answers from a small slide
PROFILE = "jp-high13"


@dataclass(frozen=True)
class Source:
    """One instance that is to be pushed."""

    uid: str
    digest: str
    path: Path
    offset: int

    def outgoing(self) -> Outgoing:
        """Return it as an association sends it."""
        return outgoing(self.path.read_bytes()[self.offset :], uid=self.uid)


def write_studies(folder: Path, draw: random.Random, count: int) -> list[Source]:
    """Write at least so many instances, in studies of :data:`SLICES`, some of them large."""
    found = []
    for number in range(-(-count // SLICES)):
        side = LARGE if number % 6 == 1 else SMALL
        for path in write_series(folder / f"{number:03}", draw.getrandbits(32), SLICES, side):
            part = dataset.read_part10(path)
            digest = hashlib.sha256(path.read_bytes()[part.offset :]).hexdigest()
            found.append(Source(part.sop_instance_uid, digest, path, part.offset))
    return found


def store(association: Requestor, sources: Iterator[Source], heard: Heard, gone: int = 0) -> int:
    """C-STORE instances as they may go, until all are answered or the association breaks.

    Parameters
    ----------
    gone : int
        Instances that went before.

    Returns
    -------
    int
        Instances that have gone now.
    """
    known: dict[str, Source] = {}
    first = gone

    def going() -> Iterator[Outgoing]:
        while heard.may_go(first + len(known)):
            source = next(sources, None)
            if source is None:
                return
            known[source.uid] = source
            yield source.outgoing()

    while not heard.stop.is_set():
        before = len(known)
        for outcome in association.store(going()):
            if outcome.error is not None:
                raise outcome.error
            uid = outcome.outgoing.sop_instance_uid
            assert outcome.status == 0, f"status {outcome.status:04X}H"
            heard.note(Ack("instance", uid, digest=known[uid].digest))
        if len(known) == before and heard.may_go(first + before):
            break  # there are no more
        heard.wait_to_go(first + len(known))
    return first + len(known)


def store_as_partner(sender: Path, sources: Sequence[Source], heard: Heard) -> None:
    """C-STORE to the receiver that a sender is paired with, as that sender."""
    partner = find_partner(sender)
    with contextlib.closing(
        Requestor.open(
            (partner.addresses[0], partner.dicom_port),
            tls=dicom.tls_towards(partner, PROFILE),
            server_hostname=partner.host,
            calling_aet=partner.calling_aet,
            called_aet=partner.aet,
            contexts=[CT_CONTEXT],
        )
    ) as association:
        store(association, iter(sources), heard)


class Telling(Delivery):
    """The sender's own delivery over the link; tells of every answer that it gets."""

    heard: Heard

    def connect(self, *, warm: int = 0) -> LinkClient:
        return _telling(super().connect(warm=warm), self.heard, self._uid)

    def _uid(self, transfer: str, place: int) -> str:
        return self.outbox.instances(transfer)[place].sop_uid


def _telling(client: LinkClient, heard: Heard, uid_of: Callable[[str, int], str]) -> LinkClient:
    lengths, push = client.lengths, client.frames
    known: dict[tuple[str, int], str] = {}

    def uid(transfer: str, place: int) -> str:
        at = transfer, place
        return known.get(at) or known.setdefault(at, uid_of(*at))

    def laid_out(transfer: str, place: int, packed: bytes) -> None:
        lengths(transfer, place, packed)
        heard.note(Ack("level", uid(transfer, place)))

    def taken(transfer: str, batch: bytes) -> tuple[list[tuple[int, int]], float]:
        answer = push(transfer, batch)
        heard.note(
            *(
                Ack("frame", uid(transfer, one.instance), one.frame, one.digest.hex())
                for one in link.unpack_frames(batch)
            )
        )
        return answer

    client.lengths, client.frames = laid_out, taken  # type: ignore[method-assign]
    return client


def owe_slides(sender: Path, box: Outbox, slides: Sequence[Path]) -> None:
    """Put slides into an outbox, each as a transfer of its own."""
    partner = find_partner(sender)
    for slide in slides:
        number = box.submit(partner.key, [slide], {"slide": {"patient_id": "T1"}})
        job = box.job(number)
        found = ingest.scan(job)
        assert not found.refused, found.refused
        box.scanned(job, found.transfers, found.refused, found.files)


class _Small(Line):
    """A line whose batches stay small, whatever is learnt of it."""

    @property
    def batch(self) -> int:
        """Bytes of one batch."""
        return BATCH


def push_slides(sender: Path, box: Outbox, heard: Heard) -> None:
    """Deliver what an outbox owes, frame by frame, until it is done or to stop."""
    delivery = Telling(
        box,
        Node.load(sender, Role.REQUESTER),
        Sender.load(sender),
        find_partner(sender),
        heard.stop,
    )
    delivery.heard, delivery.window.line = heard, _Small()
    for transfer in box.owed():
        delivery.deliver(transfer)
        if heard.stop.is_set():
            return
        heard.note(Ack("receipt", transfer.id))
