"""A receiver's index and store, filled by the receiver's own code with small studies."""

from __future__ import annotations

import contextlib
import hashlib
import io
import queue
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit
from sqlalchemy import insert, select, update

from common import link
from common.dicom import dataset
from common.errors import TodokeError
from common.link import Opening, Slot
from common.states import InstanceState, TransferState
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import index, transfers
from receiver.arrivals import Arrival, Arrivals
from receiver.attributes import study_attributes
from receiver.frames import Frames
from receiver.index import Index
from receiver.standings import Person, Standings
from receiver.store import Store
from receiver.viewer_services import PAGES, ViewerServices
from receiver.web_app import viewer_app

RECEIVER = ("網走中央病院", "0110000018")
NORTH = ("北見病院", "0110000026")
EAST = ("釧路病院", "0110000034")
CT = "1.2.840.10008.5.1.4.1.1.2"
WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
USER, PASSWORD = "yamamoto", "Correct-Horse-42!"
READER = Person(USER, "山本医師")


def uid(name: str) -> str:
    """Return a UID that follows from a name."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, name).int}"


@dataclass
class Filled:
    """Builds a receiver's data directory.

    Attributes
    ----------
    index, store
        Of the data directory, with the partners NORTH and EAST.
    """

    data: Path
    index: Index = field(init=False)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.index = Index.at(self.data)
        self.store = Store(self.data / "store", low_water=0)
        for name, code in (NORTH, EAST):
            self.partner(name, code)

    def partner(self, name: str, code: str) -> None:
        """Register an institution that may send."""
        with self.index.write() as db:
            db.execute(
                insert(index.partners).values(
                    code=code, name=name, kind="todoke", aet=f"TDK{code[-7:]}", added_at="now"
                )
            )

    def look(self, key: str) -> None:
        """Let the reader open a study."""
        Standings(self.index).look(key, READER)

    def done(self, key: str) -> None:
        """Let the reader be done with a study, whatever is asked first."""
        steps = Standings(self.index)
        steps.done(key, READER, accept=steps.asks(key)["arrived"], told=False)

    def open(
        self,
        images: Sequence[Dataset],
        institution: str = NORTH[1],
        *,
        priority: str = "routine",
        request: dict[str, Any] | None = None,
    ) -> str:
        """Open a transfer of DICOM objects; return the key of its study."""
        slots = [
            Slot(
                uid=str(ds.SOPInstanceUID),
                sop_class=str(ds.SOPClassUID),
                transfer_syntax=str(ds.file_meta.TransferSyntaxUID),
                series=str(ds.SeriesInstanceUID),
                number=dataset.instance_number(ds),
            )
            for ds in images
        ]
        attributes = study_attributes(images[0])
        study = str(images[0].StudyInstanceUID)
        return self._open(slots, attributes, study, "dicom", institution, priority, request)

    def _open(
        self,
        slots: Sequence[Slot],
        attributes: dict[str, Any],
        study: str,
        kind: str,
        institution: str,
        priority: str = "routine",
        request: dict[str, Any] | None = None,
    ) -> str:
        opening = Opening(
            transfer=uuid.uuid4().hex,
            kind=kind,
            sender=institution,
            receiver=RECEIVER[1],
            study=study,
            attributes=attributes,
            instances=tuple(slots),
            priority=priority,
            request=request or {},
        )
        with self.index.write() as db:
            return transfers.open_transfer(db, institution, opening, "opening")

    def arrive(
        self,
        images: Sequence[Dataset | Path],
        institution: str = NORTH[1],
        *,
        linked: bool = False,
    ) -> None:
        """Let instances arrive as by C-STORE: durable and indexed when this returns.

        Parameters
        ----------
        linked : bool
            Of a sender that opens transfers: images may come ahead of their opening.
        """
        answers: queue.SimpleQueue[TodokeError | None] = queue.SimpleQueue()
        arrivals = Arrivals(self.index, self.store, alarm=lambda *_: None)
        try:
            for image in images:
                whole = image.read_bytes() if isinstance(image, Path) else as_file(image)
                meta = pydicom.dcmread(io.BytesIO(whole), stop_before_pixels=True).file_meta
                prefix = _data_set_at(whole)
                arrival = Arrival(
                    self.store,
                    institution,
                    str(meta.MediaStorageSOPClassUID),
                    str(meta.MediaStorageSOPInstanceUID),
                    str(meta.TransferSyntaxUID),
                )
                arrival.linked = linked
                arrival.begin()
                arrival.write(memoryview(whole)[prefix:])
                arrivals.finish(arrival, answers.put)
            for _ in images:
                error = answers.get(timeout=30)
                if error is not None:
                    raise error
        finally:
            arrivals.close()

    def verify(self, key: str) -> None:
        """Bring a study to the end: every arrived instance verified, the transfer receipted."""
        with self.index.write() as db:
            study = db.execute(select(index.studies).where(index.studies.c.key == key)).one()
            of_study = (index.instances.c.institution == study.institution) & (
                index.instances.c.study_uid == study.study_uid
            )
            stored = index.instances.c.state == InstanceState.STORED
            db.execute(
                update(index.instances)
                .where(of_study & stored)
                .values(state=InstanceState.VERIFIED)
            )
            db.execute(
                update(index.transfers)
                .where(index.transfers.c.id == study.transfer)
                .values(state=TransferState.RECEIPTED, receipted_at=index.now())
            )
            index.announce(db, "study", key)

    def ct(
        self,
        name: str = "北見",
        institution: str = NORTH[1],
        *,
        count: int = 5,
        arrived: int | None = None,
        **attributes: Any,
    ) -> str:
        """Add a CT study; return its key.

        Parameters
        ----------
        arrived : int, optional
            Only the first so many arrive; the others keep their slots.
        """
        images = [ct_image(name, number, **attributes) for number in range(1, count + 1)]
        key = self.open(images, institution)
        self.arrive(images[:arrived], institution)
        if arrived is None:
            self.verify(key)
        return key

    def slide(self, name: str = "slide", institution: str = NORTH[1]) -> SlideCase:
        """Open a slide of three levels, of which no frame has arrived."""
        return SlideCase(self, name, institution)

    def user(self, name: str = USER, password: str = PASSWORD, display: str = "山本医師") -> None:
        """Make an account."""
        Accounts(self.index).add(name, password, display)

    def services(self, *, https: bool = False, pages: Path = PAGES) -> ViewerServices:
        """Return what the viewer's door stands on."""
        return ViewerServices(
            index=self.index,
            store=self.store.root,
            institution_name=RECEIVER[0],
            institution_code=RECEIVER[1],
            https=https,
            version="0.0-test",
            second_factor=False,  # the factors have tests of their own
            pages=pages,
        )

    @contextlib.contextmanager
    def serve(self, *, https: bool = False, pages: Path = PAGES) -> Iterator[str]:
        """Serve the viewer's door on a free port; gives its address."""
        app = viewer_app(self.services(https=https, pages=pages))
        with Listener(app, "127.0.0.1", 0, grace=1).in_thread() as (host, port):
            yield f"http://{host}:{port}"

    def close(self) -> None:
        """Close the index."""
        self.index.close()


