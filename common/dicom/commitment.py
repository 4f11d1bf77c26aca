"""The words of Storage Commitment, Push Model (PS3.4 annex J).

The requestor names instances under a Transaction UID (N-ACTION); the provider
says later which of them it holds and which not, and why (N-EVENT-REPORT).
pydicom reads and writes the data sets; before it sees a peer's bytes they are
counted, and whatever it makes of them comes out as an error of our own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from common.dicom import budget, commands, uids
from common.dicom.peer import Context
from common.dicom.services import MAX_DATA_SET
from common.errors import InputError, RequestTooLarge

SOP_CLASS = "1.2.840.10008.1.20.1"
#: The well-known instance (PS3.4 J.3.5).
SOP_INSTANCE = "1.2.840.10008.1.20.1.1"

REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 table J.3-1
ALL_COMMITTED, SOME_FAILED = 1, 2  # Event Type ID, PS3.4 table J.3-2

# Failure Reasons, PS3.3 C.14.1.1
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT = 0x0112
CLASS_CONFLICT = 0x0119

#: Failure Reason of an instance that a report passes over; none that a peer can send.
NOT_NAMED = -1

#: Instances of one request; a longer study is asked about in parts.
MAX_INSTANCES = 20_000

CONTEXTS = (
    Context(SOP_CLASS, uids.EXPLICIT_VR_LITTLE_ENDIAN),
    Context(SOP_CLASS, uids.IMPLICIT_VR_LITTLE_ENDIAN),
)

_HEADER = 8  # bytes that are asked for where the data set may end
_ITEM = b"\xfe\xff\x00\xe0"
_CLASS, _INSTANCE = BaseTag(0x00081150), BaseTag(0x00081155)
_TRANSACTION, _REFERENCED, _FAILED = (
    BaseTag(0x00081195),
    BaseTag(0x00081199),
    BaseTag(0x00081198),
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance as both ends name it."""

    sop_class: str
    sop_instance: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the Action Information of N-ACTION (PS3.4 table J.3-1)."""

    transaction: str
    references: tuple[Reference, ...]

    def encode(self, transfer_syntax: str) -> bytes:
        """Return the data set in Implicit or Explicit VR Little Endian.

        Raises
        ------
        RequestTooLarge
            More than MAX_INSTANCES.
        """
        if len(self.references) > MAX_INSTANCES:
            raise RequestTooLarge(cause=f"{len(self.references)} > {MAX_INSTANCES}")
        dataset = Dataset()
        dataset.TransactionUID = self.transaction
        dataset.ReferencedSOPSequence = Sequence([_item(one) for one in self.references])
        return _encode(dataset, transfer_syntax)


@dataclass(frozen=True, slots=True)
class Report:
    """What the provider says: the Event Information of N-EVENT-REPORT (PS3.4 table J.3-2).

    ``failed`` has each instance that is not kept with its Failure Reason.
    """

    transaction: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event_type(self) -> int:
        """The Event Type ID that goes with it."""
        return SOME_FAILED if self.failed else ALL_COMMITTED

    def encode(self, transfer_syntax: str) -> bytes:
        """Return the data set in Implicit or Explicit VR Little Endian."""
        dataset = Dataset()
        dataset.TransactionUID = self.transaction
        if self.committed:
            dataset.ReferencedSOPSequence = Sequence([_item(one) for one in self.committed])
        if self.failed:
            dataset.FailedSOPSequence = Sequence([_item(one, why) for one, why in self.failed])
        return _encode(dataset, transfer_syntax)


def decode_request(data: bytes, transfer_syntax: str) -> Request:
    """Read the data set of an N-ACTION-RQ.

    Raises
    ------
    RequestTooLarge
        More than MAX_INSTANCES.
    InputError
        It cannot be read, names no instance, or holds what is no UID.
    """
    dataset = _decode(data, transfer_syntax)
    references = tuple(_reference(item) for item in _items(dataset, _REFERENCED))
    if not references:
        raise InputError(cause="Referenced SOP Sequence")
    return Request(_uid(dataset, "TransactionUID"), references)


def decode_report(data: bytes, transfer_syntax: str) -> Report:
    """Read the data set of an N-EVENT-REPORT-RQ.

    Raises
    ------
    RequestTooLarge
        More than MAX_INSTANCES.
    InputError
        It cannot be read, or holds what is no UID.
    """
    dataset = _decode(data, transfer_syntax)
    return Report(
        _uid(dataset, "TransactionUID"),
        tuple(_reference(item) for item in _items(dataset, _REFERENCED)),
        tuple((_reference(item), _reason(item)) for item in _items(dataset, _FAILED)),
    )


def _item(reference: Reference, reason: int | None = None) -> Dataset:
    item = Dataset()
    # as they are, like all that passes through: devices send UIDs with leading zeros
    for tag, uid in ((_CLASS, reference.sop_class), (_INSTANCE, reference.sop_instance)):
        item.add(DataElement(tag, "UI", uid, validation_mode=config.IGNORE))
    if reason is not None:
        item.FailureReason = reason
    return item


def _encode(dataset: Dataset, transfer_syntax: str) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian = True
    out.is_implicit_VR = transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN
    write_dataset(out, dataset)
    return out.getvalue()


class _Whole(io.BytesIO):
    """Bytes that end where an element ends: pydicom would take a value that is cut for whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size and (data or size > _HEADER):
            raise EOFError
        return data


