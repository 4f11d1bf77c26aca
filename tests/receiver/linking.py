"""A receiver's link over real TLS, and one sender that is paired with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from sqlalchemy import select, update

from common import audit, link, tls
from common.dicom import dataset, digest
from common.link import Closing, Digest, Opening, Slot
from common.proof import certificates, jws
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.refusals import Refusals
from common.web.peer import Listener
from receiver import index
from receiver.attributes import study_attributes
from receiver.doors.link import LinkServices, link_app
from receiver.evidence import Evidence
from receiver.frames import Frames
from receiver.receipts import Receipts
from receiver.waiting import Waiting
from tests.receiver.filled import NORTH, RECEIVER, Filled, as_file


@dataclass
class Linked:
    """A receiver's link and one sender that is paired with it."""

    filled: Filled
    receiver: Node
    sender: Node
    receipts: Receipts
    url: str
    client: httpx.Client
    services: LinkServices
    own: tls.Credentials  # with which the sender shows itself

    def open(self, images: list[Dataset]) -> str:
        """Open a transfer; return its id."""
        slots = [
            Slot(
                str(ds.SOPInstanceUID),
                str(ds.SOPClassUID),
                str(ds.file_meta.TransferSyntaxUID),
                str(ds.SeriesInstanceUID),
            )
            for ds in images
        ]
        opening = Opening(
            transfer=uuid.uuid4().hex,
            kind="dicom",
            sender=NORTH[1],
            receiver=RECEIVER[1],
            study=str(images[0].StudyInstanceUID),
            attributes=study_attributes(images[0]),
            instances=tuple(slots),
        )
        statement = jws.sign(link.words(opening), self.sender)
        assert self.client.post("/transfers", content=statement).status_code == 201
        return opening.transfer

    def close(self, transfer: str, images: list[Dataset], folder: Path) -> httpx.Response:
        """Close a transfer with the digests of files as the sender has them."""
        found = []
        for number, ds in enumerate(images):
            path = folder / f"{number}.dcm"
            path.write_bytes(as_file(ds))
            part = dataset.read_part10(path)
            of = digest.of_file(path, part.offset, part.transfer_syntax_uid)
            found.append(Digest(part.sop_instance_uid, part.length, of.d1, of.d2, of.d3))
        statement = jws.sign(link.words(Closing(transfer, tuple(found))), self.sender)
        return self.client.post(f"/transfers/{transfer}/complete", content=statement)

    def row(self, ds: Dataset) -> Any:
        """Return the index's row of an image."""
        uid = index.instances.c.sop_uid == str(ds.SOPInstanceUID)
        with self.filled.index.read() as db:
            return db.execute(select(index.instances).where(uid)).one()

    def bytes_of(self, ds: Dataset) -> bytes:
        """Return the stored file of an image."""
        return self.filled.store.path(self.row(ds).path).read_bytes()


@pytest.fixture
def linked(filled: Filled, tmp_path: Path) -> Iterator[Linked]:
    receiver = Node.create(
        tmp_path / "node",
        Institution(*RECEIVER, "北海道"),
        Role.SUPPORTER,
        hosts=["localhost", "127.0.0.1"],
    )
    sender = Node.create(tmp_path / "sender", Institution(*NORTH, "北海道"), Role.REQUESTER)
    key = certificates.new_key()
    leaf = receiver.authority.issue(key.public_key(), NORTH[0], institution=NORTH[1])
    own = tls.Credentials(tmp_path / "leaf.key", tmp_path / "leaf.crt")
    own.key.write_bytes(certificates.key_to_pem(key))
    own.chain.write_text(certificates.to_pem(leaf))
    with filled.index.write() as db:
        pinned = {"signing_certificate": sender.signing_certificate}
        db.execute(update(index.partners).where(index.partners.c.code == NORTH[1]).values(**pinned))
    trail = audit.Trail(tmp_path / "audit", "web")
    refusals = Refusals(trail)
    receipts = Receipts(filled.index, filled.store, receiver, {})
    frames = Frames(filled.index, filled.store)
    services = LinkServices(
        filled.index,
        frames,
        Waiting(filled.index),
        receipts,
        receiver.ca,
        RECEIVER[1],
        refused=refusals.note,
        note=trail.note,
        evidence=Evidence(filled.index, receiver, tmp_path / "data", 1000, trail.note),
    )
    mutual = tls.server_context(receiver.credentials, [receiver.ca])
    listener = Listener(link_app(services), "127.0.0.1", 0, tls=mutual, grace=1)
    context = tls.client_context(own, [receiver.ca])
    with listener.in_thread() as (_, port):
        url = f"https://localhost:{port}{link.ROOT}"
        limits = httpx.Limits(max_connections=100)
        with httpx.Client(base_url=url, verify=context, timeout=40, limits=limits) as client:
            yield Linked(filled, receiver, sender, receipts, url, client, services, own)
    receipts.close()
    refusals.close()  # or it would count on when the trail is closed
    trail.close()
