"""One instance on its way in by C-STORE: from the connection to a safe file."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from common import durable, link
from common.dicom import dataset, elements
from common.errors import InputError, NotDicom, ProtocolError, StorageError, TodokeError, UidInvalid
from common.states import InstanceState
from receiver import attributes
from receiver.buffers import SIZE
from receiver.store import Store

Answer = Callable[[TodokeError | None], None]
#: What tells two patients of one institution apart (DAT-04): keyword and tag.
PATIENT = {
    "PatientID": "00100020",
    "IssuerOfPatientID": "00100021",
    "PatientBirthDate": "00100030",
}


@dataclass(slots=True)
class Arrival:
    """One instance while it arrives.

    Attributes
    ----------
    institution : str
        Code of the partner whose certificate opened the association.
    linked : bool
        The partner opens its transfers over the link, before this or still to come.
    values : dict
        Columns of the index, once the instance is safe.
    patient : dict
        DICOM JSON model of what tells its patient from another, once it is safe.
    safe_at : float
        Moment of :func:`time.monotonic` at which it was.
    folder : Path
        Whose fsync makes its name safe.
    """

    store: Store
    institution: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    linked: bool = False
    key: str = field(default_factory=Store.new_key)
    fd: int = -1
    length: int = 0
    prefix: bytes = b""
    d1: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    patient: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    answer: Answer | None = None
    safe_at: float = 0.0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _buffer: mmap.mmap | None = None
    _used: int = 0  # bytes of the file in the buffer
    _written: int = 0  # bytes of the file before them, on their way to the disk

    def begin(self) -> None:
        """Make room for the first bytes.

        Raises
        ------
        DiskFull
            Before the disk is full.
        """
        self.store.space.check()
        self.prefix = dataset.file_prefix(
            self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid
        )
        self._buffer = self.store.buffers.take()
        self._used = len(self.prefix)
        self._buffer[: self._used] = self.prefix

    @property
    def path(self) -> Path:
        """Where the bytes lie before the file has its final name."""
        return self.store.incoming / f"{self.key}.part"

    @property
    def final(self) -> Path:
        """Where the instance lies once it is safe."""
        return self.store.path(self.values["path"])

    def room(self, wanted: int) -> memoryview:
        """Return a place for the next bytes.

        Raises
        ------
        StorageError
        """
        if self._used == SIZE:
            self._spill()
        return memoryview(self._held())[self._used : min(SIZE, self._used + wanted)]

    def filled(self, count: int) -> None:
        """Take what was put into the room."""
        self._used += count
        self.length += count

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the data set."""
        while data:
            room = self.room(len(data))
            count = len(room)
            room[:] = data[:count]
            self.filled(count)
            data = data[count:]

    def _held(self) -> mmap.mmap:
        if self._buffer is None:
            raise NotDicom(cause="after its end")
        return self._buffer

    def _spill(self, *, whole: bool = False) -> None:
        """Write a buffer out: an instance may be of any size, its memory not.

        Parameters
        ----------
        whole : bool
            The buffer holds the whole file.
        """
        direct = whole and self.store.direct
        self.store.space.check(self._used)  # many begin at a time, and none says how long it is
        if self.fd < 0:
            self.fd = durable.create(self.path, direct=direct)
        with memoryview(self._held()) as buffer, buffer[: self._used] as used:
            start = 0 if self._written else len(self.prefix)
            with used[start:] as fresh:
                self.digest.update(fresh)
            if direct:
                durable.write_direct(self.fd, buffer, self._used)
            else:
                durable.write_at(self.fd, used, self._written)
        self._written += self._used
        self._used = 0

    def abandon(self) -> None:
        """Forget the bytes; nothing was promised."""
        self._let_go()
        durable.discard(self.path)

    def _let_go(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._buffer is not None:
            self.store.buffers.give(self._buffer)
            self._buffer = None

    def make_safe(self) -> None:
        """Bring the bytes to the disk under the final name, and read from them what they are.

        The name is safe with the folder's next fsync.

        Raises
        ------
        InputError
            The data set cannot be read, or is not the instance that was announced.
        """
        found = None if self._written else self._scan()
        self._spill(whole=not self._written)
        durable.sync_data(self.fd)
        self.d1 = self.digest.hexdigest()
        try:
            self._read(found)
        except ProtocolError as failure:
            raise UidInvalid(cause="study or series") from failure
        except TodokeError:
            raise
        except Exception as failure:  # pydicom raises anything on hostile bytes
            raise NotDicom(cause=type(failure).__name__) from failure
        self._let_go()
        series = str(self.values["series_uid"])
        self.folder, self.values["path"] = self.store.move_in(
            self.path, self.institution, series, self.key
        )

    def _scan(self) -> elements.Elements | None:
        """Read the header where it still lies in memory; None where a parser has to."""
        with memoryview(self._held()) as whole, whole[: self._used] as used:
            at = len(self.prefix)
            found = elements.scan(used, at, self.transfer_syntax_uid, whole=True)
        return self.complete(found)

    @staticmethod
    def complete(found: elements.Elements | None) -> elements.Elements | None:
        """Return a header that says which instance it is; None where a parser has to look."""
        complete = found is not None and all(
            found.get(k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
        return found if complete else None

    def _read(self, found: elements.Elements | None) -> None:
        end = len(self.prefix) + self.length
        header: Any = found
        if found is not None:
            self.patient = {
                tag: {"vr": "LO", "Value": [found.get(keyword)]}
                for keyword, tag in PATIENT.items()
                if found.get(keyword)
            }
            pixels_at = end if found.pixels_at is None else found.pixels_at
        else:
            header, pixels_at = dataset.open_header(self.path)
            self.patient = attributes.study_attributes(header)
        if str(header.get("SOPInstanceUID")) != self.sop_instance_uid:
            raise InputError(cause="Affected SOP Instance UID")
        if str(header.get("SOPClassUID")) != self.sop_class_uid:
            raise InputError(cause="Affected SOP Class UID")
        read = partial(durable.read_at, self.fd) if self._written > SIZE else self._recall
        pixels = dataset.pixels_in(read, pixels_at, end, self.transfer_syntax_uid)
        self.values = self._row(header, pixels)

    def _recall(self, size: int, at: int) -> bytes:
        """Return bytes of a file that is whole in memory still."""
        return self._held()[at : min(at + size, self._written)]

    def _row(self, header: dataset.Values, pixels: dataset.Pixels | None) -> dict[str, Any]:
        """Return what the index keeps of the instance; its attributes are made later."""
        base = len(self.prefix)
        # deflated pixels have no offsets, but frames they are
        deflated = self.transfer_syntax_uid in dataset.DEFLATED
        image = pixels or (deflated and header.get("Rows") is not None)
        table = pixels and dataset.frame_table(pixels, header, base)
        return {
            "key": self.key,
            "study_uid": link.check_uid(str(header.get("StudyInstanceUID"))),
            "series_uid": link.check_uid(str(header.get("SeriesInstanceUID"))),
            "sop_class": self.sop_class_uid,
            "transfer_syntax": self.transfer_syntax_uid,
            "state": InstanceState.STORED,
            "number": dataset.instance_number(header),
            "prefix_length": base,
            "length": self.length,
            "pixel_offset": pixels.offset - base if pixels else None,
            "frames": dataset.frame_count(header) if image else 0,
            "frame_table": table or None,
            "d1": self.d1,
            "attributes": None,
        }

    def study_model(self) -> dict[str, Any]:
        """Return the patient and study level, read from the file where it lies now.

        Where a parser cannot make it of hostile values, it is what tells patients apart.
        """
        try:
            return attributes.study_attributes(dataset.open_header(self.final)[0])
        except OSError as failure:
            raise StorageError(cause="reading back") from failure
        except Exception:  # pydicom raises anything; others of the group are not to suffer
            return dict(self.patient)