def _decode(data: bytes, transfer_syntax: str) -> Dataset:
    if len(data) > MAX_DATA_SET:
        raise RequestTooLarge(cause=f"> {MAX_DATA_SET} bytes")
    # each item costs a kilobyte once read, so they are counted while they are bytes
    if data.count(_ITEM) > MAX_INSTANCES:
        raise RequestTooLarge(cause=f"> {MAX_INSTANCES}")
    try:
        budget.checked(data, transfer_syntax)
        return read_dataset(
            _Whole(data),
            is_implicit_VR=transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN,
            is_little_endian=True,
            bytelength=len(data),
            specific_tags=[_TRANSACTION, _REFERENCED, _FAILED],
        )
    except Exception as failure:  # pydicom raises anything on hostile bytes
        raise InputError(cause=f"data set ({type(failure).__name__})") from failure


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    try:
        if tag not in dataset:
            return []
        element = dataset[tag]
        if element.VR != "SQ":
            raise InputError(cause=f"{element.name}: {element.VR}")
        return list(element.value)
    except InputError:
        raise
    except Exception as failure:
        raise InputError(cause=f"sequence ({type(failure).__name__})") from failure


def _reference(item: Dataset) -> Reference:
    return Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))


def _uid(dataset: Dataset, keyword: str) -> str:
    try:
        value = str(dataset.get(keyword, ""))
    except Exception as failure:
        raise InputError(cause=f"{keyword} ({type(failure).__name__})") from failure
    if not uids.is_uid(value):
        raise InputError(cause=keyword)
    return value


def _reason(item: Dataset) -> int:
    try:
        value = item.get("FailureReason")
    except Exception as failure:
        raise InputError(cause=f"FailureReason ({type(failure).__name__})") from failure
    return value if isinstance(value, int) and 0 <= value <= 0xFFFF else PROCESSING_FAILURE


def report_fault(command: commands.Command) -> int | None:
    """Return the status of a request that is no report of Storage Commitment; None of one."""
    if command.field != commands.N_EVENT_REPORT_RQ:
        return commands.UNRECOGNIZED_OPERATION
    if command.sop_class != SOP_CLASS:
        return commands.NO_SUCH_SOP_CLASS
    if command.sop_instance != SOP_INSTANCE:
        return commands.NO_SUCH_OBJECT_INSTANCE
    if command.type_id not in (ALL_COMMITTED, SOME_FAILED):
        return commands.NO_SUCH_EVENT_TYPE
    return None
