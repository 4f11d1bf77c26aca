"""What happens to a connection before it is an association (PS3.8 7.1, PS3.7 annex D.3).

First bytes, TLS, A-ASSOCIATE-RQ, each under its deadline, then one decision.
Every way out but one is a :class:`Refusal`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.dicom import greeting, negotiation, uids
from common.dicom.channel import Channel
from common.dicom.negotiation import (
    Acceptance,
    Proposal,
    Request,
    Result,
    Role,
    UserInformation,
)
from common.dicom.pdu_stream import ASSOCIATE_RQ, UNEXPECTED_PDU, Pdu, PduReader
from common.dicom.peer import Peer, peer_of
from common.dicom.services import Services
from common.errors import AssociationRejected, PeerNotRegistered, ProtocolError, TodokeError

#: Fact ``reason`` of PeerNotRegistered or AssociationRejected from ``admit`` (PS3.8 table 9-21).
CALLING_UNKNOWN, CALLED_UNKNOWN = 3, 7

Admit = Callable[[Peer], None]
Tls = ssl.SSLContext | Callable[[], ssl.SSLContext] | None

_BUFFER = 1 << 14
_OUR_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Rules:
    """What an acceptor asks of every connection."""

    tls: Tls
    admit: Admit
    supported: Callable[[str, str], bool]
    window: int
    max_pdu: int
    handshake_timeout: float
    request_timeout: float
    services: Services | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with a peer.

    ``contexts`` is presentation context ID to abstract and transfer syntax,
    ``limit`` the longest PDU the peer takes, ``window`` the instances that
    may be unanswered at a time.
    """

    peer: Peer
    contexts: dict[int, tuple[str, str]]
    limit: int
    window: int
    reader: PduReader


class Refusal(Exception):
    """A connection does not become an association.

    Attributes
    ----------
    cause : str or None
        For the record; None where ``admit`` has recorded it.
    last_words : bytes
        To be sent before the connection is closed.
    """

    def __init__(self, cause: str | None, last_words: bytes = b"") -> None:
        self.cause = cause
        self.last_words = last_words
        super().__init__(cause)


def negotiate(
    channel: Channel, address: tuple[str, int], rules: Rules, seat: Callable[[Peer], str | None]
) -> tuple[Terms, bytes]:
    """Return the terms of an association and the A-ASSOCIATE-AC that is to be sent.

    Parameters
    ----------
    seat : callable
        Takes a seat for a peer that was admitted; the cause where there is none.

    Raises
    ------
    Refusal
    OSError
        The connection broke.
    """
    _secure(channel, rules)
    reader = PduReader(rules.max_pdu)
    try:
        request = _request(channel, reader, rules)
        _check(request)
    except ProtocolError as error:
        reason = error.facts.get("abort_reason", 0)
        cause = str(error.facts.get("cause"))
        raise Refusal(cause, negotiation.encode_abort(2, reason)) from error
    peer = peer_of(
        channel,
        address,
        calling_aet=request.calling_aet or "",
        called_aet=request.called_aet or "",
        implementation=(request.user.implementation_class_uid, request.user.implementation_version),
    )
    try:
        rules.admit(peer)
    except TodokeError as error:
        raise Refusal(None, negotiation.encode_rejection(*_rejection(error))) from error
    if (full := seat(peer)) is not None:
        raise Refusal(full, negotiation.encode_rejection(2, 3, 2))
    return _accept(request, peer, reader, rules)


def _secure(channel: Channel, rules: Rules) -> None:
    deadline = time.monotonic() + rules.handshake_timeout
    try:
        first = channel.peek(4, deadline)
    except TimeoutError:
        raise Refusal(greeting.SILENT) from None
    if not first:
        raise Refusal(greeting.CLOSED)
    stranger = greeting.stranger(first, tls=rules.tls is not None)
    if stranger is not None:
        raise Refusal(stranger, greeting.hint(first, tls=rules.tls is not None))
    if rules.tls is None:
        return
    try:
        context = rules.tls if isinstance(rules.tls, ssl.SSLContext) else rules.tls()
    except TodokeError as error:  # no partner yet, a certificate being replaced
        raise Refusal(f"{greeting.NOT_READY}: {error}") from error
    try:
        channel.handshake(context, deadline, server_side=True, hostname=None)
    except TimeoutError:
        raise Refusal(greeting.SLOW) from None
    except OSError as failure:
        raise Refusal(greeting.handshake_cause(failure)) from failure


