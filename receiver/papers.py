"""What of a study is no still image: its documents, and its videos as one stream each.

A document is the value of (0042,0011) (PS3.3 C.24.2), a video the fragments of (7FE0,0010)
one behind the other (PS3.5 A.4.5 to A.4.9): both are the sender's own bytes, never coded
again.  What a browser cannot show is refused in words, for the certified viewer.
"""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from common import durable, request
from common.dicom import dataset, uids
from common.errors import DocumentNotShown, ImageDamaged, NotFound, TodokeError, VideoNotPlayed
from common.states import INSTANCE_WORDS, InstanceState
from receiver import attributes, index, requests
from receiver.descriptions import WHOLE
from receiver.facts import LIGHT
from receiver.soundness import Soundness
from receiver.stored import NOT_RECALLED, Stored

#: MPEG-2, MPEG-4 AVC and HEVC (PS3.5 8.2.5 to 8.2.11): all frames are one stream.
VIDEO = frozenset(
    one
    for one in uids.TRANSFER_SYNTAXES
    if one.removeprefix("1.2.840.10008.1.2.4.").partition(".")[0]
    in {"100", "101", "102", "103", "104", "105", "106", "107", "108"}
)
CDA = "1.2.840.10008.5.1.4.1.1.104.2"
#: Encapsulated PDF, CDA, STL, OBJ and MTL Storage (PS3.4 B.5).
DOCUMENTS = frozenset(f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in range(1, 6))
KEPT = 16  # videos whose fragments stay in memory
PIECE = 1 << 18  # bytes of one read
#: Sync byte and length of the packets of a transport stream, plain and as discs have it.
_PACKETS = ((0, 188), (4, 192))
_BEFORE_VALUE = 12  # bytes of tag, VR and length of Pixel Data, Explicit VR (PS3.5 7.1.2)
_PDF_WITHIN = 1024  # bytes before which %PDF- must stand, as readers of PDF have it
_instances, _studies = index.instances, index.studies


@dataclass(frozen=True, slots=True)
class Document:
    """One document, as the sender had it."""

    data: bytes
    media: str


