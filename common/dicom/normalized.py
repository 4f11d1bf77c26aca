"""The requestor of an association for DIMSE-N: operations with data sets, and the peer's requests.

N-ACTION as SCU, and N-EVENT-REPORT in either direction, because the SCP of
Storage Commitment reports on an association that either end may have opened
(PS3.7 section 10, PS3.4 J.3.3).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from common.dicom import commands
from common.dicom.channel import Channel
from common.dicom.commands import Command
from common.dicom.pdu_stream import Fragment, Pdu, command_pdus
from common.dicom.requestor import Requestor
from common.dicom.services import MAX_DATA_SET, message_pdus
from common.errors import AssociationAborted, ContextNotAccepted, PeerTimeout, ProtocolError

_MOST_WAITING = 16  # requests of the peer that are not answered yet


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the peer on our association."""

    command: Command
    context: int
    transfer_syntax: str
    data: bytes


class NormalizedRequestor(Requestor):
    """An open association for DIMSE-N; see :class:`~common.dicom.requestor.Requestor`."""

    def __init__(
        self, channel: Channel, address: tuple[str, int], timeout: float, max_pdu: int
    ) -> None:
        super().__init__(channel, address, timeout, max_pdu)
        self._came: deque[Request] = deque()
        self._reading: tuple[Command, int] | None = None  # command whose data set is coming
        self._data = bytearray()

    def ask(
        self,
        field: int,
        sop_class: str,
        sop_instance: str,
        type_id: int,
        data: Callable[[str], bytes],
    ) -> Command:
        """Send a request with a data set and return the response.

        Parameters
        ----------
        field : int
            N_ACTION_RQ or N_EVENT_REPORT_RQ.
        type_id : int
            Action Type ID or Event Type ID.
        data : callable
            Gives the data set, encoded in the transfer syntax it is asked for.

        Raises
        ------
        ContextNotAccepted
            Nothing was sent.
        AssociationAborted, PeerTimeout, ProtocolError
        """
        found = next((c for c in self._contexts if c.abstract_syntax == sop_class), None)
        if found is None:
            raise ContextNotAccepted(cause=sop_class)
        encoded = data(found.transfer_syntax)
        number = next(self._ids)
        command = Command(
            field, number, sop_class, sop_instance, has_data_set=True, type_id=type_id
        )
        with self._guard():
            self._send(message_pdus(self._contexts[found], command, encoded, self._limit))
            self._await_response()
            response = self._responses.popleft()
            if (response.message_id, response.field) != (number, field | commands.RESPONSE):
                raise ProtocolError(cause="response to no request of ours", abort_reason=6)
        return response

    def next_request(self, seconds: float) -> Request | None:
        """Wait for a request of the peer; None if none came in that time.

        Raises
        ------
        AssociationAborted, ProtocolError
        """
        deadline = time.monotonic() + seconds
        with self._guard():
            while not self._came:
                try:
                    for event in self._take(deadline):
                        self._keep(event)
                except PeerTimeout:
                    return None
        return self._came.popleft()

    def answer(self, request: Request, status: int) -> None:
        """Answer a request of the peer."""
        encoded = request.command.answer(status)
        with self._guard():
            self._send(command_pdus(request.context, encoded, self._limit))

    def _keep(self, event: Pdu | Fragment) -> None:
        if isinstance(event, Pdu):
            raise AssociationAborted(cause=f"PDU {event.type:02X} instead of a message")
        if not event.is_command:
            self._keep_data(event)
            return
        if self._reading is not None:
            raise ProtocolError(cause="command inside a data set", abort_reason=2)
        self._command += event.data
        if len(self._command) > commands.MAX_COMMAND:
            raise ProtocolError(cause="command set too long", abort_reason=6)
        if event.last:
            command = commands.decode(self._command)
            self._command.clear()
            if command.has_data_set:
                self._reading = command, event.context
            else:
                self._message(command, event.context)

    def _keep_data(self, event: Fragment) -> None:
        if self._reading is None or event.context != self._reading[1]:
            raise ProtocolError(cause="data set without a command", abort_reason=2)
        if len(self._data) + len(event.data) > MAX_DATA_SET:
            raise ProtocolError(cause=f"data set > {MAX_DATA_SET} bytes", abort_reason=6)
        self._data += event.data
        if event.last:
            command, context = self._reading
            self._reading = None
            self._message(command, context)

    def _message(self, command: Command, context: int) -> None:
        """Keep a whole message; what a response carries besides is not looked at."""
        data = bytes(self._data)
        self._data.clear()
        if command.is_response:
            self._responses.append(command)
            return
        syntaxes = {number: c.transfer_syntax for c, number in self._contexts.items()}
        if context not in syntaxes or len(self._came) == _MOST_WAITING:
            raise ProtocolError(cause=f"command {command.field:04X} unasked", abort_reason=6)
        self._came.append(Request(command, context, syntaxes[context], data))