def _request(channel: Channel, reader: PduReader, rules: Rules) -> Request:
    deadline = time.monotonic() + rules.request_timeout
    buffer = memoryview(bytearray(_BUFFER))
    begun = False
    while True:
        try:
            count = channel.fill(buffer, deadline)
        except TimeoutError:
            raise Refusal(greeting.SLOW if begun else greeting.SILENT) from None
        if not count:
            raise Refusal(greeting.CUT if begun else greeting.CLOSED)
        if not begun and greeting.is_http(bytes(buffer[:4])):
            raise Refusal(greeting.HTTP_HERE, greeting.HTTP_HINT)
        begun = True
        events = list(reader.feed(buffer[:count]))
        if not events:
            continue
        first = events[0]
        if len(events) > 1 or not isinstance(first, Pdu) or first.type != ASSOCIATE_RQ:
            raise ProtocolError(cause="no A-ASSOCIATE-RQ", abort_reason=UNEXPECTED_PDU)
        return negotiation.decode_request(first.data)


def _check(request: Request) -> None:
    """Refuse what no partner's entry could make acceptable."""
    checks = (
        (bool(request.protocol_version & 1), (1, 2, 2), "protocol version"),
        (request.application_context == uids.APPLICATION_CONTEXT, (1, 1, 2), "application context"),
        (request.called_aet is not None, (1, 1, CALLED_UNKNOWN), "called AE title"),
        (request.calling_aet is not None, (1, 1, CALLING_UNKNOWN), "calling AE title"),
        (not request.oversize_identity, (1, 1, 1), "user identity too long"),
    )
    for passed, codes, cause in checks:
        if not passed:
            raise Refusal(cause, negotiation.encode_rejection(*codes))


def _rejection(error: TodokeError) -> tuple[int, int, int]:
    """Return result, source and reason of the A-ASSOCIATE-RJ for an error of ``admit``."""
    if isinstance(error, PeerNotRegistered):
        return 1, 1, int(error.facts.get("reason", CALLING_UNKNOWN))
    if isinstance(error, AssociationRejected):
        return 1, 1, int(error.facts.get("reason", 1))
    return (2, 3, 1) if error.retryable else (1, 1, 1)


def _accept(request: Request, peer: Peer, reader: PduReader, rules: Rules) -> tuple[Terms, bytes]:
    roles = _roles(request, rules.services)
    results = tuple(
        _result(proposal, rules.supported)
        if proposal.abstract_syntax not in roles
        else _service(proposal, roles[proposal.abstract_syntax])
        for proposal in request.proposals
    )
    proposed = {proposal.id: proposal.abstract_syntax for proposal in request.proposals}
    window, item = 1, None
    if request.user.window is not None:
        # we invoke no operations: what the requestor would perform is at most one
        window = negotiation.agreed_window(rules.window, request.user.window[0])
        item = (window, 1)
    acceptance = Acceptance(
        results,
        UserInformation(
            rules.max_pdu, window=item, roles=tuple(role for role in roles.values() if role)
        ),
        called_aet=peer.called_aet,
        calling_aet=peer.calling_aet,
    )
    terms = Terms(
        peer=peer,
        contexts={
            result.id: (proposed[result.id], result.transfer_syntax)
            for result in results
            if result.result == negotiation.ACCEPTED
        },
        limit=min(request.user.max_pdu or _OUR_LARGEST, _OUR_LARGEST),
        window=window,
        reader=reader,
    )
    return terms, negotiation.encode_acceptance(acceptance)


def _result(proposal: Proposal, supported: Callable[[str, str], bool]) -> Result:
    """Take the first transfer syntax of the proposer's that we have."""
    if proposal.abstract_syntax == uids.VERIFICATION:
        supported = _verification
    for syntax in proposal.transfer_syntaxes:
        if supported(proposal.abstract_syntax, syntax):
            return Result(proposal.id, negotiation.ACCEPTED, syntax)
    known = any(supported(proposal.abstract_syntax, s) for s in uids.TRANSFER_SYNTAXES)
    reason = negotiation.TRANSFER_NOT_SUPPORTED if known else negotiation.ABSTRACT_NOT_SUPPORTED
    return Result(proposal.id, reason, proposal.transfer_syntaxes[0])


def _roles(request: Request, services: Services | None) -> dict[str, Role | None]:
    """Return what is agreed for each class of a service; None where no role was proposed."""
    agreed: dict[str, Role | None] = {}
    if services is not None:
        proposed = {role.sop_class: role for role in request.user.roles}
        for abstract in {proposal.abstract_syntax for proposal in request.proposals}:
            if (may := services.roles(abstract)) is not None:
                role = proposed.get(abstract)
                agreed[abstract] = role and Role(abstract, role.scu and may[0], role.scp and may[1])
    return agreed


def _service(proposal: Proposal, role: Role | None) -> Result:
    """Take a service's context, unless the requestor would be neither SCU nor SCP of it.

    One that proposes no role is let in whatever it will be: many report so.
    """
    if role is not None and not (role.scu or role.scp):
        return Result(proposal.id, negotiation.USER_REJECTION, proposal.transfer_syntaxes[0])
    return _result(proposal, _verification)


def _verification(_abstract: str, transfer: str) -> bool:
    return transfer in (uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN)
