"""Works off the outbox: one thread a partner, so that a dead one never slows the others.

What is urgent overtakes what has begun: it has a thread and an association of its
own, and the other gives way between two instances (:mod:`sender.turns`).

The engine holds the lock of the data directory; verbs that are typed while it
runs put their wishes into the outbox, ring (:mod:`sender.bell`) and watch it there.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from common import logs
from common.errors import (
    DatabaseDamaged,
    DiskFull,
    NotFound,
    PatientBlocked,
    PeerError,
    PeerFull,
    SettingsError,
    SourceChanged,
    StorageError,
    SyncFailed,
    TodokeError,
    UsageError,
)
from common.link import PRIORITIES
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Sender
from common.states import TransferState
from sender import again, declaring, ingest, routing, stopped, upkeep
from sender.ahead import Ahead
from sender.bell import Bell
from sender.delivery import WARM, Delivery
from sender.links.http import LinkClient
from sender.links.window import Window
from sender.outbox import Job, Outbox, Transfer, fault, now
from sender.pace import Pace, read
from sender.partners import Partner, find_partner
from sender.recorded import today
from sender.safety.basis import basis
from sender.safety.blocked import Blocked
from sender.safety.checks import Checks
from sender.turns import Claim, Crew, GaveWay, Turn

log = logging.getLogger("todoke.sender")
POLL = 1.0  # seconds between looks at the outbox, should nobody ring
RULES_AGAIN = 5.0  # seconds until rules that were not right are read again
LONGEST_WAIT = 60.0  # seconds between two tries
ENDING = 30.0  # seconds that work under way has to end
RANKS = {priority: rank for rank, priority in enumerate(PRIORITIES)}
AHEAD = 1.0  # seconds after its start, in which a daemon has other things to load
OWED_STATES = (TransferState.QUEUED, TransferState.SENDING, TransferState.DELIVERED)


def pause_before(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait before a further try: doubling, with jitter, at most a minute."""
    return min(LONGEST_WAIT, 0.5 * 2.0 ** min(attempt, 16)) * (0.5 + jitter() / 2)


