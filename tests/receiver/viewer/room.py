"""A reading room for browser tests: index, store and the viewer's door, nothing in between.

Studies are brought in through the receiver's own modules, as the links bring them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import queue
import secrets
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from sqlalchemy import insert
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common.audit import Trail
from common.errors import TodokeError
from common.link import Opening, Slot, pack_frame, unpack_frames
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import attributes, index, transfers
from receiver.arrivals import Arrival, Arrivals
from receiver.frames import Frames
from receiver.index import Index
from receiver.store import Store
from receiver.viewer_services import ViewerServices
from receiver.web_app import viewer_app
from sender.slides import Slide, SlideCase, VirtualInstance, open_slide

READER, PASSWORD = "yamamoto", "Haru-no-Umi-2026"
AUDITOR = "kansa"  # with the same password
HOSPITAL = ("0110812345", "北見中央病院")
CLINIC = ("0111512342", "網走厚生病院")
DEADLINE = 30.0


#: Seconds before an answer, or None for none.
Trouble = Callable[[], float | None]


class _Troubled:
    """A slow and unreliable line in front of an application: late, out of order, failing."""

    def __init__(self, app: ASGIApp, trouble: Trouble) -> None:
        self.app = app
        self.trouble = trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(("/dicomweb", "/api/studies")):
            seconds = self.trouble()
            if seconds is None:
                await PlainTextResponse("", 503)(scope, receive, send)
                return
            await asyncio.sleep(seconds)
        await self.app(scope, receive, send)


@dataclass
class Instances:
    """DICOM files of one study."""

    files: list[Path]

    @property
    def headers(self) -> list[pydicom.Dataset]:
        """Their data sets without pixels."""
        return [pydicom.dcmread(path, stop_before_pixels=True) for path in self.files]


class Room:
    """One receiver with a viewer's door on a port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.node = Node.create(
            folder,
            Institution("旭川支援病院", "0112345675"),
            Role.SUPPORTER,
            hosts=["localhost"],
        )
        self.index = Index.at(folder)
        self.store = Store(folder / "store")
        self.arrivals = Arrivals(self.index, self.store, lambda *_: None)
        self.frames = Frames(self.index, self.store)
        with self.index.write() as db:
            for code, name in (HOSPITAL, CLINIC):
                db.execute(
                    insert(index.partners).values(
                        code=code, name=name, kind="todoke", aet="TODOKE", added_at=index.now()
                    )
                )
        accounts = Accounts(self.index)
        accounts.add(READER, PASSWORD, "山本医師")
        accounts.add(AUDITOR, PASSWORD, "監査担当", "auditor")

    @contextmanager
    def serve(
        self,
        trouble: Trouble | None = None,
        tls: ssl.SSLContext | None = None,
        *,
        purge: tuple[int, int] = (0, 0),
    ) -> Iterator[str]:
        """Serve the pages; gives the address.

        Parameters
        ----------
        trouble : callable, optional
            Asked before each answer with data: seconds to wait, None for an answer of 503.
        tls : SSLContext, optional
            Serve by https.
        purge : (int, int)
            After how many days what is done with is purged (0: never), and told before it.
        """
        trail = Trail(self.store.root.parent / "audit", "web")
        services = ViewerServices(
            note=trail.note,
            signing_certificate=self.node.signing_certificate,
            index=self.index,
            store=self.store.root,
            institution_name="旭川支援病院",
            institution_code="0112345675",
            https=tls is not None,
            version="0",
            second_factor=False,  # the factors have tests of their own
            purge_days=purge[0],
            purge_notice_days=purge[1],
        )
        app: ASGIApp = viewer_app(services)
        if trouble is not None:
            app = _Troubled(app, trouble)
        listener = Listener(app, "127.0.0.1", 0, tls=tls, grace=1)
        with listener.in_thread() as (_, port):
            yield f"{'https' if tls else 'http'}://localhost:{port}"
        trail.close()

    def close(self) -> None:
        """Stop what writes."""
        self.arrivals.close()
        self.index.close()

    # --- studies of whole instances -------------------------------------------------------

    def open_study(
        self,
        study: Instances,
        institution: tuple[str, str] = HOSPITAL,
        *,
        priority: str = "routine",
        test: bool = False,
    ) -> str:
        """Announce a study with all its instances; gives its key."""
        headers = study.headers
        slots = [
            Slot(
                str(one.SOPInstanceUID),
                str(one.SOPClassUID),
                str(one.file_meta.TransferSyntaxUID),
                str(one.SeriesInstanceUID),
                int(one.InstanceNumber),
            )
            for one in headers
        ]
        opening = Opening(
            transfer=secrets.token_hex(16),
            kind="dicom",
            sender=institution[0],
            receiver="0112345675",
            study=str(headers[0].StudyInstanceUID),
            attributes=attributes.study_attributes(headers[0]),
            instances=tuple(slots),
            priority=priority,
            test=test,
            request={"reason": "突然の頭痛", "phone": "0157-00-0000"},
        )
        with self.index.write() as db:
            return transfers.open_transfer(db, institution[0], opening, "{}")

    def bring(self, files: list[Path], institution: tuple[str, str] = HOSPITAL) -> None:
        """Let instances arrive, and wait until they are indexed."""
        answers: queue.SimpleQueue[TodokeError | None] = queue.SimpleQueue()
        for path in files:
            meta = pydicom.dcmread(path, stop_before_pixels=True).file_meta
            arrival = Arrival(
                self.store,
                institution[0],
                str(meta.MediaStorageSOPClassUID),
                str(meta.MediaStorageSOPInstanceUID),
                str(meta.TransferSyntaxUID),
            )
            arrival.begin()
            data_set = 144 + int(meta.FileMetaInformationGroupLength)
            arrival.write(memoryview(path.read_bytes())[data_set:])
            self.arrivals.finish(arrival, answers.put)
        for _ in files:
            error = answers.get(timeout=DEADLINE)
            assert error is None, error

    # --- slides ---------------------------------------------------------------------------

    def open_slide(self, path: Path, case: SlideCase) -> SlideOnItsWay:
        """Announce a slide and lay out its levels; no frame is here yet."""
        return self.announce(open_slide(path, case), case)

    def announce(self, slide: Slide, case: SlideCase) -> SlideOnItsWay:
        """Announce a slide that is open."""
        slots = [_slot(one, case, number) for number, one in enumerate(slide.instances, start=1)]
        model = {
            "00080020": {"vr": "DA", "Value": [case.study_date]},
            "00100010": {"vr": "PN", "Value": [_groups(case.patient_name)]},
            "00100020": {"vr": "LO", "Value": [case.patient_id]},
        }
        opening = Opening(
            transfer=secrets.token_hex(16),
            kind="slide",
            sender=CLINIC[0],
            receiver="0112345675",
            study=case.study_uid,
            attributes=model,
            instances=tuple(slots),
        )
        with self.index.write() as db:
            key = transfers.open_transfer(db, CLINIC[0], opening, "{}")
        return SlideOnItsWay(self, slide, slots, opening.transfer, key)


