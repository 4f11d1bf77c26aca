"""The modality door: C-STORE from registered devices of this hospital, on a named LAN address.

An instance is acknowledged when its file and its name are on the disk.  A study
is taken into the outbox when nothing of it has come for the settings'
`settle_seconds`; until then its folder lies under ``spool/arriving``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from common import audit, durable, space
from common.dicom import dataset, uids
from common.dicom.association import Acceptor, Incoming, Peer, Writing
from common.errors import InputError, InstanceTooLarge, PeerNotRegistered, TodokeError
from common.refusals import Refusals
from common.settings import Sender
from common.space import MIB, Space
from sender.outbox import Outbox, now
from sender.partners import load_modalities

log = logging.getLogger("todoke.modality")
POLL = 0.5  # seconds between two looks for studies that have come to rest


@dataclass(slots=True)
class _Spooled:
    """One instance on its way into the spool."""

    door: ModalityDoor
    incoming: Incoming
    path: Path
    fd: int
    at: int

    def write(self, data: memoryview) -> None:
        limit = self.door.settings.max_instance_gb
        if self.at + len(data) > limit * space.GB:
            raise InstanceTooLarge(limit=limit)
        durable.write_at(self.fd, data, self.at)
        self.at += len(data)

    def finish(self, answer: Callable[[int], None]) -> None:
        durable.sync_data(self.fd)
        os.close(self.fd)
        self.fd = -1
        header, _ = dataset.open_header(self.path)
        if str(header.SOPInstanceUID) != self.incoming.sop_instance_uid:
            raise InputError(cause="Affected SOP Instance UID")
        self.door.heard(self.incoming.peer)
        self.door.keep(self.incoming.peer.calling_aet, str(header.StudyInstanceUID), self.path)
        answer(0x0000)

    def abandon(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        durable.discard(self.path)


class ModalityDoor:
    """Acceptor on a LAN address; a context manager.

    Parameters
    ----------
    clock : callable
        Seconds; for tests.
    submitted : callable
        Told after a study has been put into the outbox.

    Raises
    ------
    OSError
        The address is not one of this machine.
    """

    def __init__(
        self,
        data: Path,
        outbox: Outbox,
        settings: Sender,
        clock: Callable[[], float] = time.monotonic,
        submitted: Callable[[], None] = lambda: None,
    ) -> None:
        self.data = data
        self.outbox = outbox
        self.settings = settings
        self.clock = clock
        self._submitted = submitted
        self.spool = data / "spool"
        for name in ("incoming", "arriving", "taken", "devices"):
            durable.make_folder(self.spool / name)
        self.space = Space(self.spool, settings.keep_free_mb * MIB)
        self._last: dict[Path, float] = {}
        self._heard: dict[str, dict[str, str]] = {}
        self._taken: list[Path] = []  # studies that are at rest, and not in the outbox yet
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="settle")
        self._trail = audit.Trail(data / "audit", "modality")
        self._refusals = Refusals(self._trail, door="modality")
        self._acceptor = Acceptor(
            (settings.modality_bind, settings.modality_port),
            tls=None,
            sink=self,
            admit=self.admit,
            refused=self._refusals.note,
            supported=partial(uids.is_storable, others=settings.other_storage_classes),
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and real port."""
        return self._acceptor.address

    def __enter__(self) -> Self:
        self._go_on()
        self._acceptor.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self._acceptor.stop(5.0)
        self._stop.set()
        self._thread.join()
        self._refusals.close()
        self._trail.close()

    def admit(self, peer: Peer) -> None:
        """Let only registered devices in: AE title and address together.

        Raises
        ------
        PeerNotRegistered
        """
        known = {(m.aet, m.address) for m in load_modalities(self.data)}
        if (peer.calling_aet.strip(), peer.address) not in known:
            self._refusals.note(peer.address, f"AE title and address: {peer.calling_aet.strip()}")
            raise PeerNotRegistered(cause="AE title and address")

    def begin(self, incoming: Incoming) -> Writing:
        """Take the first byte of an instance.

        Raises
        ------
        DiskFull
            Before the disk is full.
        """
        self.space.check()
        path = self.spool / "incoming" / f"{secrets.token_hex(16)}.dcm"
        prefix = dataset.file_prefix(
            incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid
        )
        spooled = _Spooled(self, incoming, path, durable.create(path), len(prefix))
        try:
            durable.write_at(spooled.fd, prefix, 0)
        except TodokeError:
            spooled.abandon()
            raise
        return spooled

    def heard(self, peer: Peer) -> None:
        """Keep what a device calls itself, durably: how its images came in (DIR-01)."""
        aet = peer.calling_aet.strip()
        said = {
            "aet": aet,
            "address": peer.address,
            "implementation_class_uid": peer.implementation_class_uid or "",
            "implementation_version": peer.implementation_version or "",
        }
        with self._lock:
            if self._heard.get(aet) != said:
                durable.save(self._device(aet), json.dumps(said).encode())
                self._heard[aet] = said

    def _device(self, aet: str) -> Path:
        return self.spool / "devices" / f"{aet.encode().hex()}.json"

    def keep(self, aet: str, study: str, path: Path) -> None:
        """Put a whole instance into the folder of its study, durably."""
        name = hashlib.sha256(f"{aet.strip()}\0{study}".encode()).hexdigest()[:24]
        with self._lock:
            # in hex: an AE title may hold what a file name may not
            folder = self.spool / "arriving" / f"{aet.strip().encode().hex()}@{name}"
            durable.make_folder(folder)
            durable.publish(path, folder / path.name)
            self._last[folder] = self.clock()

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                self.take_settled()
            except (OSError, sqlite3.Error, TodokeError) as failure:
                # tried again: what is acknowledged must not lie here for ever
                log.error("spool: %s", type(failure).__name__)

    def take_settled(self) -> list[int]:
        """Put studies that have come to rest into the outbox; return the jobs."""
        jobs: list[int] = []
        with self._lock:
            for folder, last in list(self._last.items()):
                if self.clock() - last >= self.settings.settle_seconds:
                    taken = self.spool / "taken" / f"{folder.name}.{secrets.token_hex(4)}"
                    durable.rename(folder, taken)
                    del self._last[folder]
                    self._taken.append(taken)
            while self._taken:  # what could not be made safe or owed is there the next time
                durable.sync_folder(self.spool / "taken")
                jobs.append(self._submit(self._taken[0]))
                del self._taken[0]
        return jobs

    def _submit(self, taken: Path) -> int:
        aet = bytes.fromhex(taken.name.partition("@")[0]).decode()
        try:
            said: dict[str, Any] = json.loads(self._device(aet).read_text("utf-8"))
        except (OSError, ValueError):  # taken by an older program
            said = {"aet": aet}
        said["archive"] = any(one.archive for one in load_modalities(self.data) if one.aet == aet)
        said["taken_at"] = now()
        job = self.outbox.submit("", [taken], {"source": f"modality:{aet}", "ingest": said})
        self._submitted()
        return job

    def _go_on(self) -> None:
        """Pick up what a restart found: studies at rest, and taken ones that no job knows."""
        for left in (self.spool / "incoming").iterdir():
            durable.discard(left)  # never acknowledged
        for folder in (self.spool / "arriving").iterdir():
            self._last[folder] = self.clock()
        known = {path for job in self.outbox.jobs() for path in job.paths}
        for taken in (self.spool / "taken").iterdir():
            if str(taken.absolute()) not in known:
                self._taken.append(taken)
