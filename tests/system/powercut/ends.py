"""Two paired ends with their data on a disk whose power is cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from common.states import AT_REST, TransferState
from sender.outbox import Outbox
from tests.system.ends import Ends, until
from tests.system.powercut.disk import Disk

OUTBOX = "outbox.sqlite"
LONG = 400.0  # seconds; a machine may be busy with other things


@dataclass
class CutEnds(Ends):
    """A copy of two ends that were paired before."""

    at: dict[str, Path] = field(default_factory=dict)

    @property
    def sender(self) -> Path:
        """The sender's data directory."""
        return self.at["sender"]

    @property
    def receiver(self) -> Path:
        """The receiver's data directory."""
        return self.at["receiver"]

    @classmethod
    def of(cls, paired: Ends, folder: Path, inner: Path, *on_disk: str) -> Self:
        """Copy two ends that do not run; those named `on_disk` to a disk's `inner`."""
        names = ("sender", "receiver")
        at = {name: (inner if name in on_disk else folder) / name for name in names}
        shutil.copytree(paired.sender, at["sender"])
        shutil.copytree(paired.receiver, at["receiver"])
        return cls(folder, dict(paired.ports), at=at)

    def set_up(self, disk: Disk) -> None:
        """Bring what was set up to the disk; what is done from now on is not helped."""
        subprocess.run(["sync", "--file-system", disk.inner], check=True)

    @contextlib.contextmanager
    def receiving(self, env: dict[str, str] | None = None) -> Iterator[None]:
        """Run the receiver, and kill it at the end."""
        self.start_receiver(env)
        try:
            yield
        finally:
            self.kill_receiver()

    @contextlib.contextmanager
    def sending(self, env: dict[str, str] | None = None) -> Iterator[Any]:
        """Run the daemon of the sender, and kill it at the end."""
        with self.daemon(env) as words:
            try:
                yield words
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(words["pid"], signal.SIGKILL)

    def all_receipted(self) -> list[str]:
        """Wait until every transfer has ended; return what did not end well."""
        with self.outbox() as box:
            try:
                until(lambda: _at_rest(box), "every transfer ends", LONG)
            except AssertionError:  # told below, each with its state
                unread = [f"job {job.id} not read" for job in box.jobs(unscanned=True)]
            else:
                unread = []
            return unread + [
                f"{t.kind} {t.id} {t.state} {t.error}"
                for t in box.transfers()
                if t.state is not TransferState.RECEIPTED or not t.digests_equal
            ]


def _at_rest(box: Outbox) -> bool:
    ended = (t.finished or t.state in AT_REST for t in box.transfers())
    return not box.jobs(unscanned=True) and all(ended)
