"""One association at the acceptor, from its A-ASSOCIATE-RQ to its end.

The thread that runs it alone reads and writes the connection.  Answers that
become due elsewhere (group commit) are left in a queue and the thread is
woken; while as many instances are unanswered as the window allows, nothing
more is read, which is all the flow control there is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque

from common.dicom import commands, negotiation, statuses, uids
from common.dicom.admission import Terms
from common.dicom.channel import Channel
from common.dicom.commands import Command
from common.dicom.pdu_stream import (
    ABORT,
    INVALID_PARAMETER,
    RELEASE_RQ,
    UNEXPECTED_PDU,
    Fragment,
    Pdu,
    command_pdus,
)
from common.dicom.peer import Incoming, Placing, Sink, Writing
from common.dicom.services import QUIET, Line, Services
from common.errors import AssociationAborted, ProtocolError, TodokeError
from common.refusals import Refused

_BUFFER = 1 << 18
_HEAD = 1 << 12  # read before a data set that is placed: a command and two headers fit
LEAST_RATE = 100  # bytes a second of a message under way, over half the idle timeout
_PATIENCE = 30.0  # seconds without progress while sending a response


class TooSlow(TimeoutError):
    """A peer that keeps an association open drop by drop."""


class Association:
    """Serves C-ECHO and C-STORE to one peer until it releases.

    Parameters
    ----------
    channel : Channel
        After A-ASSOCIATE-AC was sent.
    terms : Terms
        What was agreed.
    idle_timeout : float
        Seconds without a byte from the peer and without an answer for it.
    services : Services, optional
        Performs the commands of the classes it names.
    refused : callable
        Told of each request that is answered with a failure.
    """

    def __init__(
        self,
        channel: Channel,
        terms: Terms,
        sink: Sink,
        idle_timeout: float,
        services: Services | None = None,
        refused: Refused = lambda *_: None,
    ) -> None:
        self._refused = refused
        self._channel = channel
        self._terms = terms
        self._sink = sink
        self._idle = idle_timeout
        # ours sends with TCP_NODELAY and waits for no acknowledgement
        self._foreign = terms.peer.implementation_class_uid != uids.IMPLEMENTATION_CLASS_UID
        self._answers: deque[bytes] = deque()
        self._news = threading.Event()
        self._unanswered = 0
        self._sleeping = False
        self._waited, self._got = 0.0, 0  # of the message under way, since it was last judged
        self._stopping = False
        self._cut = False
        self._over = False
        self._command = bytearray()
        self._command_context = 0
        self._message: Command | None = None  # whose data set is being read
        self._writing: Writing | None = None
        self._placing: Placing | None = None  # the same, where it says where bytes go
        self._refusal: tuple[int, str] | None = None
        self._services = services
        self._requests: deque[bytes] = deque()  # of services to the peer
        own = {
            abstract: (context, transfer)
            for context, (abstract, transfer) in terms.contexts.items()
            if services is not None and services.roles(abstract) is not None
        }
        self._line = Line(terms.peer, own, terms.limit, self._leave_request)

    def run(self) -> None:
        """Serve until release.

        Raises
        ------
        ProtocolError
            With ``abort_reason``; the caller sends the A-ABORT.
        AssociationAborted
            This end is stopping.
        TimeoutError
            The peer, or the sink for it, was silent for too long; TooSlow where
            something came, and too little.
        OSError
            The peer aborted or is gone.
        Exception
            A handler failed in a way nobody foresaw.
        """
        self._channel.can_be_woken()
        buffer = memoryview(bytearray(_BUFFER))
        try:
            if self._services is not None and self._line.contexts:
                self._services.opened(self._line)
            while not self._over:
                self._flush()
                if self._stopping and self._at_rest():
                    raise AssociationAborted(cause="this end is stopping")
                if self._placing is not None and self._terms.reader.data_ahead:
                    self._place(self._placing)
                    continue
                here = buffer if self._placing is None and self._message else buffer[:_HEAD]
                for event in self._terms.reader.feed(here[: self._read(here)]):
                    self._on(event)
        finally:
            self._over = True
            self._abandon()
            self._line.close()

    def stop(self) -> None:
        """End the association after what is under way; from any thread."""
        self._stopping = True
        self._channel.wake()

    def cut(self) -> None:
        """Break the association; from any thread."""
        self._cut = True
        self._news.set()
        self._channel.cut()

    def _at_rest(self) -> bool:
        return self._message is None and not self._unanswered and not self._command

    def _read(self, buffer: memoryview, enough: int = 1) -> int:
        """Read into `buffer`; 0 when there is an answer to be sent instead.

        Parameters
        ----------
        enough : int
            Bytes that are known to come.
        """
        self._sleeping = True
        # an answer left before the flag was up woke nobody
        waits = not self._answers and not self._requests
        if self._foreign:
            self._channel.acknowledge_at_once()
        try:
            patience = min(QUIET, self._idle) if self._line.waits else self._idle
            began = time.monotonic()
            deadline = began + patience if waits else 0.0
            count = self._channel.fill(buffer, deadline, enough)
        except TimeoutError:
            if waits and not self._line.speak():
                raise
            return 0
        finally:
            self._sleeping = False
        if count == 0:
            raise ConnectionResetError("closed by the peer without release")
        if self._message is not None or self._command:
            self._judge(time.monotonic() - began, count or 0)
        return count or 0

    def _judge(self, waited: float, count: int) -> None:
        """Bound how slowly a message may come: each wait has its deadline, a drop ends it.

        What counts is time spent waiting for the peer, not for our disk.
        """
        self._waited += waited
        self._got += count
        if self._waited >= self._idle / 2:
            if self._got < LEAST_RATE * self._waited:
                raise TooSlow
            self._waited, self._got = 0.0, 0

    def _place(self, placing: Placing) -> None:
        """Read the payload that comes next to where it belongs."""
        reader = self._terms.reader
        try:
            room = placing.room(reader.data_ahead)
        except TodokeError as error:
            self._refusal = _refusal(error)
            self._abandon()  # the rest is drained
            return
        # a foreign peer may wait for our acknowledgement of each of its small pieces
        count = self._read(room, 1 if self._foreign else len(room))
        if count:
            placing.filled(count)
            context, last = reader.passed(count)
            if last:
                self._end_of_data(context)

    def _on(self, event: Pdu | Fragment) -> None:
        if isinstance(event, Fragment):
            if event.context not in self._terms.contexts:
                raise _invalid("presentation context not accepted")
            if event.is_command:
                self._on_command(event)
            else:
                self._on_data(event)
        elif event.type == RELEASE_RQ and self._message is None and not self._command:
            while self._unanswered:
                self._wait_for_answers()
            self._channel.send(negotiation.encode_release(reply=True), _PATIENCE)
            self._over = True
        elif event.type == ABORT:
            raise ConnectionAbortedError(negotiation.abort_words(event.data))
        else:
            raise ProtocolError(cause=f"PDU {event.type:02X} here", abort_reason=UNEXPECTED_PDU)

    def _on_command(self, event: Fragment) -> None:
        if self._message is not None:
            raise _unexpected("command inside a data set")
        if self._command and event.context != self._command_context:
            raise _unexpected("command in two presentation contexts")
        self._command_context = event.context
        self._command += event.data
        if len(self._command) > commands.MAX_COMMAND:
            raise _invalid("command set too long")
        if not event.last:
            return
        command = commands.decode(self._command)
        self._command.clear()
        if command.is_response:
            if command.has_data_set or not self._line.answered(command):
                raise _invalid("response to no request of ours")
            return
        if command.field == commands.C_CANCEL_RQ:
            return
        self._refusal = self._begin(command, event.context)
        if command.has_data_set:
            self._message = command
        else:
            self._answer(command, event.context, *(self._refusal or (commands.SUCCESS, "")))

    def _begin(self, command: Command, context: int) -> tuple[int, str] | None:
        """Start what a request asks for; return status and comment of a refusal."""
        abstract, transfer = self._terms.contexts[context]
        if command.field == commands.C_ECHO_RQ:
            known = abstract == uids.VERIFICATION and not command.has_data_set
            return None if known else (commands.SOP_CLASS_NOT_SUPPORTED, "")
        if self._services is not None and abstract in self._line.contexts:
            return self._begin_service(self._services, command, transfer)
        if command.field != commands.C_STORE_RQ or abstract == uids.VERIFICATION:
            return commands.UNRECOGNIZED_OPERATION, ""
        if command.sop_class != abstract or not command.has_data_set:
            return commands.DATA_SET_MISMATCH, "SOP class or data set missing"
        if not uids.is_uid(command.sop_instance):
            return commands.DATA_SET_MISMATCH, "SOP Instance UID"
        while self._unanswered >= self._terms.window:
            self._wait_for_answers()
        incoming = Incoming(self._terms.peer, abstract, command.sop_instance, transfer)
        try:
            self._writing = self._sink.begin(incoming)
        except TodokeError as error:
            return _refusal(error)
        self._placing = self._writing if isinstance(self._writing, Placing) else None
        return None

    def _begin_service(
        self, services: Services, command: Command, transfer: str
    ) -> tuple[int, str] | None:
        if not command.has_data_set:
            return commands.NO_SUCH_ARGUMENT, "data set missing"
        try:
            self._writing = services.begin(self._line, command, transfer)
        except TodokeError as error:
            return _refusal(error)
        return None

    def _on_data(self, event: Fragment) -> None:
        message = self._message
        if message is None:
            raise _unexpected("data set without a command")
        if event.context != self._command_context:
            raise _unexpected("data set in another presentation context")
        if self._writing is not None and event.data:
            try:
                self._writing.write(event.data)
            except TodokeError as error:
                self._refusal = _refusal(error)
                self._abandon()
        if event.last:
            self._end_of_data(event.context)

    def _end_of_data(self, context: int) -> None:
        message, self._message = self._message, None
        self._waited, self._got = 0.0, 0
        if message is None:  # checked where its first byte came
            raise _unexpected("data set without a command")
        if self._writing is None:
            self._answer(message, context, *(self._refusal or (commands.SUCCESS, "")))
            return
        answer = _Answer(self, message, context)
        self._unanswered += 1
        try:
            self._writing.finish(answer)
        except TodokeError as error:
            self._abandon()
            answer.refuse(error)
        else:
            self._writing = self._placing = None

    def _answer(self, message: Command, context: int, status: int, comment: str) -> None:
        """Send a response that no handler has to wait for, after those that are due."""
        self._unanswered += 1
        _Answer(self, message, context).give(status, comment)

    def leave_answer(self, response: Command, context: int, status: int, comment: str) -> None:
        """Queue one response; from any thread."""
        if status and not statuses.is_stored(status):
            peer, what = self._terms.peer, f"{response.field:04X}H -> {status:04X}H {comment}"
            self._refused(
                peer.address,
                f"要求を断りました / request refused: {what}".rstrip(),
                peer.certificate,
            )
        encoded = response.answer(status, comment)
        self._answers.append(command_pdus(context, encoded, self._terms.limit))
        self._news.set()
        if self._sleeping:
            self._channel.wake()

    def _leave_request(self, pdus: bytes) -> None:
        """Queue a request of a service to the peer; from any thread."""
        self._requests.append(pdus)
        self._news.set()
        if self._sleeping:
            self._channel.wake()

    def _flush(self) -> None:
        while self._requests:  # behind the answers: a report follows the response to its request
            self._answers.append(self._requests.popleft())
            self._unanswered += 1
        due = []
        while self._answers:
            due.append(self._answers.popleft())
        if due:
            self._channel.send(b"".join(due), _PATIENCE)
            self._unanswered -= len(due)

    def _wait_for_answers(self) -> None:
        """Wait until something can be answered, and answer it."""
        self._news.clear()
        if not self._answers and not self._news.wait(self._idle):
            raise TimeoutError
        if self._cut:
            raise AssociationAborted(cause="this end is stopping")
        self._flush()

    def _abandon(self) -> None:
        writing, self._writing, self._placing = self._writing, None, None
        if writing is not None:
            with contextlib.suppress(TodokeError):
                writing.abandon()


class _Answer:
    """The callable given to ``Writing.finish``; only its first call counts."""

    def __init__(self, association: Association, message: Command, context: int) -> None:
        self._association = association
        self._message = message
        self._context = context
        self._once = threading.Lock()

    def __call__(self, status: int) -> None:
        self.give(status, "")

    def refuse(self, error: TodokeError) -> None:
        self.give(*_refusal(error))

    def give(self, status: int, comment: str) -> None:
        if self._once.acquire(blocking=False):
            self._association.leave_answer(self._message, self._context, status, comment)


def _refusal(error: TodokeError) -> tuple[int, str]:
    # the number alone: the sentence may name a path, and LO has 64 characters
    return error.dimse_status, error.number


def _invalid(cause: str) -> ProtocolError:
    return ProtocolError(cause=cause, abort_reason=INVALID_PARAMETER)


def _unexpected(cause: str) -> ProtocolError:
    return ProtocolError(cause=cause, abort_reason=UNEXPECTED_PDU)