class Video:
    """The stream of one video, read at any place.

    Parameters
    ----------
    stored : Stored
    row : Row
    fragments : sequence of (int, int)
        Offset in the file and length of each.
    """

    def __init__(
        self, stored: Stored, row: Row[Any], fragments: tuple[tuple[int, int], ...]
    ) -> None:
        self._stored = stored
        self._row = row
        self._fragments = fragments
        self._starts = [0, *itertools.accumulate(length for _, length in fragments)]
        self.length = self._starts[-1]

    def read(self, at: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of a part of the stream in pieces.

        Raises
        ------
        ImageDamaged
            The file is not there, or not as long as the index says.
        """
        fd = self._stored.open(self._row)
        try:
            end = min(at + size, self.length)
            place = bisect.bisect_right(self._starts, at) - 1
            while at < end:
                offset, length = self._fragments[place]
                inside = at - self._starts[place]
                wanted = min(PIECE, length - inside, end - at)
                piece = durable.read_at(fd, wanted, offset + inside)
                if len(piece) != wanted:
                    raise ImageDamaged
                if piece:
                    yield piece
                at += wanted
                if at >= self._starts[place + 1]:
                    place += 1
        finally:
            os.close(fd)

    def container(self) -> str:
        """Return what the stream is packed in, judged by its first bytes.

        Returns
        -------
        str
            ``mp4`` (ISO/IEC 14496-12), ``ts`` and ``ps`` (ISO/IEC 13818-1), ``es`` for a bare
            stream, or empty.
        """
        start = b"".join(self.read(0, 400))
        if start[4:8] == b"ftyp":
            return "mp4"
        if any(
            start[at : at + 1] == start[at + step : at + step + 1] == b"G" for at, step in _PACKETS
        ):
            return "ts"
        if start.startswith(b"\0\0\1\xba"):
            return "ps"
        return "es" if start.startswith((b"\0\0\1", b"\0\0\0\1")) else ""


class Papers:
    """Finds documents and videos of studies."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.sound = Soundness(stored)
        self._videos: OrderedDict[tuple[Any, ...], Video] = OrderedDict()
        self._lock = threading.Lock()

    def listed(self, key: str) -> list[dict[str, Any]]:
        """Return what a page lists of a study's documents and videos, in order.

        Parameters
        ----------
        key : str
            Of the study.

        Raises
        ------
        NotFound
            There is no such study.
        """
        with self.stored.index.read() as db:
            study = db.execute(select(_studies.c.key).where(_studies.c.key == key)).first()
            if study is None:
                raise NotFound(thing=key)
            rows = list(db.execute(_rows(key)))
            asked = requests.of_studies(db, key).values()
        forms = {uid for one in asked for uid in request.forms(one)}
        described = dict(
            (row.id, attributes.read_instance(packed))
            for row, packed in self.stored.attributes(rows)
        )
        found = [
            self._said(row, described.get(row.id, {}), form=row.sop_uid in forms) for row in rows
        ]
        return sorted(found, key=lambda one: (not one["form"], one["kind"] == "video"))

    def _said(self, row: Row[Any], model: dict[str, Any], *, form: bool) -> dict[str, Any]:
        words = INSTANCE_WORDS[InstanceState(row.state)]

        def text(tag: str) -> str:
            value = attributes.first(model, tag)
            return str(value) if isinstance(value, str | int | float) else ""

        concept = attributes.first(model, "0040A043")
        meaning = attributes.first(concept, "00080104") if isinstance(concept, dict) else None
        return {
            "sop_uid": row.sop_uid,
            "series_uid": row.series_uid,
            "kind": _kind(row),
            "form": form,
            "state": row.state,
            "state_ja": words.ja,
            "state_en": words.en,
            "title": text("00420010") or str(meaning or "") or text("0008103E"),
            "date": text("00080023") or text("00080022"),
            "number": row.number,
            "media": text("00420012"),
            "syntax": uids.TRANSFER_SYNTAXES.get(row.transfer_syntax or "", ""),
            "container": self._container(row),
        }

    def _container(self, row: Row[Any]) -> str:
        """Return what a video that is here is packed in; empty of everything else."""
        if _kind(row) != "video" or row.state not in WHOLE:
            return ""
        try:
            return self._video(row).container()
        except TodokeError:
            return ""  # said in words when it is opened

    def document(self, key: str, uid: str) -> Document:
        """Return a document.

        Raises
        ------
        NotFound
            The study has no such document, or it is not here.
        ImageDamaged
        DocumentNotShown
            It is of a kind that no page shows, or its file holds none.
        """
        row = self._find(key, uid)
        if row.sop_class not in DOCUMENTS:
            raise NotFound(thing="document")
        self.sound.check(row)
        if row.sop_class not in {request.PDF, CDA}:
            raise DocumentNotShown(cause=uids.STORAGE_CLASSES.get(row.sop_class, row.sop_class))
        try:
            header, _ = dataset.open_header(self.stored.path(row))
            data = bytes(header.get("EncapsulatedDocument") or b"")
            length = header.get("EncapsulatedDocumentLength")
        except TodokeError:
            raise
        except Exception as failure:  # pydicom raises anything on hostile bytes
            raise DocumentNotShown(cause="EncapsulatedDocument") from failure
        data = data[: int(length)] if isinstance(length, int) else data
        if row.sop_class == CDA:
            return Document(data, "text/plain")
        if b"%PDF-" not in data[:_PDF_WITHIN]:
            raise DocumentNotShown(cause="no PDF")
        return Document(data, "application/pdf")

    def video(self, key: str, uid: str) -> Video:
        """Return a video that a browser may play.

        Raises
        ------
        NotFound
            The study has no such video, or it is not here.
        ImageDamaged
        VideoNotPlayed
            It is packed in something that no browser plays.
        """
        row = self._find(key, uid)
        if row.transfer_syntax not in VIDEO:
            raise NotFound(thing="video")
        self.sound.check(row)
        found = self._video(row)
        container = found.container()
        if container != "mp4":
            raise VideoNotPlayed(cause=container or row.transfer_syntax)
        return found

    def _find(self, key: str, uid: str) -> Row[Any]:
        with self.stored.index.read() as db:
            row = db.execute(_rows(key).where(_instances.c.sop_uid == uid)).one_or_none()
        if row is None:
            raise NotFound(thing="UID")
        if row.state == InstanceState.DAMAGED:
            raise ImageDamaged
        if row.state not in WHOLE or row.path is None:
            raise NotFound(thing="未着 / not here yet")
        return row

    def _video(self, row: Row[Any]) -> Video:
        kept = (row.key, row.path, row.length)
        with self._lock:
            if kept in self._videos:
                self._videos.move_to_end(kept)
                return self._videos[kept]
        fd = self.stored.open(row)
        try:
            pixels = dataset.find_pixels(
                fd,
                row.prefix_length + row.pixel_offset - _BEFORE_VALUE,
                row.prefix_length + row.length,
                row.transfer_syntax,
            )
        finally:
            os.close(fd)
        if pixels is None or not pixels.fragments:
            raise VideoNotPlayed(cause="PixelData")
        video = Video(self.stored, row, pixels.fragments)
        with self._lock:
            self._videos[kept] = video
            while len(self._videos) > KEPT:
                self._videos.popitem(last=False)
        return video


def _rows(key: str) -> Any:
    """Return the query of a study's documents and videos, whether they are here or not."""
    same = (_studies.c.institution == _instances.c.institution) & (
        _studies.c.study_uid == _instances.c.study_uid
    )
    of_kind = _instances.c.sop_class.in_(DOCUMENTS) | _instances.c.transfer_syntax.in_(VIDEO)
    return (
        select(*LIGHT)
        .join(_studies, same)
        .where(_studies.c.key == key, of_kind, NOT_RECALLED)
        .order_by(_instances.c.series_uid, _instances.c.number, _instances.c.id)
    )


def _kind(row: Row[Any]) -> str:
    if row.sop_class in DOCUMENTS:
        return {request.PDF: "pdf", CDA: "cda"}.get(row.sop_class, "other")
    return "video"
