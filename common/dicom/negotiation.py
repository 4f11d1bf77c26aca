"""A-ASSOCIATE, A-RELEASE and A-ABORT: what two ends agree on (PS3.8 9.3, PS3.7 annex D.3).

pynetdicom's PDU classes encode and decode; before they see a peer's bytes the
items are walked here, every length compared with what is there, and items of
unknown type left out, as PS3.8 9.3.1 asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
)
from pynetdicom.pdu_items import (
    AbstractSyntaxSubItem,
    ApplicationContextItem,
    AsynchronousOperationsWindowSubItem,
    ImplementationClassUIDSubItem,
    ImplementationVersionNameSubItem,
    MaximumLengthSubItem,
    PresentationContextItemAC,
    PresentationContextItemRQ,
    SCP_SCU_RoleSelectionSubItem,
    TransferSyntaxSubItem,
    UserInformationItem,
)

from common.dicom import uids
from common.dicom.pdu_stream import INVALID_PARAMETER
from common.errors import ProtocolError

#: Below this a peer could make us send a header per handful of bytes.
SMALLEST_PDU = 128
_MAX_IDENTITY = 4096

ACCEPTED, USER_REJECTION, ABSTRACT_NOT_SUPPORTED, TRANSFER_NOT_SUPPORTED = 0, 1, 3, 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """One presentation context of an A-ASSOCIATE-RQ."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What an acceptor says of one presentation context (PS3.8 table 9-18)."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Role:
    """What the requestor is for one SOP class: item 54H (PS3.7 D.3.3.4)."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class UserInformation:
    """What an end says of itself (PS3.7 D.3.3).

    ``window`` is the pair of item 53H, operations invoked and performed by
    the requestor, 0 for unlimited; None where the item is absent.  ``roles``
    are proposed by a request and agreed by an acceptance.
    """

    max_pdu: int
    implementation_class_uid: str | None = uids.IMPLEMENTATION_CLASS_UID
    implementation_version: str | None = uids.IMPLEMENTATION_VERSION
    window: tuple[int, int] | None = None
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """An A-ASSOCIATE-RQ; AE titles without padding, None where not printable."""

    called_aet: str | None
    calling_aet: str | None
    proposals: tuple[Proposal, ...]
    user: UserInformation
    application_context: str = uids.APPLICATION_CONTEXT
    protocol_version: int = 1
    oversize_identity: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An A-ASSOCIATE-AC."""

    results: tuple[Result, ...]
    user: UserInformation
    called_aet: str = field(default="")
    calling_aet: str = field(default="")


def agreed_window(ours: int, theirs: int) -> int:
    """Return the smaller window of the two, 0 meaning unlimited; at least 1."""
    return max(1, min(ours or theirs or 1, theirs or ours or 1))


def encode_request(request: Request) -> bytes:
    """Return the PDU of an A-ASSOCIATE-RQ."""
    pdu = A_ASSOCIATE_RQ()
    pdu.called_ae_title = request.called_aet
    pdu.calling_ae_title = request.calling_aet
    pdu.variable_items = [_application_context()]
    for proposal in request.proposals:
        item = PresentationContextItemRQ()
        item.presentation_context_id = proposal.id
        abstract = AbstractSyntaxSubItem()
        abstract.abstract_syntax_name = proposal.abstract_syntax
        item.abstract_transfer_syntax_sub_items = [abstract]
        item.abstract_transfer_syntax_sub_items += map(_transfer, proposal.transfer_syntaxes)
        pdu.variable_items.append(item)
    pdu.variable_items.append(_user_item(request.user))
    return bytes(pdu.encode())


def encode_acceptance(acceptance: Acceptance) -> bytes:
    """Return the PDU of an A-ASSOCIATE-AC."""
    pdu = A_ASSOCIATE_AC()
    pdu.reserved_aet = acceptance.called_aet
    pdu.reserved_aec = acceptance.calling_aet
    pdu.variable_items = [_application_context()]
    for result in acceptance.results:
        item = PresentationContextItemAC()
        item.presentation_context_id = result.id
        item.result_reason = result.result
        item.transfer_syntax_sub_item = [_transfer(result.transfer_syntax)]
        pdu.variable_items.append(item)
    pdu.variable_items.append(_user_item(acceptance.user))
    return bytes(pdu.encode())


