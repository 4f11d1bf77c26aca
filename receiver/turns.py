"""Whose turn it is: urgent transfers first, those of one urgency by turns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from common.link import PRIORITIES
from receiver.held import Held


@dataclass(eq=False, slots=True)
class Task:
    """One instance that is to be read back.

    Attributes
    ----------
    begun : bool
        A level, part of which a worker has read.
    lost : int
        Workers that ended over it.
    """

    row: Held
    begun: bool = False
    lost: int = 0


@dataclass(eq=False, slots=True)
class Job:
    """The instances of one transfer.

    Attributes
    ----------
    begun : dict
        By worker, the level that it has in hand: no other can go on with it.
    """

    rank: int
    waiting: deque[Task]
    begun: dict[int, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, priority: str, rows: Iterable[Held]) -> Job:
        """Make the job of a transfer's rows."""
        rank = PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)
        return cls(rank, deque(Task(row) for row in rows))


class Turns:
    """Gives workers their next piece of work: an instance, or a piece of a level."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._news = threading.Condition()
        self._closed = False

    def add(self, job: Job) -> None:
        """Let a transfer take part."""
        with self._news:
            self._jobs.append(job)
            self._news.notify_all()

    def remove(self, job: Job) -> None:
        """Forget a transfer, whatever of it is still to be done."""
        with self._news:
            if job in self._jobs:
                self._jobs.remove(job)

    def close(self) -> None:
        """Give no more work."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def take(self, worker: int) -> tuple[Job, Task] | None:
        """Wait for the next piece of work of a worker; None once closed."""
        with self._news:
            while not self._closed:
                if (found := self._next(worker)) is not None:
                    return found
                self._news.wait()
        return None

    def put_back(self, job: Job, task: Task, worker: int) -> None:
        """Return what is not finished: to its worker if it has begun it, else to any."""
        with self._news:
            if task.begun:
                job.begun[worker] = task
            else:
                job.waiting.appendleft(task)
            self._news.notify_all()

    def _next(self, worker: int) -> tuple[Job, Task] | None:
        for job in sorted(self._jobs, key=lambda job: job.rank):  # stable: by turns within a rank
            task = job.begun.pop(worker, None)
            if task is None and job.waiting:
                task = job.waiting.popleft()
            if task is not None:
                self._jobs.remove(job)
                self._jobs.append(job)
                return job, task
        return None
