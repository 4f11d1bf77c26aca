"""The link's door over real TLS: what came first stays, and no question blocks another."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from sqlalchemy import select, update

from common import audit, link, tls
from common.dicom import dataset, digest
from common.errors import PeerBusy, SameUidOtherContent
from common.link import Closing, Digest, Opening, Slot
from common.proof import certificates, jws
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.refusals import Refusals
from common.states import InstanceState
from common.web.peer import Listener
from receiver import index
from receiver.attributes import study_attributes
from receiver.doors.link import LinkServices, link_app
from receiver.frames import Frames
from receiver.receipts import Receipts
from tests.receiver.filled import NORTH, RECEIVER, Filled, as_file, ct_image


@dataclass
class Linked:
    """A receiver's link and one sender that is paired with it."""

    filled: Filled
    receiver: Node
    sender: Node
    receipts: Receipts
    url: str
    client: httpx.Client

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
    receipts = Receipts(filled.index, filled.store, receiver, {})
    frames = Frames(filled.index, filled.store)
    services = LinkServices(
        filled.index, frames, receipts, receiver.ca, RECEIVER[1], refused=Refusals(trail).note
    )
    mutual = tls.server_context(receiver.credentials, [receiver.ca])
    listener = Listener(link_app(services), "127.0.0.1", 0, tls=mutual, grace=1)
    context = tls.client_context(own, [receiver.ca])
    with listener.in_thread() as (_, port):
        url = f"https://localhost:{port}{link.ROOT}"
        limits = httpx.Limits(max_connections=100)
        with httpx.Client(base_url=url, verify=context, timeout=40, limits=limits) as client:
            yield Linked(filled, receiver, sender, receipts, url, client)
    receipts.close()
    trail.close()


@pytest.mark.requirement("DAT-01", "DAT-05")
@pytest.mark.parametrize("verified", [True, False])
def test_another_content_never_takes_the_place_of_what_came_first(
    linked: Linked, tmp_path: Path, verified: bool
) -> None:
    first, later = ct_image("same", 1), ct_image("same", 1, StudyDescription="altered")
    before = linked.open([first])
    linked.filled.arrive([first])
    if verified:
        answer = linked.close(before, [first], tmp_path)
        assert answer.status_code == 200
        assert answer.json()["receipt"]
    kept = linked.bytes_of(first)

    after = linked.open([later])
    with pytest.raises(SameUidOtherContent):
        linked.filled.arrive([later])
    answer = linked.close(after, [later], tmp_path)
    assert answer.status_code == 422
    assert answer.json()["unequal"] == [str(first.SOPInstanceUID)]
    assert linked.bytes_of(first) == kept
    assert linked.row(first).state != InstanceState.EXPECTED


@pytest.mark.requirement("DIR-07")
def test_what_is_damaged_here_is_missing_again(linked: Linked, tmp_path: Path) -> None:
    """Also for a sender that asks for its receipt only after the verification has failed."""
    images = [ct_image("bitrot", 1), ct_image("bitrot", 2)]
    transfer = linked.open(images)
    linked.filled.arrive(images)
    path = linked.filled.store.path(linked.row(images[1]).path)
    damaged = bytearray(path.read_bytes())
    damaged[-9] ^= 1
    path.write_bytes(damaged)
    answer = linked.close(transfer, images, tmp_path)
    assert (answer.status_code, len(answer.json()["unequal"])) == (422, 1)
    answer = linked.client.get(f"/transfers/{transfer}/receipt")
    assert answer.status_code == 409
    assert answer.json()["missing"] == [str(images[1].SOPInstanceUID)]
    linked.filled.arrive([images[1]])
    assert linked.close(transfer, images, tmp_path).json()["receipt"]


def test_waiting_for_receipts_holds_no_thread(linked: Linked, tmp_path: Path) -> None:
    """More questions under way than the server has threads; another is answered at once."""
    image = ct_image("wait", 1)
    transfer = linked.open([image])
    linked.filled.arrive([image])
    let_go = threading.Event()
    entered = threading.Event()

    def busy() -> None:
        entered.set()
        let_go.wait(30)

    linked.receipts._pool.submit(busy)
    assert entered.wait(10)
    with ThreadPoolExecutor(60) as asking:
        first = asking.submit(linked.close, transfer, [image], tmp_path)
        deadline = time.monotonic() + 10
        while not linked.receipts._running:
            assert time.monotonic() < deadline
        assert not first.done()
        address = f"/transfers/{transfer}/receipt"
        others: list[Future[httpx.Response]] = [
            asking.submit(linked.client.get, address) for _ in range(50)
        ]
        try:
            # the questions are under way once as many connections are open as there are askers
            for _ in range(5):
                assert linked.client.get("/hello", timeout=8).status_code == 200
        finally:
            let_go.set()
        assert first.result(30).json()["receipt"]
        assert {one.result(30).status_code for one in others} == {200}


@pytest.mark.requirement("DIR-11")
def test_a_frame_that_is_held_is_never_written_again(filled: Filled) -> None:
    slide = filled.slide()
    slide.lay_out(0)
    slide.send(0, [0])
    path = filled.store.path(slide._row(0).path)
    kept = path.read_bytes()
    slide.send(0, [0])  # the same again
    other = bytearray(slide.tiles[0][0])
    other[-3] ^= 1
    slide.tiles[0][0] = bytes(other)
    with pytest.raises(SameUidOtherContent):
        slide.send(0, [0])
    assert path.read_bytes() == kept
    with filled.index.read() as db:
        [row] = db.execute(select(index.frames)).all()
    assert row.digest != hashlib.sha256(other).digest()
    with slide.frames._claimed({(slide._row(0).id, 1)}), pytest.raises(PeerBusy):
        slide.send(0, [1])
    slide.send(0, [1])