def encode_rejection(result: int, source: int, reason: int) -> bytes:
    """Return the PDU of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = result, source, reason
    return bytes(pdu.encode())


def encode_abort(source: int, reason: int) -> bytes:
    """Return the PDU of an A-ABORT; source 0 is the user, 2 the provider (PS3.8 9.3.8)."""
    pdu = A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = source, reason
    return bytes(pdu.encode())


def encode_release(*, reply: bool) -> bytes:
    """Return the PDU of an A-RELEASE-RQ, or of its RP."""
    return bytes((A_RELEASE_RP() if reply else A_RELEASE_RQ()).encode())


def rejection_words(data: bytes) -> tuple[bool, str]:
    """Tell of an A-ASSOCIATE-RJ whether it is permanent, and its reason."""
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(data)
    try:
        words = f"{pdu.source_str}: {pdu.reason_str}"
    except (KeyError, ValueError):
        words = f"source {pdu.source}, reason {pdu.reason_diagnostic}"
    return pdu.result == 1, words


def abort_words(data: bytes) -> str:
    """Return who aborted and why, from the PDU of an A-ABORT."""
    names = {0: "not specified", 1: "unrecognized PDU", 2: "unexpected PDU"}
    names |= {4: "unrecognized PDU parameter", 5: "unexpected PDU parameter"}
    names |= {6: "invalid PDU parameter"}
    source, reason = data[8], data[9]
    if source != 2:
        return "A-ABORT by the peer's application"
    return f"A-ABORT by the peer: {names.get(reason, reason)}"


def decode_request(data: bytes) -> Request:
    """Read an A-ASSOCIATE-RQ, header included.

    Raises
    ------
    ProtocolError
        An item reaches past the end, or contexts are none, more than 128,
        even, or twice there.
    """
    user_items, kept = _walk(data, {0x10, 0x20, 0x50})
    if sum(kind == 0x20 for kind, _ in kept) > 128:
        raise _invalid("more than 128 presentation contexts")
    pdu = A_ASSOCIATE_RQ()
    version = int.from_bytes(data[6:8], "big")
    _decode(pdu, data, kept)
    proposals = tuple(_proposal(item) for item in pdu.presentation_context)
    ids = {proposal.id for proposal in proposals}
    if not proposals or len(ids) != len(proposals) or any(id % 2 == 0 for id in ids):
        raise _invalid("presentation contexts none, even or twice there")
    return Request(
        called_aet=_title(data[10:26]),
        calling_aet=_title(data[26:42]),
        proposals=proposals,
        user=_user(pdu.user_information, user_items),
        application_context=str(pdu.application_context_name or ""),
        protocol_version=version,
        oversize_identity=any(t == 0x58 and len(b) > _MAX_IDENTITY for t, b in user_items),
    )


def decode_acceptance(data: bytes) -> Acceptance:
    """Read an A-ASSOCIATE-AC, header included.

    Raises
    ------
    ProtocolError
        An item reaches past the end or a value is not allowed.
    """
    user_items, kept = _walk(data, {0x10, 0x21, 0x50})
    pdu = A_ASSOCIATE_AC()
    _decode(pdu, data, kept)
    results = tuple(
        Result(int(item.context_id or 0), int(item.result or 0), str(item.transfer_syntax or ""))
        for item in pdu.presentation_context
    )
    return Acceptance(results=results, user=_user(pdu.user_information, user_items))


Items = list[tuple[int, bytes]]


def _walk(data: bytes, known: set[int]) -> tuple[Items, Items]:
    """Return the user information sub-items and the items pynetdicom is to decode."""
    inner: Items = []
    kept: Items = []
    for kind, body in _items(data, 74):
        if kind == 0x50 and not inner:
            inner = list(_items(body, 0))
            subs = {kind: body for kind, body in inner if kind in (0x51, 0x52, 0x53, 0x55)}
            for sub, size in ((0x51, 4), (0x53, 4)):
                if len(subs.get(sub, b"\0" * size)) != size:
                    raise _invalid(f"user information item {sub:02X}")
            kept.append((0x50, b"".join(_item(*pair) for pair in subs.items())))
        elif kind in (0x20, 0x21) and kind in known:
            if len(body) < 4:
                raise _invalid("presentation context item")
            syntaxes = [(k, b) for k, b in _items(body, 4) if k in (0x30, 0x40)]
            kept.append((kind, body[:4] + b"".join(_item(*pair) for pair in syntaxes)))
        elif kind == 0x10:
            kept.append((kind, body))
    return inner, kept


def _items(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset < len(data):
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        body = data[offset + 4 : offset + 4 + length]
        if len(data) - offset < 4 or len(body) != length:
            raise _invalid("item longer than its PDU")
        yield data[offset], body
        offset += 4 + length


def _item(kind: int, body: bytes) -> bytes:
    return bytes((kind, 0)) + len(body).to_bytes(2, "big") + body


def _decode(
    pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC, data: bytes, kept: Sequence[tuple[int, bytes]]
) -> None:
    # AE titles are read beside it, so that an odd one is rejected, not aborted
    fixed = data[:10] + b"ANY".ljust(16) * 2 + data[42:74]
    try:
        pdu.decode(fixed + b"".join(_item(*pair) for pair in kept))
    except Exception as failure:
        # its decoders have no error of their own: assert, KeyError, ValueError, struct.error
        raise _invalid(f"A-ASSOCIATE cannot be read ({type(failure).__name__})") from failure


def _proposal(item: PresentationContextItemRQ) -> Proposal:
    syntaxes = tuple(str(uid) for uid in item.transfer_syntax if uid)
    if item.abstract_syntax is None or not syntaxes:
        raise _invalid("presentation context without syntaxes")
    return Proposal(int(item.context_id or 0), str(item.abstract_syntax), syntaxes)


def _user(item: UserInformationItem | None, inner: Items) -> UserInformation:
    if item is None:
        raise _invalid("no user information")
    max_pdu = int(item.maximum_length or 0)
    if 0 < max_pdu < SMALLEST_PDU:
        raise _invalid(f"maximum length {max_pdu}")
    window = item.async_ops_window
    pair = None
    if window is not None:
        pair = (window.max_operations_invoked or 0, window.max_operations_performed or 0)
    return UserInformation(
        max_pdu=max_pdu,
        implementation_class_uid=_text(item.implementation_class_uid),
        implementation_version=_text(item.implementation_version_name),
        window=pair,
        roles=tuple(_role(body) for kind, body in inner if kind == 0x54),
    )


def _role(body: bytes) -> Role:
    """Read item 54H, which may be there for each SOP class."""
    length = int.from_bytes(body[:2], "big")
    if len(body) != length + 4 or length > 64:
        raise _invalid("user information item 54")
    sop_class = body[2:-2].rstrip(b"\0").decode("ascii", "replace")
    return Role(sop_class, scu=body[-2] == 1, scp=body[-1] == 1)


def _text(value: object) -> str | None:
    return str(value) if value else None


def _title(raw: bytes) -> str | None:
    title = raw.strip(b" \0")
    if not title or any(byte < 0x20 or byte > 0x7E or byte == 0x5C for byte in title):
        return None
    return title.decode("ascii")


def _application_context() -> ApplicationContextItem:
    item = ApplicationContextItem()
    item.application_context_name = uids.APPLICATION_CONTEXT
    return item


def _transfer(uid: str) -> TransferSyntaxSubItem:
    item = TransferSyntaxSubItem()
    item.transfer_syntax_name = uid
    return item


def _user_item(user: UserInformation) -> UserInformationItem:
    item = UserInformationItem()
    longest = MaximumLengthSubItem()
    longest.maximum_length_received = user.max_pdu
    implementation = ImplementationClassUIDSubItem()
    implementation.implementation_class_uid = user.implementation_class_uid
    item.user_data = [longest, implementation]
    if user.window is not None:
        window = AsynchronousOperationsWindowSubItem()
        window.maximum_number_operations_invoked = user.window[0]
        window.maximum_number_operations_performed = user.window[1]
        item.user_data.append(window)
    for role in user.roles:
        selection = SCP_SCU_RoleSelectionSubItem()
        selection.sop_class_uid = role.sop_class
        selection.scu_role, selection.scp_role = int(role.scu), int(role.scp)
        item.user_data.append(selection)
    version = ImplementationVersionNameSubItem()
    version.implementation_version_name = user.implementation_version
    item.user_data.append(version)
    return item


def _invalid(cause: str) -> ProtocolError:
    return ProtocolError(cause=cause, abort_reason=INVALID_PARAMETER)
