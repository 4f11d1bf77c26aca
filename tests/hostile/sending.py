"""A slide that a test sends over the link by hand, frame by frame, rightly or wrongly."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from common import link
from common.link import Closing, Digest, Opening, Slot
from common.proof import jws
from sender.links.frames import packed_lengths
from sender.links.leaves import digests
from sender.slides import Slide, open_slide
from tests.hostile.standing import RECEIVER_CODE, Side, Standing
from tests.sender.slides.vendor_files import CASE, Svs

NUMBERED = Svs(width=600, height=400, tile=128, factors=(1, 2), label=False, macro=False)
Changed = Callable[[bytes], bytes]


@dataclass
class ByHand:
    """One slide case of a side, and what was asked of the receiver for it."""

    standing: Standing
    side: Side
    slide: Slide
    client: httpx.Client
    opening: Opening
    closing: str = ""  # as it was signed, when it says the truth

    @property
    def path(self) -> str:
        """Address of the transfer."""
        return f"/transfers/{self.opening.transfer}"

    def open(self, opening: Opening | None = None) -> httpx.Response:
        """Open the transfer."""
        statement = jws.sign(link.words(opening or self.opening), self.side.node)
        return self.client.post("/transfers", content=statement)

    def lay_out(self) -> None:
        """Tell the frame lengths of every level."""
        for place, level in enumerate(self.slide.instances):
            answer = self.client.put(f"{self.path}/lengths/{place}", content=packed_lengths(level))
            assert answer.status_code == 204, answer.text

    def frame(
        self, place: int, number: int, *, data: bytes | None = None, sha: bytes | None = None
    ) -> bytes:
        """Return a frame as it stands in a batch; data or digest may be others."""
        level = self.slide.instances[place]
        data = level.read(number) if data is None else data
        return link.pack_frame(
            place, number, data, sha or hashlib.sha256(level.prefix + data).digest()
        )

    def places(self) -> Iterator[tuple[int, int]]:
        """Give every frame of the slide, in order."""
        for place, level in enumerate(self.slide.instances):
            for number in range(level.frames):
                yield place, number

    def send(self, batch: bytes) -> httpx.Response:
        """Send a batch as it is."""
        return self.client.post(f"{self.path}/frames", content=batch)

    def send_all(self, places: Iterable[tuple[int, int]]) -> None:
        """Send frames, a few at a time."""
        wanted = list(places)
        for begin in range(0, len(wanted), 8):
            answer = self.send(b"".join(self.frame(*one) for one in wanted[begin : begin + 8]))
            assert answer.status_code == 200, answer.text

    def missing(self) -> set[tuple[int, int]]:
        """Return the frames that the receiver says it misses."""
        words = self.client.get(f"{self.path}/missing").json()
        found = set(self.places())
        for place, bits in words["levels"].items():
            frames = self.slide.instances[int(place)].frames
            found -= {(int(place), number) for number in link.unpack_bits(bits, frames)}
        return found

    def complete(self, found: Iterable[Digest] | None = None) -> httpx.Response:
        """Close with the digests of the source, or with others."""
        if found is not None or not self.closing:
            closing = Closing(self.opening.transfer, tuple(found or digests(self.slide)))
            self.closing = jws.sign(link.words(closing), self.side.node)
        statement, self.closing = self.closing, "" if found is not None else self.closing
        return self.client.post(f"{self.path}/complete", content=statement)

    def finish(self) -> None:
        """Close, and see that what lies at the receiver is byte by byte the source."""
        self.standing.arriving = len(self.slide.instances)
        answer = self.complete()
        while answer.status_code == 202:
            answer = self.client.get(f"{self.path}/receipt")
        assert answer.status_code == 200, answer.text
        held = jws.verify(answer.json()["receipt"], self.side.partner.signing_certificate)
        assert not link.compare(digests(self.slide), link.read_receipt(held).instances)


@contextlib.contextmanager
def by_hand(standing: Standing, folder: Path, side: Side | None = None) -> Iterator[ByHand]:
    """A slide of its own study, not yet opened at the receiver."""
    side = side or standing.side
    path = NUMBERED.write(folder / f"{uuid.uuid4().hex}.svs")
    study = f"2.25.{uuid.uuid4().int}"
    case = replace(CASE, study_uid=study, series_uid=f"2.25.{uuid.uuid4().int}", uid_seed=study)
    with (
        contextlib.closing(open_slide(path, case)) as slide,
        side.client(standing.ends.ports["link"]) as client,
    ):
        opening = Opening(
            transfer=uuid.uuid4().hex,
            kind="slide",
            sender=side.code,
            receiver=RECEIVER_CODE,
            study=study,
            attributes={},
            instances=tuple(
                Slot(
                    level.sop_instance_uid,
                    level.sop_class_uid,
                    level.transfer_syntax_uid,
                    case.series_uid,
                    number,
                    frames=level.frames,
                    header=base64.b64encode(level.header).decode(),
                    prefix=base64.b64encode(level.prefix).decode(),
                )
                for number, level in enumerate(slide.instances, 1)
            ),
        )
        yield ByHand(standing, side, slide, client, opening)
