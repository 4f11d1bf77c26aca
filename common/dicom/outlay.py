"""The buffer that instances are sent from, with command and P-DATA laid out as on the wire.

A source reads its bytes to where they leave from, so an instance is copied
once: from the disk's cache into the socket's own memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence

from common.dicom.pdu_stream import DATA_HEADER_SIZE, command_pdus, data_places
from common.dicom.peer import Outgoing
from common.errors import ProtocolError

PIECE = 4 << 20  # bytes handed to one send; larger instances go in several


class Outlay:
    """One association's buffer; only what is used of it takes memory."""

    def __init__(self) -> None:
        self._buffer = memoryview(mmap.mmap(-1, PIECE))

    def pieces(
        self, context: int, command: bytes, outgoing: Outgoing, limit: int
    ) -> Iterator[memoryview]:
        """Yield the bytes of one message; each piece is valid until the next.

        Parameters
        ----------
        context : int
            Presentation context ID.
        command : bytes
            The encoded command set.
        limit : int
            Longest PDU the peer takes, in bytes after the header.

        Raises
        ------
        TodokeError
            What the source raises; a first piece has no byte sent before it.
        """
        pdus = command_pdus(context, command, limit)
        at, rest = len(pdus), outgoing.length
        self._buffer[:at] = pdus
        source = outgoing.open()
        try:
            while True:
                now = min(rest, self._room(at, limit))
                rest -= now
                end, places = data_places(self._buffer, at, context, now, rest, limit)
                source.read(places)
                yield self._buffer[:end]
                at = 0
                if not rest:
                    return
        finally:
            source.close()

    def _room(self, at: int, limit: int) -> int:
        """Return how much of a data set has room behind `at`, with the headers of its PDUs."""
        pdu = limit - 6 + DATA_HEADER_SIZE
        whole, left = divmod(len(self._buffer) - at, pdu)
        return whole * (limit - 6) + max(0, left - DATA_HEADER_SIZE)


class Pieces:
    """A source whose bytes are at hand, or are made, in pieces of any size.

    Parameters
    ----------
    length : int
        Bytes that the pieces must come to.
    """

    def __init__(self, length: int, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = iter(pieces)
        self._rest = length
        self._open = memoryview(b"")

    def read(self, places: Sequence[memoryview]) -> None:
        """Fill the places.

        Raises
        ------
        ProtocolError
            The pieces come to another length than was said.
        """
        for place in places:
            self._rest -= len(place)
            while place:
                while not self._open:
                    self._open = memoryview(self._next()).cast("B")
                count = min(len(place), len(self._open))
                place[:count] = self._open[:count]
                place, self._open = place[count:], self._open[count:]
        if not self._rest and (self._open or any(len(piece) for piece in self._pieces)):
            raise ProtocolError(cause="data set longer than announced")

    def close(self) -> None:
        """End a generator of pieces where it stands."""
        if close := getattr(self._pieces, "close", None):
            close()

    def _next(self) -> bytes | memoryview:
        try:
            return next(self._pieces)
        except StopIteration:
            raise ProtocolError(cause="data set shorter than announced") from None
