"""Reaching a peer: connection, TLS, and telling why it failed."""

from __future__ import annotations

import contextlib
import socket
import ssl

from common.dicom import greeting, negotiation
from common.dicom.channel import Channel
from common.dicom.pdu_stream import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ
from common.errors import (
    AssociationAborted,
    PeerCertificateRefused,
    PeerTimeout,
    PeerUnreachable,
    ProtocolError,
    WrongService,
)


def connect(address: tuple[str, int], name: str, timeout: float) -> socket.socket:
    """Connect.

    Raises
    ------
    PeerUnreachable, PeerTimeout
    """
    try:
        return socket.create_connection(address, timeout)
    except TimeoutError:
        raise PeerTimeout(peer=name, seconds=timeout) from None
    except OSError as failure:
        raise PeerUnreachable(peer=name, cause=why(failure)) from failure


def secure(
    channel: Channel,
    context: ssl.SSLContext,
    hostname: str | None,
    deadline: float,
    facts: tuple[str, float],
) -> None:
    """Put TLS on the connection; `facts` are the peer's name and the seconds allowed.

    Raises
    ------
    PeerCertificateRefused
        The peer's certificate, or already ours (TLS 1.2).
    PeerTimeout, WrongService, AssociationAborted
    """
    try:
        channel.handshake(context, deadline, server_side=False, hostname=hostname)
    except TimeoutError:
        raise PeerTimeout(peer=facts[0], seconds=facts[1]) from None
    except OSError as failure:
        cause = greeting.handshake_cause(failure)
        if greeting.is_about_certificate(failure):
            raise PeerCertificateRefused(cause=cause) from failure
        if getattr(failure, "reason", "") in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
            raise WrongService(cause=cause) from failure
        raise AssociationAborted(cause=cause) from failure


def expect_dicom(first: bytes, channel: Channel) -> None:
    """Raise WrongService when the first bytes of the answer are another protocol's."""
    if greeting.is_http(first):
        raise WrongService(cause=greeting.HTTP_HERE, abort_reason=None)
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
