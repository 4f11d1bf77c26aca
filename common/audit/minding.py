"""What a running end does for its audit trail: signs how far it is, and sends what waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.audit import heads, timesource
from common.audit.message import Source
from common.audit.syslog import Repository, Spool
from common.audit.trail import Trail, utc
from common.errors import TodokeError
from common.proof.identity import Node
from common.settings import Receiver, Sender

log = logging.getLogger("todoke.audit")
SEAL = 300.0  # seconds between two heads
SEND = 5.0  # seconds between two looks at what the repository has not got
AGAIN = 30.0  # and where it was not reached


class Minder:
    """Looks after the trails of one end, in a thread of its own.

    Parameters
    ----------
    node : Node
    settings : Receiver or Sender
    more : callable
        Done with each look, for example the transfers of this end.
    """

    def __init__(
        self,
        node: Node,
        settings: Receiver | Sender,
        more: Callable[[], None] = lambda: None,
    ) -> None:
        self.trails = node.data / "audit"
        self._node = node
        self._settings = settings
        self._more = more
        self._trail = Trail(self.trails, "audit")
        where = Repository.of(
            settings.audit_syslog,
            settings.audit_syslog_ca,
            settings.audit_syslog_cert,
            settings.audit_syslog_key,
        )
        source = Source(node.institution.code, settings.room)
        self._spool = Spool(self.trails, source, where) if where else None
        self._seal_due = self._send_due = 0.0
        self._said: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._trail.note("started", of=self._settings.room)
        self._thread.start()

    def stop(self) -> None:
        """End: note it, and sign how far the trails have come."""
        self._stop.set()
        self._thread.join(30)
        self._trail.note("stopped", of=self._settings.room)
        seal(self._node, self._settings)
        self._trail.close()

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(SEND):
                return

    def look(self) -> None:
        """Do what is due; nothing that goes wrong here stops anything else."""
        moment = time.monotonic()
        try:
            self._more()
            if moment >= self._seal_due:
                self._seal_due = moment + SEAL
                self._signed()
            if self._spool is not None and moment >= self._send_due:
                self._spool.send()
                self._said.discard("repository")
        except TodokeError as failure:
            self._send_due = moment + AGAIN
            self._alarm("repository", failure.words("ja") + " / " + failure.words("en"))
        except Exception as failure:
            self._alarm(type(failure).__name__, f"audit: {type(failure).__name__}")

    def _signed(self) -> None:
        for process in seal(self._node, self._settings, self._clock):
            if process not in self._said:
                self._said.add(process)
                self._trail.note("audit-broken", of=process, cause="todoke audit verify")

    def _clock(self, said: dict[str, Any]) -> None:
        """Alarm a clock that is off, once until it is right again."""
        if not self._settings.ntp_server or said["within"]:
            self._said.discard("clock")
        elif "clock" not in self._said:
            self._said.add("clock")
            cause = f"{said['offset_ms']} ms, {said.get('cause', '')}".rstrip(", ")
            self._trail.note("clock-off", of=said["source"], cause=cause)

    def _alarm(self, of: str, cause: str) -> None:
        if of not in self._said:
            self._said.add(of)
            log.error("%s", cause)
            self._trail.note("alarm", of=of, cause=cause)


def seal(
    node: Node,
    settings: Receiver | Sender,
    heard: Callable[[dict[str, Any]], None] = lambda _said: None,
) -> list[str]:
    """Sign a head of every trail of an end; see :func:`common.audit.heads.seal`.

    Parameters
    ----------
    heard : callable
        Told what is known of the clock.
    """

    def clock() -> dict[str, Any]:
        said = timesource.words(settings.ntp_server, settings.clock_bound_ms)
        heard(said)
        return said

    return heads.seal(node.data / "audit", node, node.signing_certificate, clock, utc())


def noted(folder: Path, event: str, **facts: Any) -> None:
    """Note an event of a verb, whose process lives for a moment.

    Verbs share one trail, so each waits for its turn.

    Raises
    ------
    DataInUse
        Another verb holds it for seconds.
    """
    from common import durable
    from common.errors import DataInUse

    deadline = time.monotonic() + 5.0
    while True:
        try:
            with durable.lock(folder / "audit" / ".console.lock"):
                trail = Trail(folder / "audit", "console")
                trail.note(event, **facts)
                trail.close()
            return
        except DataInUse:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.05)
