"""Reaching a peer: connection, TLS, and telling why it failed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable

from common.dicom import greeting, negotiation
from common.dicom.channel import Channel
from common.dicom.pdu_stream import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ
from common.errors import (
    AssociationAborted,
    PeerCertificateRefused,
    PeerError,
    PeerTimeout,
    PeerUnreachable,
    ProtocolError,
    WrongService,
)

#: Address, TLS, host name and seconds in; a connection out.
Reach = Callable[[tuple[str, int], ssl.SSLContext | None, str | None, float], Channel]


def name_of(address: tuple[str, int]) -> str:
    """Return how a peer is called in words to a user."""
    return f"{address[0]}:{address[1]}"


def reach(
    address: tuple[str, int], context: ssl.SSLContext | None, hostname: str | None, timeout: float
) -> Channel:
    """Connect and put TLS on it, both within `timeout` seconds.

    Raises
    ------
    PeerUnreachable, PeerTimeout, AssociationAborted
    PeerCertificateRefused
        The peer's certificate, or already ours (TLS 1.2).
    WrongService
        The port speaks no TLS.
    """
    deadline = time.monotonic() + timeout
    try:
        channel = Channel(socket.create_connection(address, timeout))
    except TimeoutError:
        raise PeerTimeout(peer=name_of(address), seconds=timeout) from None
    except OSError as failure:
        raise PeerUnreachable(peer=name_of(address), cause=why(failure)) from failure
    if context is None:
        return channel
    try:
        channel.handshake(context, deadline, server_side=False, hostname=hostname)
    except BaseException as failure:
        channel.close()
        if isinstance(failure, TimeoutError):
            raise PeerTimeout(peer=name_of(address), seconds=timeout) from None
        if isinstance(failure, OSError):
            raise _handshake_error(failure) from failure
        raise
    return channel


def _handshake_error(failure: OSError) -> PeerError:
    cause = greeting.handshake_cause(failure)
    if greeting.is_about_certificate(failure):
        return PeerCertificateRefused(cause=cause)
    if getattr(failure, "reason", "") in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        return WrongService(cause=cause)
    return AssociationAborted(cause=cause)


def broken(failure: OSError, *, first: bool) -> PeerError:
    """Return the error of a connection that broke; `first` where nothing had come yet."""
    if first and greeting.is_about_certificate(failure):
        # with TLS 1.3 the peer refuses after our side of the handshake is done
        return PeerCertificateRefused(cause=greeting.handshake_cause(failure))
    return AssociationAborted(cause=why(failure))


def expect_dicom(first: bytes, channel: Channel) -> None:
    """Raise WrongService when the first bytes of the answer are another protocol's."""
    if greeting.is_http(first):
        raise WrongService(cause=greeting.HTTP_THERE, abort_reason=None)
    if channel.tls is None and greeting.is_tls(first):
        raise WrongService(cause=greeting.TLS_THERE, abort_reason=None)
    if first[0] not in (ASSOCIATE_AC, ASSOCIATE_RJ, ABORT):
        raise WrongService(cause=greeting.NOT_DICOM, abort_reason=None)


def farewell(channel: Channel, error: ProtocolError | None) -> None:
    """Say A-ABORT as far as the peer listens, and close."""
    reason = None if error is None else error.facts.get("abort_reason", 0)
    with contextlib.suppress(OSError):
        if error is None:
            channel.send(negotiation.encode_abort(0, 0), patience=1.0)
        elif reason is not None:
            channel.send(negotiation.encode_abort(2, reason), patience=1.0)
    channel.close(linger=True)


def why(failure: OSError) -> str:
    """Return the system's words for a failure."""
    return failure.strerror or type(failure).__name__
