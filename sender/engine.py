"""Works off the outbox: one thread a partner, so that a dead one never slows the others.

The engine holds the lock of the data directory; verbs that are typed while it
runs put their wishes into the outbox and watch it there.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from common.errors import (
    NotFound,
    PeerError,
    SettingsError,
    SourceChanged,
    StorageError,
    TodokeError,
)
from common.proof.identity import Node, Role
from common.settings import Sender
from common.states import TransferState
from sender import ingest, routing
from sender.delivery import Delivery
from sender.outbox import Job, Outbox, Transfer, fault, now
from sender.partners import find_partner

log = logging.getLogger("todoke.sender")
POLL = 0.05  # seconds between looks at what other processes wrote into the outbox
RULES_AGAIN = 5.0  # seconds until rules that were not right are read again
LONGEST_WAIT = 60.0  # seconds between two tries
HELD_STATES = (TransferState.SENDING, TransferState.DELIVERED)


def pause_before(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait before a further try: doubling, with jitter, at most a minute."""
    return min(LONGEST_WAIT, 0.5 * 2.0**attempt) * (0.5 + jitter() / 2)


class Engine:
    """Scans jobs and delivers transfers until stopped.

    Parameters
    ----------
    data : Path
        The sender's data directory, whose lock the caller holds.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.node = Node.load(data, Role.REQUESTER)
        self.settings = Sender.load(data)
        self.outbox = Outbox(data)
        self.stop = threading.Event()
        self._wake = threading.Condition()
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._scanner: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._rules_due = 0.0

    def run(self, done: Callable[[], bool] = lambda: False) -> None:
        """Work until `done` says so or :attr:`stop` is set.

        Raises
        ------
        StorageError
            Our own disk failed: nothing more is promised.
        """
        try:
            while not self.stop.is_set() and self._failure is None:
                self._start_scanner()
                self._start_deliveries()
                if done() and not self._busy:
                    break
                with self._wake:
                    self._wake.wait(POLL)
        finally:
            self.stop.set()
            self._join()
        if self._failure is not None:
            raise self._failure

    def _join(self) -> None:
        if self._scanner is not None:
            self._scanner.join()
        with self._wake:
            self._wake.wait_for(lambda: not self._busy, timeout=30)

    def look_again(self, transfer: str) -> None:
        """Work on a transfer at once that waits for its next try; from any thread."""
        self._due.pop(transfer, None)
        with self._wake:
            self._wake.notify_all()

    def close(self) -> None:
        """Close the outbox."""
        self.outbox.close()

    # -- jobs ---------------------------------------------------------------

    def _start_scanner(self) -> None:
        if self._scanner is not None and self._scanner.is_alive():
            return
        if self._scannable():
            self._scanner = threading.Thread(target=self._guarded(self._scan), name="scan")
            self._scanner.start()

    def _scannable(self) -> list[Job]:
        """Return jobs to be read; those without a partner wait while the rules are not right."""
        jobs = self.outbox.jobs(unscanned=True)
        return [job for job in jobs if job.partner or time.monotonic() >= self._rules_due]

    def _scan(self) -> None:
        for job in self._scannable():
            if self.stop.is_set():
                return
            try:
                rules = [] if job.partner else routing.load(self.data)
            except SettingsError as error:
                # half a rule sends nothing, and holds up nothing that needs no rule
                log.error("job %s waits: %s", job.id, error.number)
                self._rules_due = time.monotonic() + RULES_AGAIN
                continue
            found = ingest.scan(job, rules)
            self.outbox.scanned(job, found.transfers, found.refused, found.files)
            log.info("job %s: %s files, %s refused", job.id, found.files, len(found.refused))

    # -- transfers ----------------------------------------------------------

    def _start_deliveries(self) -> None:
        for transfer in self.outbox.owed():
            if transfer.partner in self._busy or time.monotonic() < self._due.get(transfer.id, 0):
                continue
            if transfer.state in (TransferState.QUEUED, *HELD_STATES):
                self._busy.add(transfer.partner)
                work = self._guarded(partial(self._deliver, transfer), transfer.partner)
                threading.Thread(target=work, name=f"to-{transfer.partner}").start()

    def _guarded(self, work: Callable[[], None], partner: str | None = None) -> Callable[[], None]:
        """A failure of our own storage ends the engine instead of one thread."""

        def guarded() -> None:
            try:
                work()
            except BaseException as failure:  # handed to run()
                self._failure = failure
            finally:
                with self._wake:
                    if partner is not None:
                        self._busy.discard(partner)
                    self._wake.notify_all()

        return guarded

    def _deliver(self, transfer: Transfer) -> None:
        try:
            partner = find_partner(self.data, transfer.partner)
            work = Delivery(self.outbox, self.node, self.settings, partner, self.stop)
            work.deliver(transfer)
        except (SourceChanged, StorageError, NotFound) as error:
            self._end(transfer, TransferState.HELD, error)
        except TodokeError as error:
            if self.stop.is_set():
                return
            if error.retryable:
                self._try_again(transfer, error)
            else:
                self._end(transfer, TransferState.FAILED, error)
        except sqlite3.Error:
            raise
        except Exception as failure:  # whatever one peer or one file brings about stops no other
            log.error("%s", "".join(traceback.format_tb(failure.__traceback__)))
            self._end(transfer, TransferState.FAILED, TodokeError(cause=type(failure).__name__))

    def _try_again(self, transfer: Transfer, error: TodokeError) -> None:
        attempts = transfer.attempts + 1
        pause = pause_before(attempts)
        self._due[transfer.id] = time.monotonic() + pause
        self.outbox.keep(transfer.id, attempts=attempts, error=fault(error))
        log.warning("transfer %s: %s; again in %.1f s", transfer.id, _words(error), pause)

    def _end(self, transfer: Transfer, state: TransferState, error: TodokeError) -> None:
        self.outbox.set_state(transfer.id, state, error=fault(error), finished=now())
        log.error("transfer %s: %s", transfer.id, _words(error))


def _words(error: TodokeError) -> str:
    """Return an error for the log: a path may hold a patient's name, what a peer says none."""
    return str(error) if isinstance(error, PeerError) else f"{type(error).__name__} {error.number}"
