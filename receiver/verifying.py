"""Reading instances back in processes apart, several transfers by turns."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import astuple, dataclass, field
from typing import Any

from sqlalchemy import select

from common.errors import StorageError
from common.link import Digest
from common.workers import Worker, WorkerLost
from receiver import index
from receiver.held import Held
from receiver.index import Index
from receiver.store import Store
from receiver.turns import Job, Task, Turns

log = logging.getLogger("todoke.receipts")
_instances = index.instances

WORKERS = 2
SECONDS = 60.0  # that a piece of work may take, with the start of its process, and ...
RATE = 2 << 20  # ... bytes a second beyond that
TRIES = 2  # with pixels decoded; then by D1 alone
MOST = 4  # processes lost over one instance: then it is not the instance


@dataclass(eq=False, slots=True)
class _Reading:
    """A transfer while it is read back."""

    job: Job
    slide: bool
    left: int
    result: Future[dict[int, Digest]]
    said: Mapping[str, Digest]
    found: dict[int, Digest] = field(default_factory=dict)


class Verifiers:
    """Processes that read back, started when first needed and after a failure.

    Parameters
    ----------
    workers : int
    seconds : float
        After which an instance of no size is given up and the process killed.
    """

    def __init__(
        self, database: Index, store: Store, workers: int = WORKERS, seconds: float = SECONDS
    ) -> None:
        self.index = database
        self.store = store
        self.seconds = seconds
        self._turns = Turns()
        self._lock = threading.Lock()
        self._readings: dict[Job, _Reading] = {}
        self._closed = False
        self._workers = [Worker("receiver.verifier") for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"verify-{number}")
            for number in range(workers)
        ]

    def prepare(self) -> None:
        """Start the processes, if none has needed them yet: something will be to read back."""
        with self._lock:
            for thread in self._threads:
                if thread.ident is None and not self._closed:
                    thread.start()

    def read_back(
        self,
        priority: str,
        rows: Sequence[Held],
        *,
        slide: bool,
        said: Mapping[str, Digest] | None = None,
    ) -> Future[dict[int, Digest]]:
        """Take the digests of instances from the bytes on the disk.

        Parameters
        ----------
        rows : sequence of Held
        said : mapping, optional
            What the caller holds already, by UID; spares memory and judges nothing.

        Returns
        -------
        Future
            Of the digests by the rows' ids, and none of what has no file or cannot be
            read; fails with StorageError where nothing can be said at present.
        """
        job = Job.of(priority, [row for row in rows if row.path is not None])
        reading = _Reading(job, slide, len(job.waiting), Future(), said or {})
        reading.result.set_running_or_notify_cancel()
        self.prepare()
        with self._lock:
            closed = self._closed
            if not closed and reading.left:
                self._readings[job] = reading
        if closed:
            reading.result.set_exception(StorageError(cause="closing"))
        elif not reading.left:
            reading.result.set_result({})
        else:
            self._turns.add(job)
        return reading.result

    def close(self) -> None:
        """End the processes; what they were at fails, and can be asked for again."""
        with self._lock:
            self._closed = True
        self._turns.close()
        for worker, thread in zip(self._workers, self._threads, strict=True):
            while thread.is_alive():
                worker.kill()
                thread.join(0.1)
        for job in list(self._readings):
            self._give_up(job, StorageError(cause="closing"))

    def _work(self, number: int) -> None:
        worker = self._workers[number]
        with contextlib.suppress(OSError):  # tried again with the first work
            worker.start()
        try:
            while (turn := self._turns.take(number)) is not None:
                job, task = turn
                try:
                    self._go_on(worker, number, job, task)
                except Exception as failure:  # else who waits for this transfer waits for ever
                    log.exception("%s cannot be read back", task.row.path)
                    self._give_up(job, failure)
        finally:
            worker.stop()

    def _go_on(self, worker: Worker, number: int, job: Job, task: Task) -> None:
        with self._lock:
            reading = self._readings.get(job)
        if reading is None:  # given up meanwhile
            return
        request = self._request(task, slide=reading.slide)
        if request is None:
            self._finish(reading, task, None)
            return
        try:
            good, body = worker.ask(request, self._seconds(reading, task))
        except WorkerLost as lost:
            self._lost(number, job, task, "late" if lost.late else "ended")
            return
        if not good:
            self._lost(number, job, task, body.decode("ascii", "replace"))
            return
        answer = json.loads(body)
        if "more" in answer or "gone" in answer:
            task.begun = "more" in answer
            self._turns.put_back(job, task, number)
        else:
            self._finish(reading, task, answer)

    def _seconds(self, reading: _Reading, task: Task) -> float:
        """Return how long a piece of work may take: levels come in small pieces."""
        return self.seconds if reading.slide else self.seconds + (task.row.length or 0) / RATE

    def _request(self, task: Task, *, slide: bool) -> dict[str, Any] | None:
        row = task.row
        if task.begun:
            return {"do": "more", "number": row.id}
        asked = {"path": str(self.store.where(row.path)), "base": row.prefix_length}
        if not slide:
            do = "instance" if task.lost < TRIES else "plain"
            return {**asked, "do": do, "syntax": row.transfer_syntax}
        with self.index.read() as db:
            same = _instances.c.id == row.id
            table = db.execute(select(_instances.c.frame_table).where(same)).scalar()
        if table is None:
            return None
        packed = base64.b64encode(table).decode("ascii")
        return {**asked, "do": "level", "number": row.id, "table": packed}

    def _lost(self, number: int, job: Job, task: Task, how: str) -> None:
        """Try an instance again, the last times without what may have been the end of a process."""
        log.error("%s: reading back failed (%s)", task.row.path, how)
        task.begun = False
        task.lost = max(task.lost + 1, TRIES if how == "late" else 0)
        if task.lost >= MOST:
            self._give_up(job, StorageError(cause=f"verification {how}"))
        else:
            self._turns.put_back(job, task, number)

    def _finish(self, reading: _Reading, task: Task, answer: dict[str, Any] | None) -> None:
        row = task.row
        if answer is None or "failed" in answer:
            log.error("%s cannot be read back: %s", row.path, answer and answer["failed"])
        else:
            digests = answer["digests"]
            if (said := reading.said.get(row.sop_uid)) is not None:
                held = {text: text for text in astuple(said)}
                digests = {name: held.get(text, text) for name, text in digests.items()}
            found = Digest(row.sop_uid, answer["length"], **digests)
            found = said if found == said else found  # thousands that are equal, held once
            with self._lock:
                reading.found[row.id] = found
        with self._lock:
            reading.left -= 1
            last = not reading.left and self._readings.pop(reading.job, None) is not None
        if last:
            self._turns.remove(reading.job)
            reading.result.set_result(reading.found)

    def _give_up(self, job: Job, failure: Exception) -> None:
        self._turns.remove(job)
        with self._lock:
            reading = self._readings.pop(job, None)
        if reading is not None:
            reading.result.set_exception(failure)
