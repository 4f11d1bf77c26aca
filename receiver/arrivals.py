"""Instances that arrive whole, by C-STORE: written, made safe, indexed, only then acknowledged.

A group of instances shares one folder fsync and one transaction, and each is
answered when that transaction is on the disk (group commit), so an
acknowledgement never stands for less than a durable, indexed file.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import Connection, insert, select, update

from common import durable, link
from common.dicom import dataset
from common.errors import (
    InputError,
    MixedPatients,
    NotDicom,
    ProtocolError,
    SameUidOtherContent,
    TodokeError,
)
from common.states import InstanceState
from receiver import attributes, index, transfers
from receiver.index import Index
from receiver.store import Store

Answer = Callable[[TodokeError | None], None]
Touched = dict[tuple[str, str], str | None]  # transfer by institution and study, of one commit
GROUP = 32  # instances at most in one transaction
WRITERS = 3  # threads that wait for file fsyncs


@dataclass(slots=True)
class Arrival:
    """One instance while it arrives.

    Attributes
    ----------
    institution : str
        Code of the partner whose certificate opened the association.
    """

    store: Store
    institution: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    key: str = field(default_factory=Store.new_key)
    fd: int = -1
    length: int = 0
    prefix: bytes = b""
    d1: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    study: dict[str, Any] = field(default_factory=dict)
    answer: Answer | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def begin(self) -> None:
        """Open the file that the bytes go to.

        Raises
        ------
        DiskFull
            Before the disk is full.
        """
        self.store.check_space()
        self.prefix = dataset.file_prefix(
            self.sop_class_uid, self.sop_instance_uid, self.transfer_syntax_uid
        )
        self.fd = durable.create(self.path)
        try:
            durable.write_at(self.fd, self.prefix, 0)
        except TodokeError:
            self.abandon()
            raise

    @property
    def path(self) -> Path:
        """Where the bytes lie while they arrive."""
        return self.store.incoming / f"{self.key}.part"

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the data set."""
        durable.write_at(self.fd, data, len(self.prefix) + self.length)
        self.digest.update(data)
        self.length += len(data)

    def abandon(self) -> None:
        """Forget the bytes; nothing was promised."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.path.unlink(missing_ok=True)

    def make_safe(self) -> None:
        """Bring the bytes to the disk and read from them what they are.

        Raises
        ------
        InputError
            The data set cannot be read, or is not the instance that was announced.
        """
        durable.sync_data(self.fd)
        self.d1 = self.digest.hexdigest()
        try:
            self._read()
        except ProtocolError as failure:
            raise InputError(cause=failure.facts.get("cause")) from failure
        except TodokeError:
            raise
        except Exception as failure:  # pydicom raises anything on hostile bytes
            raise NotDicom(cause=type(failure).__name__) from failure
        os.close(self.fd)
        self.fd = -1

    def _read(self) -> None:
        header, pixels_at = dataset.open_header(self.path)
        if str(header.SOPInstanceUID) != self.sop_instance_uid:
            raise InputError(cause="Affected SOP Instance UID")
        if str(header.get("SOPClassUID")) != self.sop_class_uid:
            raise InputError(cause="Affected SOP Class UID")
        end = len(self.prefix) + self.length
        pixels = dataset.find_pixels(self.fd, pixels_at, end, self.transfer_syntax_uid)
        self.values = self._row(header, pixels)
        self.study = attributes.study_attributes(header)

    def _row(self, header: Dataset, pixels: dataset.Pixels | None) -> dict[str, Any]:
        """Return what the index keeps of the instance."""
        base = len(self.prefix)
        # deflated pixels have no offsets, but frames they are
        image = pixels or (self.transfer_syntax_uid in dataset.DEFLATED and "Rows" in header)
        table = pixels and dataset.frame_table(pixels, header, base)
        return {
            "study_uid": link.check_uid(str(header.StudyInstanceUID)),
            "series_uid": link.check_uid(str(header.SeriesInstanceUID)),
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
            "attributes": attributes.instance_attributes(header),
            "stored_at": index.now(),
        }


class Arrivals:
    """Makes finished arrivals durable, in groups, and answers each.

    Parameters
    ----------
    index : Index
    store : Store
    alarm : callable
        Called with an institution and a cause when something is kept aside.
    """

    def __init__(self, index: Index, store: Store, alarm: Callable[[str, str], None]) -> None:
        self.index = index
        self.store = store
        self.alarm = alarm
        self._written: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._safe: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._make_safe, name=f"fsync-{i}", daemon=True)
            for i in range(WRITERS)
        ]
        self._threads.append(threading.Thread(target=self._commit, name="commit", daemon=True))
        for thread in self._threads:
            thread.start()

    def finish(self, arrival: Arrival, answer: Answer) -> None:
        """Take an arrival whose last byte is written; `answer` is called from a thread."""
        arrival.answer = answer
        self._written.put(arrival)

    def close(self) -> None:
        """Finish what was begun and stop."""
        for _ in range(WRITERS):
            self._written.put(None)
        for thread in self._threads[:-1]:
            thread.join()
        self._safe.put(None)
        self._threads[-1].join()

    def _make_safe(self) -> None:
        while (arrival := self._written.get()) is not None:
            try:
                arrival.make_safe()
            except TodokeError as error:
                arrival.abandon()
                _answer(arrival, error)
            else:
                self._safe.put(arrival)

    def _commit(self) -> None:
        while (first := self._safe.get()) is not None:
            group = [first]
            while len(group) < GROUP and not self._safe.empty():
                arrival = self._safe.get()
                if arrival is None:
                    self._safe.put(None)
                    break
                group.append(arrival)
            self._commit_group(group)

    def _commit_group(self, group: list[Arrival]) -> None:
        outcomes: list[tuple[Arrival, TodokeError | None]] = []
        try:
            with self.index.write() as db:
                folders: set[Path] = set()
                touched: Touched = {}
                for arrival in group:
                    outcomes.append((arrival, self._place(db, arrival, folders, touched)))
                for folder in folders:
                    durable.sync_folder(folder)
        except TodokeError as error:
            outcomes = [(arrival, error) for arrival in group]
        for arrival, outcome in outcomes:
            _answer(arrival, outcome)

    def _place(
        self, db: Connection, arrival: Arrival, folders: set[Path], touched: Touched
    ) -> TodokeError | None:
        """Give one instance its place, unless its UID is taken."""
        rows = index.instances
        known = db.execute(
            select(rows).where(
                rows.c.institution == arrival.institution,
                rows.c.sop_uid == arrival.sop_instance_uid,
            )
        ).one_or_none()
        if known is not None and known.state != InstanceState.EXPECTED:
            return self._again(db, arrival, known.d1, known.transfer)
        values = arrival.values
        study_uid = str(values["study_uid"])
        try:
            transfers.check_patient(db, arrival.institution, study_uid, arrival.study)
        except MixedPatients as error:
            self.store.keep_aside(arrival.path)
            self.alarm(arrival.institution, "another patient in the same study")
            return error
        folder = self.store.series_folder(arrival.institution, str(values["series_uid"]))
        final = folder / f"{arrival.key}.dcm"
        durable.rename(arrival.path, final)
        folders.add(folder)
        values = {**values, "path": self.store.relative(final), "key": arrival.key}
        transfer = known.transfer if known else None
        if known is None:
            transfer = transfers.without_opening(db, arrival.institution, study_uid)
            here = {"institution": arrival.institution, "sop_uid": arrival.sop_instance_uid}
            db.execute(insert(rows).values(**values, **here, transfer=transfer))
        else:
            db.execute(update(rows).where(rows.c.id == known.id).values(**values))
        if touched.get((arrival.institution, study_uid)) != transfer:
            study = transfers.touch_study(
                db, arrival.institution, study_uid, transfer, lambda: arrival.study
            )
            index.announce(db, "study", study)
            touched[arrival.institution, study_uid] = transfer
        return None

    def _again(
        self, db: Connection, arrival: Arrival, d1: str | None, transfer: str | None
    ) -> TodokeError | None:
        """The same instance again is a success and counted; another content is kept aside."""
        if d1 == arrival.d1:
            arrival.path.unlink(missing_ok=True)
            transfers.count_repeats(db, transfer, 1)
            return None
        self.store.keep_aside(arrival.path)
        self.alarm(arrival.institution, "same UID, other content")
        return SameUidOtherContent(path="SOP Instance UID")


def _answer(arrival: Arrival, error: TodokeError | None) -> None:
    if arrival.answer is not None:
        arrival.answer(error)
