"""The requestor of an association: C-ECHO and C-STORE as SCU (PS3.7 9.1, PS3.4 B).

One thread.  Instances go out one ``send`` each; responses are taken when they
are there, and waited for only when the window is full.
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from common.dicom import calling, commands, negotiation, statuses, uids
from common.dicom.channel import Channel
from common.dicom.negotiation import Proposal, Request, Role, UserInformation
from common.dicom.outlay import Outlay
from common.dicom.pdu_stream import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    RELEASE_RP,
    Fragment,
    Pdu,
    PduReader,
    command_pdus,
)
from common.dicom.peer import Context, Outcome, Outgoing, Peer, peer_of
from common.errors import (
    AssociationAborted,
    AssociationRejected,
    ContextNotAccepted,
    PeerBusy,
    PeerTimeout,
    ProtocolError,
    TodokeError,
    UsageError,
)

Paced = Callable[[memoryview], Iterable[memoryview]]

_LARGEST = 1 << 20  # PDU sent to a peer that takes any
_BUFFER = 1 << 16
_CLOSING = 5.0  # seconds to wait for A-RELEASE-RP


class Requestor:
    """An open association; a context manager that releases it, or aborts on an error.

    Attributes
    ----------
    peer : Peer
    accepted : frozenset of Context
    window : int
        Instances that may be unanswered at a time; 1 without item 53H
        (PS3.7 D.3.3.3).
    """

    def __init__(
        self, channel: Channel, address: tuple[str, int], timeout: float, max_pdu: int
    ) -> None:
        self._channel = channel
        self._address = address
        self._name = calling.name_of(address)
        self._timeout = timeout
        self._reader = PduReader(max_pdu)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._outlay = Outlay()
        self._command = bytearray()
        self._responses: deque[commands.Command] = deque()
        self._waiting: dict[int, Outgoing] = {}  # message ID to instance, unanswered
        self._ids = itertools.cycle(range(1, 1 << 16))
        self._contexts: dict[Context, int] = {}
        self._limit = 0
        self._open = True
        self._pieces: Paced | None = None
        self.peer: Peer
        self.accepted: frozenset[Context] = frozenset()
        self.window = 1

    @classmethod
    def open(
        cls,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | None,
        server_hostname: str | None,
        calling_aet: str,
        called_aet: str,
        contexts: Sequence[Context],
        window: int = 32,
        max_pdu: int = 1 << 20,
        connect_timeout: float = 10,
        timeout: float = 60,
        pieces: Paced | None = None,
        roles: tuple[Role, ...] = (),
        reach: calling.Reach = calling.reach,
    ) -> Self:
        """Connect, authenticate and negotiate.

        Parameters
        ----------
        tls : ssl.SSLContext or None
            None for a plain connection inside the house.
        server_hostname : str or None
            Name the certificate must carry.
        contexts : sequence of Context
            At most 128, one transfer syntax each.
        window : int
            Operations to be allowed unanswered, 1 to not ask.
        max_pdu : int
            Longest PDU sent or taken, in bytes after its header.
        connect_timeout : float
            Seconds for connection and TLS handshake together.
        timeout : float
            Seconds without a byte from the peer, or taken by it.
        pieces : callable, optional
            Cuts what is to be sent, and gives each piece when it may go.
        roles : tuple of Role
            Proposed where we are not SCU of a class alone (PS3.7 D.3.3.4).
        reach : callable
            Gives the connection, which may have been made before.

        Raises
        ------
        PeerUnreachable, PeerTimeout, PeerCertificateRefused, WrongService,
        AssociationRejected, PeerBusy, AssociationAborted, ProtocolError
        """
        proposed = list(dict.fromkeys(contexts))
        if not 1 <= len(proposed) <= 128:
            raise UsageError(cause=f"{len(proposed)} presentation contexts")
        request = Request(
            called_aet,
            calling_aet,
            tuple(
                Proposal(2 * number + 1, c.abstract_syntax, (c.transfer_syntax,))
                for number, c in enumerate(proposed)
            ),
            UserInformation(max_pdu, window=(window, 1) if window > 1 else None, roles=roles),
        )
        channel = reach(address, tls, server_hostname, connect_timeout)
        self = cls(channel, address, timeout, max_pdu)
        self._pieces = pieces
        with self._guard():
            self._negotiate(request)
        return self

    def _negotiate(self, request: Request) -> None:
        self._send(negotiation.encode_request(request))
        answer = negotiation.decode_acceptance(self._acceptance())
        taken = {r.id for r in answer.results if r.result == negotiation.ACCEPTED}
        self._contexts = {
            Context(proposal.abstract_syntax, proposal.transfer_syntaxes[0]): proposal.id
            for proposal in request.proposals
            if proposal.id in taken
        }
        self.accepted = frozenset(self._contexts)
        ours = request.user
        self._limit = min(n or _LARGEST for n in (answer.user.max_pdu, ours.max_pdu, _LARGEST))
        if ours.window is not None and answer.user.window is not None:
            self.window = negotiation.agreed_window(ours.window[0], answer.user.window[0])
        self.peer = peer_of(
            self._channel,
            self._address,
            calling_aet=request.calling_aet or "",
            called_aet=request.called_aet or "",
            implementation=(
                answer.user.implementation_class_uid,
                answer.user.implementation_version,
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def echo(self) -> int:
        """Ask for verification and return the status (PS3.7 9.1.5).

        Raises
        ------
        ContextNotAccepted
            Verification was not proposed or not accepted.
        AssociationAborted, PeerTimeout, ProtocolError
        """
        context = next(
            (id for c, id in self._contexts.items() if c.abstract_syntax == uids.VERIFICATION), None
        )
        if context is None:
            raise ContextNotAccepted(cause="Verification")
        number = next(self._ids)
        command = commands.Command(commands.C_ECHO_RQ, number, sop_class=uids.VERIFICATION)
        with self._guard():
            self._send(command_pdus(context, command.encode(), self._limit))
            self._await_response()
            response = self._responses.popleft()
            if response.message_id != number:
                raise ProtocolError(cause="response to no request of ours", abort_reason=6)
        return response.status

    def store(self, instances: Iterable[Outgoing]) -> Iterator[Outcome]:
        """Send instances, pulled one by one, and yield what became of each.

        Outcomes come in the order of the peer's responses.  An instance whose
        bytes cannot be had, or whose context was not accepted, has an outcome
        with that error and the rest goes on; if part of it was sent already,
        the association is aborted after its outcome.

        Raises
        ------
        AssociationAborted, PeerTimeout, ProtocolError
            The association is gone; instances without an outcome are unknown.
        """
        remaining = iter(instances)
        try:
            for outgoing in remaining:
                refusal = self._refusal(outgoing)
                if refusal is not None:
                    yield Outcome(outgoing, commands.SOP_CLASS_NOT_SUPPORTED, refusal)
                    continue
                number = next(n for n in self._ids if n not in self._waiting)
                fault = self._transmit(outgoing, number)
                if fault is None:
                    self._waiting[number] = outgoing
                    yield from self._outcomes(self.window - 1)
                    continue
                yield Outcome(outgoing, fault.dimse_status, fault)
                if not self._open:
                    raise AssociationAborted(cause="own instance could not be read to its end")
            yield from self._outcomes(0)
        except (AssociationAborted, PeerTimeout):
            yield from self._drain()  # what was answered before it broke holds
            if self._waiting or next(remaining, None) is not None:
                raise

    def close(self) -> None:
        """Release the association, or abort it with instances unanswered; never raises."""
        if self._waiting:
            self.abort()  # a release would have to wait for the answers
        if not self._open:
            return
        self._open = False
        with contextlib.suppress(TodokeError):
            self._send(negotiation.encode_release(reply=False))
            deadline = time.monotonic() + min(_CLOSING, self._timeout)
            while True:
                for event in self._take(deadline):
                    if isinstance(event, Pdu) and event.type in (RELEASE_RP, ABORT):
                        self._channel.close(linger=True)
                        return
        self._channel.close()

    def abort(self) -> None:
        """Send A-ABORT and close."""
        if self._open:
            self._open = False
            calling.farewell(self._channel, None)

    def _refusal(self, outgoing: Outgoing) -> ContextNotAccepted | None:
        context = Context(outgoing.sop_class_uid, outgoing.transfer_syntax_uid)
        if context in self._contexts:
            return None
        return ContextNotAccepted(cause=f"{context.abstract_syntax} {context.transfer_syntax}")

    def _transmit(self, outgoing: Outgoing, number: int) -> TodokeError | None:
        """Send one instance; return the error of its source, if that failed."""
        begun = False
        pieces = self._laid_out(outgoing, number)
        while True:
            try:
                piece = next(pieces, None)
            except TodokeError as error:
                if begun:
                    self.abort()
                return error
            except BaseException:
                self.abort()
                raise
            if piece is None:
                return None
            with self._guard():
                for part in self._pieces(piece) if self._pieces else (piece,):
                    self._send(part)
            begun = True

    def _laid_out(self, outgoing: Outgoing, number: int) -> Iterator[memoryview]:
        """Yield the bytes of the C-STORE-RQ and its data set."""
        context = self._contexts[Context(outgoing.sop_class_uid, outgoing.transfer_syntax_uid)]
        command = commands.Command(
            commands.C_STORE_RQ,
            number,
            sop_class=outgoing.sop_class_uid,
            sop_instance=outgoing.sop_instance_uid,
            has_data_set=True,
        )
        return self._outlay.pieces(context, command.encode(), outgoing, self._limit)

    def _outcomes(self, allowed: int) -> Iterator[Outcome]:
        """Yield what has been answered until at most `allowed` are unanswered."""
        while True:
            with self._guard():
                if len(self._waiting) > allowed:
                    self._await_response()
                else:
                    self._gather()
            if not self._responses:
                return
            yield from self._drain()

    def _drain(self) -> Iterator[Outcome]:
        while self._responses:
            response = self._responses.popleft()
            outgoing = self._waiting.pop(response.message_id, None)
            if outgoing is None:
                with self._guard():
                    raise ProtocolError(cause="response to no request of ours", abort_reason=6)
            error = statuses.error_of(response.status, response.comment)
            yield Outcome(outgoing, response.status, error)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """After any failure on the wire the association is over."""
        if not self._open:
            raise AssociationAborted(cause="association closed")
        try:
            yield
        except ProtocolError as error:
            self._open = False
            calling.farewell(self._channel, error)
            raise
        except BaseException:
            self.abort()
            raise

    def _send(self, data: bytes | memoryview) -> None:
        """Send, taking responses meanwhile so that neither end waits for the other."""
        view = memoryview(data)
        try:
            while view:
                sent = self._channel.send_some(view)
                view = view[sent:]
                if not sent:
                    self._channel.wait(time.monotonic() + self._timeout, writable=True)
                    self._gather()
        except TimeoutError:
            raise PeerTimeout(peer=self._name, seconds=self._timeout) from None
        except OSError as failure:
            self._last_words()
            raise AssociationAborted(cause=calling.why(failure)) from failure

    def _last_words(self) -> None:
        """Look for the reason a peer gave before it stopped taking bytes."""
        with contextlib.suppress(AssociationAborted, PeerTimeout):
            for _ in self._take(time.monotonic()):
                pass

    def _gather(self) -> None:
        """Take the responses that are there, without waiting."""
        with contextlib.suppress(TimeoutError):
            for event in self._events(time.monotonic()):
                self._keep(event)

    def _await_response(self) -> None:
        """Wait until there is a response."""
        while not self._responses:
            if self.peer.implementation_class_uid != uids.IMPLEMENTATION_CLASS_UID:
                self._channel.acknowledge_at_once()
            for event in self._take(time.monotonic() + self._timeout):
                self._keep(event)

    def _keep(self, event: Pdu | Fragment) -> None:
        if isinstance(event, Pdu):
            raise AssociationAborted(cause=f"PDU {event.type:02X} instead of a response")
        if not event.is_command:
            raise ProtocolError(cause="data set without a command", abort_reason=2)
        self._command += event.data
        if len(self._command) > commands.MAX_COMMAND:
            raise ProtocolError(cause="command set too long", abort_reason=6)
        if event.last:
            command = commands.decode(self._command)
            self._command.clear()
            if not command.is_response or command.has_data_set:
                raise ProtocolError(cause=f"command {command.field:04X} unasked", abort_reason=6)
            self._responses.append(command)

    def _acceptance(self) -> bytes:
        """Wait for the answer to the A-ASSOCIATE-RQ and return it if it accepts."""
        first = True  # what comes behind the first bytes is no greeting, whatever it begins with
        while True:
            deadline = time.monotonic() + self._timeout
            for event in self._take(deadline, greeting_expected=first):
                if isinstance(event, Pdu) and event.type == ASSOCIATE_AC:
                    return event.data
                if isinstance(event, Pdu) and event.type == ASSOCIATE_RJ:
                    permanent, words = negotiation.rejection_words(event.data)
                    self._open = False
                    self._channel.close(linger=True)
                    if permanent:
                        raise AssociationRejected(peer=self._name, cause=words)
                    raise PeerBusy(cause=words)
                raise ProtocolError(cause="no answer to A-ASSOCIATE-RQ", abort_reason=2)
            first = False

    def _take(
        self, deadline: float, *, greeting_expected: bool = False
    ) -> Iterator[Pdu | Fragment]:
        """Yield the events of what comes next; an A-ABORT is raised."""
        try:
            yield from self._events(deadline, greeting_expected=greeting_expected)
        except TimeoutError:
            raise PeerTimeout(peer=self._name, seconds=self._timeout) from None

    def _events(
        self, deadline: float, *, greeting_expected: bool = False
    ) -> Iterator[Pdu | Fragment]:
        try:
            count = self._channel.fill(self._buffer, deadline)
        except TimeoutError:
            raise
        except OSError as failure:
            raise calling.broken(failure, first=greeting_expected) from failure
        if not count:
            hint = ""
            if greeting_expected and self._channel.tls is not None:
                hint = "; it may not accept our certificate"
            raise AssociationAborted(cause=f"the peer closed the connection{hint}")
        data = self._buffer[:count]
        if greeting_expected:
            calling.expect_dicom(bytes(data[:4]), self._channel)
        for event in self._reader.feed(data):
            if isinstance(event, Pdu) and event.type == ABORT:
                raise AssociationAborted(cause=negotiation.abort_words(event.data))
            yield event
