"""Audit messages to a repository by syslog over TLS (RFC 5424, RFC 5425; IHE ITI-20, PS3.15 A.7).

RFC 5425 has no acknowledgement.  So a batch is one connection, and counts as taken only
when the repository has answered our ``close_notify`` with its own, as section 4.4 has it
do: it read everything up to there.  Otherwise the whole batch is sent again, so that a
message may come twice and none is lost; the trail itself is the spool.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from common import durable
from common.audit import files, message
from common.audit.files import Line, Place
from common.audit.message import Source
from common.errors import AuditRepositoryAway, SettingsError

log = logging.getLogger("todoke.audit")
PORT = 6514  # RFC 5425 section 4.1
PRIORITY = 85  # facility 10 (security), severity 5 (notice)
BATCH = 500
PATIENCE = 10.0  # seconds
FOLDER = "syslog"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the messages go.

    Attributes
    ----------
    ca : str
        File with the certificate (PEM) that the repository's has to come from.
    cert, key : str
        Files that we show ourselves with; empty: we show nothing.
    """

    host: str
    port: int
    ca: str
    cert: str = ""
    key: str = ""

    @classmethod
    def of(cls, place: str, ca: str, cert: str = "", key: str = "") -> Repository | None:
        """Read the settings ``audit_syslog`` and its kin; None where they name none.

        Raises
        ------
        SettingsError
        """
        if not place:
            return None
        host, _, port = place.rpartition(":") if ":" in place else (place, "", str(PORT))
        if not host or not port.isdigit() or not ca:
            raise SettingsError(path="audit_syslog", key=place, cause="host:port, audit_syslog_ca")
        return cls(host, int(port), ca, cert, key)

    def context(self) -> ssl.SSLContext:
        """Return the TLS context: its name is checked, TLS 1.2 or newer."""
        made = ssl.create_default_context(cafile=self.ca)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert:
            made.load_cert_chain(self.cert, self.key or None)
        return made


def framed(line: Line, source: Source, host: str) -> bytes:
    """Return a line of a trail as a frame ``LENGTH SP SYSLOG-MSG`` (RFC 5425 section 4.3).

    The header is that of RFC 5424; MSGID is ``DICOM+RFC3881`` (PS3.15 A.6).
    """
    words = line.words or {"event": "alarm", "cause": "a line cut by a power failure"}
    at = str(words.get("at") or "-")
    with contextlib.suppress(ValueError):
        at = datetime.fromisoformat(at).isoformat(timespec="milliseconds")
    if at == "-":
        words = {**words, "at": "1970-01-01T00:00:00.000+00:00"}
    name = source.name(line.process).replace(":", "-")[:48]
    head = f"<{PRIORITY}>1 {at} {host[:255] or '-'} {name} {os.getpid()} DICOM+RFC3881 - "
    text = (
        head.encode("ascii", "replace")
        + b"\xef\xbb\xbf"
        + message.build(words, line.process, source)
    )
    return b"%d " % len(text) + text


class Spool:
    """Sends what each trail has behind the place that the repository is known to have.

    Parameters
    ----------
    trails : Path
        Folder of the trails.
    connect : callable, optional
        Opens the connection; for tests.
    """

    def __init__(
        self,
        trails: Path,
        source: Source,
        repository: Repository,
        connect: Callable[..., socket.socket] = socket.create_connection,
    ) -> None:
        self.trails = trails
        self.source = source
        self.repository = repository
        self._connect = connect
        self._host = socket.gethostname()

    def send(self) -> int:
        """Send what waits, trail by trail and in the order of each; return how many.

        Raises
        ------
        AuditRepositoryAway
            It waits on.
        """
        sent = 0
        for process in files.processes(self.trails):
            while batch := list(islice(self._waiting(process), BATCH)):
                self._deliver(batch)
                self._keep(process, batch[-1])
                sent += len(batch)
        return sent

    def waiting(self) -> int:
        """Return how many lines the repository is not known to have."""
        return sum(1 for one in files.processes(self.trails) for _ in self._waiting(one))

    def _place(self, process: str) -> Place:
        try:
            number, offset, _ = (self.trails / FOLDER / process).read_text("ascii").split()
            return Place(int(number), int(offset))
        except (FileNotFoundError, ValueError):
            return files.START

    def _keep(self, process: str, line: Line) -> None:
        words = line.place.number, line.place.offset, hashlib.sha256(line.raw).hexdigest()
        durable.save(self.trails / FOLDER / process, " ".join(map(str, words)).encode("ascii"))

    def _waiting(self, process: str) -> Iterator[Line]:
        return files.lines(self.trails, process, self._place(process))

    def _deliver(self, batch: list[Line]) -> None:
        where = self.repository
        try:
            with contextlib.ExitStack() as held:
                line = held.enter_context(self._connect((where.host, where.port), PATIENCE))
                line.settimeout(PATIENCE)
                secured = where.context().wrap_socket(line, server_hostname=where.host)
                held.callback(secured.close)
                for one in batch:
                    secured.sendall(framed(one, self.source, self._host))
                secured.unwrap()  # returns once the repository has said close_notify too
        except (OSError, ValueError) as failure:
            cause = f"{where.host}:{where.port} {type(failure).__name__}"
            raise AuditRepositoryAway(cause=cause) from failure