class SlideCase:
    """A slide that arrives: three levels of JPEG tiles, smallest first."""

    TILE = 64
    SIZES: tuple[tuple[int, int], ...] = ((96, 80), (192, 160), (384, 320))  # columns, rows

    def __init__(
        self,
        filled: Filled,
        name: str,
        institution: str,
        study: str | None = None,
        priority: str = "routine",
    ) -> None:
        self.filled = filled
        self.name = name
        self.institution = institution
        self.study_uid, self.series_uid = uid(f"{study or name}/study"), uid(f"{name}/series")
        self.tiles = [self._tiles(number) for number in range(len(self.SIZES))]
        self.slots = [self._slot(number) for number in range(len(self.SIZES))]
        attributes = study_attributes(self._header(0))
        said = attributes, self.study_uid, "slide", institution, priority
        self.key = filled._open(self.slots, *said)
        self.frames = Frames(filled.index, filled.store)

    def sop_uid(self, level: int) -> str:
        """Return the SOP Instance UID of a level."""
        return uid(f"{self.name}/level/{level}")

    def lay_out(self, level: int) -> None:
        """Send the frame lengths of a level."""
        lengths = struct.pack(f"<{len(self.tiles[level])}I", *map(len, self.tiles[level]))
        self.frames.lay_out(self._row(level), self.slots[level], lengths)

    def send(self, level: int, numbers: Sequence[int] | None = None) -> None:
        """Send frames of a level that was laid out; all without numbers."""
        row = self._row(level)
        with self.filled.index.read() as db:
            levels = {level: self.frames.level(db, row, self.slots[level])}
        wanted = range(len(self.tiles[level])) if numbers is None else numbers
        batch = b"".join(
            link.pack_frame(
                level,
                number,
                self.tiles[level][number],
                hashlib.sha256(self.tiles[level][number]).digest(),
            )
            for number in wanted
        )
        self.frames.take(row.transfer, self.key, levels, list(link.unpack_frames(batch)))

    def wanted(self) -> set[tuple[str, int]]:
        """Return the frames that readers wait for."""
        query = select(index.instances.c.sop_uid, index.wanted.c.frame).join(
            index.wanted, index.wanted.c.instance == index.instances.c.id
        )
        with self.filled.index.read() as db:
            return {(row.sop_uid, row.frame) for row in db.execute(query)}

    def _row(self, level: int) -> Any:
        with self.filled.index.read() as db:
            return transfers.instance(db, self.institution, self.sop_uid(level))

    def _tiles(self, level: int) -> list[bytes]:
        columns, rows = self.SIZES[level]
        found = []
        for y in range(0, rows, self.TILE):
            for x in range(0, columns, self.TILE):
                pixels = np.zeros((self.TILE, self.TILE, 3), np.uint8)
                pixels[:] = (200, 40 + (x + level * 40) % 200, 40 + y % 200)
                kept = io.BytesIO()
                Image.fromarray(pixels).save(kept, "JPEG", quality=90)
                found.append(kept.getvalue())
        return found

    def _slot(self, level: int) -> Slot:
        import base64

        from pydicom.filewriter import write_dataset

        with pydicom.filebase.DicomBytesIO() as file:
            file.is_little_endian, file.is_implicit_VR = True, False
            write_dataset(file, self._header(level))
            header = file.getvalue()
        return Slot(
            uid=self.sop_uid(level),
            sop_class=WSI,
            transfer_syntax=str(JPEGBaseline8Bit),
            series=self.series_uid,
            number=level + 1,
            frames=len(self.tiles[level]),
            header=base64.b64encode(header).decode(),
        )

    def _header(self, level: int) -> Dataset:
        columns, rows = self.SIZES[level]
        ds = patient(self.name)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study_uid, self.series_uid
        ds.SOPClassUID, ds.SOPInstanceUID = WSI, self.sop_uid(level)
        ds.Modality, ds.InstanceNumber, ds.SeriesNumber = "SM", level + 1, 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        ds.Manufacturer, ds.ManufacturerModelName = "Maker", "Scanner 1"
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 3, "YBR_FULL_422"
        ds.PlanarConfiguration, ds.PixelRepresentation = 0, 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.Rows = ds.Columns = self.TILE
        ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = columns, rows
        ds.NumberOfFrames = len(self.tiles[level])
        ds.DimensionOrganizationType = "TILED_FULL"
        measures, shared, path = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing = [0.002 / 2**level, 0.002 / 2**level]
        shared.PixelMeasuresSequence = Items([measures])
        ds.SharedFunctionalGroupsSequence = Items([shared])
        path.ObjectiveLensPower = 20
        path.ICCProfile = bytes(600)
        ds.OpticalPathSequence = Items([path])
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", 12
        return ds