class Engine:
    """Scans jobs and delivers transfers until stopped.

    Parameters
    ----------
    data : Path
        The sender's data directory, whose lock the caller holds.
    asks : bool
        Ask partners what they want again: a daemon does, a verb does not.

    Attributes
    ----------
    stop : threading.Event
        Set once nothing more is to be begun; :meth:`end` sets it and does not wait
        until the engine looks.
    """

    def __init__(self, data: Path, *, asks: bool = False) -> None:
        self.data = data
        self.asks = asks
        self._receipted: list[str] = []
        self._look_due = 0.0
        self.node = Node.load(data, Role.REQUESTER)
        self.settings = Sender.load(data)
        self.outbox = Outbox(data)
        upkeep.finish(data)
        self.stop = threading.Event()
        self._blocked = Blocked(data)
        self._bell = Bell(data)
        self._due: dict[str, float] = {}
        self._paces: dict[str, Pace] = {}
        self._windows: defaultdict[str, Window] = defaultdict(Window)
        self._scans = Crew("scan", self._ended)
        self._deliveries = Crew("to", self._ended)
        ours = data, self.settings.profile, self._connect, self._deliveries.lines
        self._ahead = Ahead(*ours)
        self._recordings = Crew("record", self._record_ended)  # beside, and never before a delivery
        self._record_tries: dict[str, int] = {}
        self._failure: BaseException | None = None
        self._rules_due = 0.0

    def run(self, done: Callable[[], bool] = lambda: False) -> None:
        """Work until `done` says so or :attr:`stop` is set.

        Raises
        ------
        StorageError
            Our own disk failed: nothing more is promised.
        """
        threading.Thread(target=self._load, daemon=True).start()
        try:
            while not self.stop.is_set() and self._failure is None:
                self._scans.assign(self._unscanned)
                self._deliveries.assign(self._owed)
                self._recordings.assign(self._records)
                self._keep_limits()
                self._ahead.look()
                if done() and not self._deliveries.lines() and self._all_recorded():
                    break
                self._bell.wait(self._until_next())
        finally:
            self.stop.set()
            self._scans.close()
            self._deliveries.close(ENDING)
            self._recordings.close(ENDING)
        if self._failure is not None:
            raise self._failure

    def _load(self) -> None:
        """Load what the first study, or the first slide of a daemon, would wait for."""
        import_module("pydicom")
        if self.asks and not self.stop.wait(AHEAD):
            for name in ("sender.slide_delivery", "sender.slides"):
                import_module(name)

    def wake(self) -> None:
        """Look into the outbox now; from any thread of this process."""
        self._bell.ring()

    def end(self) -> None:
        """End soon; what was acknowledged stays so."""
        self.stop.set()
        self.wake()

    def _ended(self, failure: BaseException | None) -> None:
        """A failure of our own storage ends the engine instead of one thread."""
        self._failure = failure or self._failure
        self.wake()

    def _until_next(self) -> float:
        """Return the seconds until something is due by itself."""
        moment = time.monotonic()
        dues = [self._rules_due, *list(self._due.values())]  # threads put some in
        return min([POLL, *(due - moment for due in dues if due > moment)])

    def look_again(self, transfer: str) -> None:
        """Work on a transfer at once that waits for its next try; from any thread."""
        self._due.pop(transfer, None)
        self.wake()

    def close(self) -> None:
        """Close the outbox and take the bell down."""
        self._ahead.close()
        self._bell.close()
        self.outbox.close()

    # -- jobs ---------------------------------------------------------------

    def _unscanned(self) -> list[Claim]:
        """Return jobs to be read; those without a partner wait while the rules are not right."""
        moment = time.monotonic()
        jobs = [
            job
            for job in self.outbox.jobs(unscanned=True)
            if moment >= self._due.get(f"job {job.id}", 0)
        ]
        if time.monotonic() < self._rules_due:
            jobs = [job for job in jobs if job.partner]
        rules: list[routing.Rule] = []
        if not all(job.partner for job in jobs):
            with contextlib.suppress(SettingsError):  # the scan says so
                rules = routing.load(self.data)
        claims = [
            Claim(
                str(job.id),
                job.partner or str(job.options.get("source", "")),
                _reading_rank(job, rules),
                partial(self._scan, job),
            )
            for job in jobs
        ]
        return sorted(claims, key=lambda claim: claim.rank)

    def _scan(self, job: Job, turn: Turn) -> None:
        try:
            rules = [] if job.partner else routing.load(self.data)
        except SettingsError as error:
            # half a rule sends nothing, and holds up nothing that needs no rule
            log.error("job %s waits: %s", job.id, error.number)
            self._rules_due = time.monotonic() + RULES_AGAIN
            return

        def between(_files: int) -> None:
            turn.wait()
            if self.stop.is_set():
                raise GaveWay

        try:
            found = ingest.scan(
                job,
                rules,
                between,
                others=self.settings.other_storage_classes,
                begun=lambda slide: (self._ahead.link if slide else self._ahead.dial)(job.partner),
                keep=self._ahead.keep,
                sent=self.outbox.sent_already,
                checks=self._checks(job),
                made=self.data / "stills",
                house=declaring.house(self.outbox, self.settings, self.node.institution.code),
            )
            if not any(goes_out(values) for values, _ in found.transfers):
                self._ahead.no_images(job.partner)
            self.outbox.scanned(job, found.transfers, found.refused, found.files)
        except DiskFull as error:
            log.error("job %s waits: %s", job.id, error.number)
            self._due[f"job {job.id}"] = time.monotonic() + LONGEST_WAIT / 4
            return
        self._due.pop(f"job {job.id}", None)
        log.info("job %s: %s files, %s refused", job.id, found.files, len(found.refused))

    def _checks(self, job: Job) -> Checks:
        return Checks(self._blocked, self.outbox.left, basis(self.settings, job.options))

    def _connect(self, partner: Partner) -> LinkClient:
        ours = self.outbox, self.node, self.settings
        pace = self._pace(partner.key, partner.limits)
        return Delivery(*ours, partner, self.stop, pace=pace).connect(warm=WARM)

    # -- transfers ----------------------------------------------------------

    def _owed(self) -> list[Claim]:
        """Return transfers that may be delivered now, the most urgent first; last, questions."""
        moment = time.monotonic()
        owed = [
            Claim(
                one.id,
                one.partner,
                _rank(one.priority),
                partial(self._deliver, one),
                shares=one.kind == "slide",  # a reader may have opened any slide of a case
            )
            for one in self.outbox.owed()
            if _goes_on(one) and moment >= self._due.get(one.id, 0)
        ]
        return owed + (self._questions(moment) if self.asks else [])

    def _questions(self, moment: float) -> list[Claim]:
        """Return what is to be asked of partners that have receipted something."""
        if moment >= self._look_due:  # one look into the outbox for all of them
            self._look_due = moment + again.EVERY / 10
            self._receipted = self.outbox.receipted_by()
        return [
            Claim(f"again {key}", key, len(RANKS), partial(self._ask, key))
            for key in self._receipted
            if moment >= self._due.get(f"again {key}", 0)
        ]

    def _ask(self, key: str, turn: Turn) -> None:
        """Send again what a partner lost; no failure of it is one of a transfer."""
        try:
            partner = find_partner(self.data, key)
            if partner.kind == "todoke":
                pace = self._pace(partner.key, partner.limits)
                ours = self.outbox, self.node, self.settings
                again.send_wanted(Delivery(*ours, partner, self.stop, turn=turn, pace=pace))
        except (GaveWay, sqlite3.Error):
            raise
        except Exception as failure:  # whatever one peer brings about stops no other
            words = _words(failure) if isinstance(failure, TodokeError) else type(failure).__name__
            log.warning("asking %s what it wants again: %s", key, words)
        self._due[f"again {key}"] = time.monotonic() + again.EVERY

    # -- records ------------------------------------------------------------

    def _records(self) -> list[Claim]:
        """Return the partners to whom records, or anchors, are owed now."""
        moment = time.monotonic()
        return [
            Claim(f"records {key}", key, 0, partial(self._record, key))
            for key in self.outbox.partners_with_records(today())
            if moment >= self._due.get(f"records {key}", 0)
        ]

    def _record(self, key: str, _turn: Turn) -> None:
        """Make and send what is owed; what cannot be sent now is tried again, later and later."""
        from sender import record_sending

        name = f"records {key}"
        try:
            partner = find_partner(self.data, key)
            ours = self.outbox, self.node, self.settings
            done = record_sending.Recorder(Delivery(*ours, partner, self.stop)).work()
            if not done and key in self.outbox.partners_with_records(today()):
                raise PeerError(cause="records stay owed")  # never at once again
        except (SyncFailed, DatabaseDamaged, sqlite3.Error):
            raise
        except Exception as failure:  # whatever one peer brings about stops no other
            words = _words(failure) if isinstance(failure, TodokeError) else type(failure).__name__
            tries = self._record_tries[key] = self._record_tries.get(key, 0) + 1
            pause = pause_before(tries)
            self._due[name] = time.monotonic() + pause
            log.warning("records to %s: %s; again in %.1f s", key, words, pause)
        else:
            self._record_tries.pop(key, None)
            self._due.pop(name, None)

    def _record_ended(self, failure: BaseException | None) -> None:
        """A failure of our own storage ends the engine here too."""
        self._failure = failure or self._failure
        self.wake()

    def _all_recorded(self) -> bool:
        """Whether every record that is owed was made and sent, or tried: a verb waits no longer."""
        if self._recordings.lines():
            return False
        return not self._records()

    def _pace(self, key: str, words: tuple[str, ...]) -> Pace:
        """Return the one pace of a partner, with the caps that it has now."""
        pace = self._paces.setdefault(key, Pace())
        pace.limits = read(words)
        return pace

    def _keep_limits(self) -> None:
        """Let caps that a person has changed hold for what is under way."""
        for key in self._deliveries.lines():
            with contextlib.suppress(TodokeError, OSError):  # the next delivery says so
                partner = find_partner(self.data, key)
                self._pace(partner.key, partner.limits)

    def _deliver(self, transfer: Transfer, turn: Turn) -> None:
        self._due.pop(transfer.id, None)
        try:
            partner = find_partner(self.data, transfer.partner)
            pace = self._pace(partner.key, partner.limits)
            images = transfer.kind == "dicom"
            ready = self._ahead.take(transfer.partner, transfer.slide, images=images)
            ours = self.outbox, self.node, self.settings
            window = self._windows[partner.key]
            work = Delivery(
                *ours, partner, self.stop, turn=turn, pace=pace, window=window, ready=ready
            )
            try:
                if transfer.state is not TransferState.DELIVERED:  # then it has all gone
                    self._blocked.check(transfer.attributes)
                work.deliver(transfer)
                stopped.tell_now(work)  # of what ended while its slide was taken anew
            finally:
                ready.close()
        except (GaveWay, SyncFailed, DatabaseDamaged):
            raise
        except (DiskFull, PeerFull) as error:
            self._try_again(transfer, error)
        except (SourceChanged, StorageError, NotFound, PatientBlocked) as error:
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
            log.error("%s: %s", type(failure).__name__, logs.place(failure.__traceback__))
            self._end(transfer, TransferState.FAILED, TodokeError(cause=type(failure).__name__))

    def _try_again(self, transfer: Transfer, error: TodokeError) -> None:
        attempts = transfer.attempts + 1
        pause = pause_before(attempts)
        self._due[transfer.id] = time.monotonic() + pause
        log.warning("transfer %s: %s; again in %.1f s", transfer.id, _words(error), pause)
        values = {"attempts": attempts, "error": fault(error)}
        with contextlib.suppress(DiskFull):  # no room for that either: what is kept says less
            full = isinstance(error, DiskFull | PeerFull)
            if full and self.outbox.transfer(transfer.id).state is TransferState.SENDING:
                # it waits, and must not look as if it were on its way
                self.outbox.set_state(transfer.id, TransferState.QUEUED, **values)
            else:
                self.outbox.keep(transfer.id, **values)

    def _end(self, transfer: Transfer, state: TransferState, error: TodokeError) -> None:
        try:
            self.outbox.set_state(transfer.id, state, error=fault(error), finished=now())
        except UsageError:  # a person recalled it meanwhile
            log.warning("transfer %s is %s", transfer.id, self.outbox.transfer(transfer.id).state)
            return
        except DiskFull:  # it ends the same way when there is room to say so
            self._due[transfer.id] = time.monotonic() + LONGEST_WAIT / 4
        log.error("transfer %s: %s", transfer.id, _words(error))
        with contextlib.suppress(TodokeError, OSError):  # owed till its receiver has heard of it
            partner = find_partner(self.data, transfer.partner)
            ours = self.outbox, self.node, self.settings
            stopped.tell_now(Delivery(*ours, partner, self.stop))


def _goes_on(transfer: Transfer) -> bool:
    """Tell whether there is something to do for a transfer: its receiver knows of a 予告 or not."""
    announced = transfer.state is TransferState.ANNOUNCED and transfer.started is None
    return announced or transfer.state in OWED_STATES


def goes_out(values: Mapping[str, object]) -> bool:
    """Tell whether a transfer of a job goes over an association at once."""
    return values["kind"] == "dicom" and values["state"] == TransferState.QUEUED


def _rank(priority: object) -> int:
    return RANKS.get(str(priority), len(RANKS) - 1)


def _reading_rank(job: Job, rules: Sequence[routing.Rule]) -> int:
    """Return how urgent the reading of a job is: at most what a rule could make of it."""
    ranks = [_rank(job.options.get("priority"))]
    if not job.partner:
        source = job.options.get("source", "")
        ranks += [_rank(rule.priority) for rule in rules if rule.source in ("", source)]
    return min(ranks)


def _words(error: TodokeError) -> str:
    """Return an error for the log: a path may hold a patient's name, what a peer says none."""
    return str(error) if isinstance(error, PeerError) else f"{type(error).__name__} {error.number}"