@dataclass
class SlideOnItsWay:
    """A slide whose frames arrive when the test says so."""

    room: Room
    slide: Slide
    slots: list[Slot]
    transfer: str
    key: str

    def lay_out(self) -> None:
        """Bring the frame lengths of every level."""
        for slot, one in zip(self.slots, self.slide.instances, strict=True):
            with self.room.index.read() as db:
                row = transfers.instance(db, CLINIC[0], slot.uid)
            assert row is not None
            self.room.frames.lay_out(row, slot, one.lengths.astype("<u4").tobytes())

    def bring(self, place: int, numbers: list[int]) -> None:
        """Bring some frames of one instance."""
        slot, one = self.slots[place], self.slide.instances[place]
        with self.room.index.read() as db:
            row = transfers.standing(db, CLINIC[0], slot.uid)
            assert row is not None
            level = self.room.frames.level(db, row, slot)
        batch = list(unpack_frames(b"".join(_frame(one, place, number) for number in numbers)))
        self.room.frames.take(self.transfer, self.key, {place: level}, batch)

    def place(self, level: int) -> int:
        """Return the place of a pyramid level in the opening; 0 is the largest."""
        return next(i for i, one in enumerate(self.slide.instances) if one.level == level)

    def bring_all(self, *, but_level: int | None = None) -> None:
        """Bring every frame, except those of one level."""
        for place, one in enumerate(self.slide.instances):
            if one.level is None or one.level != but_level:
                self.bring(place, list(range(one.frames)))


def _frame(one: VirtualInstance, place: int, number: int) -> bytes:
    data = one.read(number)
    return pack_frame(place, number, data, hashlib.sha256(one.prefix + data).digest())


def _slot(one: VirtualInstance, case: SlideCase, number: int) -> Slot:
    return Slot(
        one.sop_instance_uid,
        one.sop_class_uid,
        one.transfer_syntax_uid,
        case.series_uid,
        number,
        frames=one.frames,
        header=base64.b64encode(one.header).decode(),
        prefix=base64.b64encode(one.prefix).decode(),
        offsets=one.offsets,
    )


def _groups(name: str) -> dict[str, str]:
    words = ("Alphabetic", "Ideographic", "Phonetic")
    return {word: part for word, part in zip(words, name.split("="), strict=False) if part}
