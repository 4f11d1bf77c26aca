"""The process of the DICOM door: a thread an association, one committer."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from common import audit, console, descriptors, durable, logs, signals
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Receiver
from receiver.child import attended
from receiver.doors.dicom import DicomDoor
from receiver.index import Index
from receiver.store import Store

log = logging.getLogger("todoke.dicom")


def serve(data: Path) -> None:
    """Open the door, say the port on stdout, serve until told to stop."""
    settings = Receiver.load(data)
    descriptors.raise_limit()
    stop = threading.Event()
    signals.end_by(stop.set)
    threading.excepthook = _fatal
    index = Index.at(data)
    trail = audit.Trail(data / "audit", "dicom")
    trail.note("started", of="dicom")
    door = DicomDoor(
        index,
        Store.at(data, settings),
        Node.load(data, Role.SUPPORTER),
        trail,
        address=(settings.bind, settings.dicom_port),
        aet=settings.aet,
        profile=settings.profile,
        others=settings.other_storage_classes,
        max_instance_gb=settings.max_instance_gb,
        limits={
            "max_associations": settings.max_associations,
            "max_per_partner": settings.max_associations_per_partner,
        },
    )
    door.start()
    console.tell(str(door.acceptor.address[1]))
    stop.wait()
    door.stop()
    index.close()
    trail.note("stopped", of="dicom")
    trail.close()


def _fatal(failure: threading.ExceptHookArgs) -> None:
    """A thread that dies must not leave a door that looks open: say so and go down."""
    place = logs.place(failure.exc_traceback)  # without its message, which may quote values
    log.critical("thread %s failed: %s, %s", failure.thread, failure.exc_type.__name__, place)
    os._exit(70)


if __name__ == "__main__":
    logs.begin()
    durable.end_on_failure()
    with attended(Path(sys.argv[1]), "dicom"):
        serve(Path(sys.argv[1]))
