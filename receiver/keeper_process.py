"""The process that looks after what is stored: reads it again, and purges what was done with."""

from __future__ import annotations

import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from common import audit, console, logs, signals
from common.audit.minding import Minder
from common.errors import StorageError
from common.proof.identity import Node
from common.proof.role import Role
from common.refusals import Refusals
from common.settings import Receiver
from common.space import MIB
from receiver import index
from receiver.audit_transfers import Transfers
from receiver.changes import Changes
from receiver.child import attended
from receiver.deriving import Deriving
from receiver.describe_process import yield_processor
from receiver.forwarder import Forwarder
from receiver.index import Index
from receiver.purge import Purge
from receiver.record_watch import RecordWatch
from receiver.records import Records
from receiver.scrub import MARK, Pace, Scrub
from receiver.store import Store

if TYPE_CHECKING:
    from common.dicom.report_door import ReportDoor

log = logging.getLogger("todoke.keeper")
ROUND = 1.0  # seconds between two looks, where nothing is to be read
KEEP_EVERY = 10.0  # seconds between two looks for what the records lack
STARTED = "scrub-started"  # day on which the pass began, in index.marks


class Ended(Exception):
    """The process is to end: in the middle of whatever it reads."""


class Keeper:
    """Does by turns what may wait.

    Parameters
    ----------
    stop : threading.Event
    """

    def __init__(self, data: Path, settings: Receiver, stop: threading.Event) -> None:
        self.settings = settings
        self.stop = stop
        self.index = Index.at(data)
        store = Store(data / "store")
        self.trail = audit.Trail(data / "audit", "keeper")
        self._changes, self._written = Changes(self.index), Changes(self.index)
        self._clock = time.monotonic
        self._stale, self._due = True, 0.0
        # without passes too, what is damaged and what came again is read back
        rate = (settings.scrub_mb_per_second or Receiver.scrub_mb_per_second) << 20
        pace = Pace(rate, self._wait, self._changes.seen)
        self.scrub = Scrub(self.index, store, self.trail, pace)
        self.purge = Purge(self.index, store, self.trail, settings.purge_days)
        self.records = Records(self.index, data)
        self.record_watch = RecordWatch(self.index, data, self.trail)
        self.deriving = Deriving(self.index, store.root, settings.keep_free_mb * MIB)

    def _wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Ended

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while True:
                try:
                    self.round(datetime.now(UTC))
                except StorageError as error:  # the index is busy, or the store away
                    log.error("%s", error)
                    self._wait(30 * ROUND)
                self._wait(ROUND)
        except Ended:
            pass
        finally:
            self.deriving.close()
            self._changes.close()
            self._written.close()
            self.index.close()
            self.trail.close()

    def round(self, now: datetime) -> None:
        """Do some of everything."""
        self._stale |= self._written.seen()
        if self._stale and self._clock() >= self._due:
            self._stale, self._due = False, self._clock() + KEEP_EVERY
            self.records.keep()
        self.purge.daily(now, self.settings.purge_notice_days)
        self.record_watch.daily(now)
        self.scrub.again()
        self.scrub.suspected()
        if self.settings.scrub_mb_per_second and self._pass_is_due(now):
            self.scrub.some()
        self.deriving.some()

    def _pass_is_due(self, now: datetime) -> bool:
        """Tell whether a pass is under way, or none was begun today."""
        today = now.date().isoformat()
        with self.index.read() as db:
            if int(index.marked(db, MARK) or 0) > 0:
                return True
            if index.marked(db, STARTED) == today:
                return False
        with self.index.write() as db:
            index.mark(db, STARTED, today)
        return True


def report_door(
    data: Path, known: Index, settings: Receiver, forwarder: Forwarder
) -> ReportDoor | None:
    """Open the door for targets that report by dialling back, where the site names a port."""
    if not settings.forward_report_port or forwarder.commits is None or forwarder.trail is None:
        return None
    from receiver.doors.commit_reports import door_of

    door = door_of(
        known,
        Node.load(data, Role.SUPPORTER),
        forwarder.commits,
        Refusals(forwarder.trail, door="forward-report"),
        (settings.bind, settings.forward_report_port),
        aet=settings.aet,
        profile=settings.profile,
    )
    door.start()
    return door


def serve(data: Path) -> None:
    """Keep until told to stop."""
    stop = threading.Event()
    signals.end_by(stop.set)
    yield_processor()
    settings = Receiver.load(data)
    keeper = Keeper(data, settings, stop)
    # in a thread of its own: a repository that is slow holds up nothing that is kept
    known = Index.at(data)
    transfers = Transfers(known, data)
    minder = Minder(Node.load(data, Role.SUPPORTER), settings, transfers.look)
    minder.start()
    forwarder = Forwarder.of(known, data, settings)
    forwarder.rounds.start()
    door = report_door(data, known, settings, forwarder)
    console.tell("ready")
    keeper.run()
    if door is not None:
        door.stop()
    forwarder.stop()
    minder.stop()
    transfers.close()
    known.close()


if __name__ == "__main__":
    logs.begin()
    with attended(Path(sys.argv[1]), "keeper"):
        serve(Path(sys.argv[1]))