def patient(name: str, **attributes: Any) -> Dataset:
    """Return a data set with patient and study of an invented person."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "TAKAHASHI^HANAKO=髙橋^花子=たかはし^はなこ"
    ds.PatientID = "0012345"
    ds.PatientBirthDate, ds.PatientSex = "19580307", "F"
    ds.StudyDate, ds.StudyTime = "20261122", "113500"
    ds.AccessionNumber = "A0001"
    ds.StudyDescription = f"CT {name}"
    ds.StudyID = "1"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def ct_image(name: str, number: int, **attributes: Any) -> Dataset:
    """Return one small CT image of the study that a name stands for."""
    ds = patient(name, **attributes)
    ds.StudyInstanceUID = attributes.get("StudyInstanceUID", uid(f"{name}/study"))
    ds.SeriesInstanceUID = uid(f"{name}/series")
    ds.SOPClassUID, ds.SOPInstanceUID = CT, uid(f"{name}/image/{number}")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 2, number
    ds.SeriesDescription, ds.BodyPartExamined = "5mm", "HEAD"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.FrameOfReferenceUID = uid(f"{name}/frame")
    ds.ImagePositionPatient = [0, 0, 5.0 * number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.5], 5
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = 48, 64
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 40, 400
    pixels = np.add.outer(np.arange(48), np.arange(64)) * 8 - 200 + number
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(CT)
    ds.file_meta.MediaStorageSOPInstanceUID = UID(ds.SOPInstanceUID)
    return ds


def as_file(ds: Dataset) -> bytes:
    """Return a data set as a file."""
    kept = io.BytesIO()
    ds.save_as(kept, enforce_file_format=True)
    return kept.getvalue()


def _data_set_at(whole: bytes) -> int:
    (length,) = struct.unpack_from("<I", whole, 140)
    return 144 + int(length)


@contextlib.contextmanager
def client(address: str, *, signed_in: bool = True) -> Iterator[httpx.Client]:
    """A client of the viewer's door, signed in as USER."""
    with httpx.Client(base_url=address, timeout=30, headers={"X-Todoke": "1"}) as made:
        if signed_in:
            answer = made.post("/api/sign-in", json={"name": USER, "password": PASSWORD})
            answer.raise_for_status()
        yield made
