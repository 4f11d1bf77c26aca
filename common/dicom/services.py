"""Services beside storage: what an acceptor performs for a peer, and notices of its own to it.

The DIMSE-N services carry small data sets in both directions (PS3.7 section 10).
An acceptor given :class:`Services` hands them every command of the SOP classes
they name; a :class:`Line` lets them send N-EVENT-REPORT on the same association.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from common.dicom import commands
from common.dicom.commands import Command
from common.dicom.pdu_stream import command_pdus, data_pdus
from common.dicom.peer import Peer, Writing
from common.errors import RequestTooLarge, TodokeError

#: Bytes of a data set that is gathered in memory: 20,000 references fit.
MAX_DATA_SET = 1 << 22

#: Seconds without a byte after which a peer is taken to wait for nothing.
QUIET = 1.0

Told = Callable[[int | None], None]


@dataclass(frozen=True, slots=True)
class Notice:
    """An N-EVENT-REPORT-RQ of ours (PS3.7 10.1.1).

    Parameters
    ----------
    event : callable
        Gives Event Type ID and data set, in the transfer syntax it is asked for, at
        the moment of sending: so it says what is true then.  A TodokeError stands
        for no answer.
    """

    sop_class: str
    sop_instance: str
    event: Callable[[str], tuple[int, bytes]]


class Line:
    """The way from a service to the peer of one association; notices go one at a time.

    Parameters
    ----------
    peer : Peer
    contexts : mapping
        SOP class to presentation context ID and transfer syntax, of the accepted.
    limit : int
        Longest PDU the peer takes, in bytes after its header.
    leave : callable
        Takes bytes that the association's own thread is to send; from any thread.
    """

    def __init__(
        self,
        peer: Peer,
        contexts: Mapping[str, tuple[int, str]],
        limit: int,
        leave: Callable[[bytes], None],
    ) -> None:
        self.peer = peer
        self.contexts = contexts
        self._limit = limit
        self._leave = leave
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Notice, Told]] = deque()
        self._sent: tuple[int, Told] | None = None  # message ID of the unanswered one
        self._ids = itertools.cycle(range(1, 1 << 16))
        self._closed = False

    @property
    def waits(self) -> bool:
        """Whether a notice waits for the association to be quiet."""
        return self._sent is None and bool(self._waiting)

    def notify(self, notice: Notice, told: Told, *, quiet: bool = False) -> None:
        """Send a notice when those before it are answered; from any thread.

        Parameters
        ----------
        told : callable
            Called once: with the peer's status, or with None when the association
            ended before it answered.
        quiet : bool
            Wait until nothing has come for :data:`QUIET`: a peer that waits for
            another response may not expect a request instead.
        """
        with self._lock:
            closed = self._closed
            if not closed:
                self._waiting.append((notice, told))
        if closed:
            told(None)
        elif not quiet:
            self.speak()

    def answered(self, response: Command) -> bool:
        """Take a response of the peer; False if it answers nothing of ours."""
        with self._lock:
            field = commands.N_EVENT_REPORT_RQ | commands.RESPONSE
            if self._sent is None or (field, self._sent[0]) != (
                response.field,
                response.message_id,
            ):
                return False
            told = self._sent[1]
            self._sent = None
        told(response.status)
        self.speak()
        return True

    def close(self) -> None:
        """Tell that what is unanswered stays so."""
        with self._lock:
            self._closed = True
            left = [told for _, told in self._waiting]
            if self._sent is not None:
                left.insert(0, self._sent[1])
            self._waiting.clear()
            self._sent = None
        for told in left:
            told(None)

    def speak(self) -> bool:
        """Send the notice that is next; False if none waits."""
        with self._lock:
            if self._sent is not None or not self._waiting:
                return False
            notice, told = self._waiting.popleft()
            number = next(self._ids)
            self._sent = number, told
        context, transfer = self.contexts[notice.sop_class]
        try:
            event_type, data = notice.event(transfer)
        except TodokeError:
            self._sent = None
            told(None)
            return True
        command = Command(
            commands.N_EVENT_REPORT_RQ,
            number,
            sop_class=notice.sop_class,
            sop_instance=notice.sop_instance,
            has_data_set=True,
            type_id=event_type,
        )
        self._leave(message_pdus(context, command, data, self._limit))
        return True


class Services(Protocol):
    """What an acceptor does beside C-ECHO and C-STORE; called from the threads of associations."""

    def roles(self, abstract_syntax: str) -> tuple[bool, bool] | None:
        """Tell whether a requestor may be SCU, and SCP; None for a class that is not offered."""

    def opened(self, line: Line) -> None:
        """An association begins in which a class of ours was accepted."""

    def begin(self, line: Line, command: Command, transfer_syntax: str) -> Writing:
        """Perform a request whose data set is about to come; a TodokeError is answered."""


class Collecting:
    """Gathers one small data set in memory; a :class:`~common.dicom.peer.Writing`.

    Parameters
    ----------
    done : callable
        Given the data set and the callable that answers.
    """

    def __init__(self, done: Callable[[bytes, Callable[[int], None]], None]) -> None:
        self._done = done
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        """Take the next bytes.

        Raises
        ------
        RequestTooLarge
            It is longer than MAX_DATA_SET; what follows is drained.
        """
        if len(self._data) + len(data) > MAX_DATA_SET:
            raise RequestTooLarge(cause=f"> {MAX_DATA_SET} bytes")
        self._data += data

    def finish(self, answer: Callable[[int], None]) -> None:
        """Perform the operation."""
        self._done(bytes(self._data), answer)

    def abandon(self) -> None:
        """Forget the bytes."""
        self._data.clear()


def message_pdus(context: int, command: Command, data: bytes, limit: int) -> bytes:
    """Return the P-DATA PDUs of a command with a small data set."""
    parts = [command_pdus(context, command.encode(), limit)]
    return b"".join([*parts, data_pdus(context, data, limit)])
