"""The words of Storage Commitment: pynetdicom's command sets, pydicom's data sets, nothing else."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dimse_messages import (
    N_ACTION_RQ,
    N_ACTION_RSP,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
)
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import decode as pynetdicom_decode
from pynetdicom.dsutils import encode as pynetdicom_encode

from common.dicom import commands, commitment, uids
from common.dicom.commands import Command
from common.dicom.commitment import MAX_INSTANCES, SOP_CLASS, SOP_INSTANCE, Reference
from common.dicom.services import MAX_DATA_SET, Collecting
from common.errors import InputError, RequestTooLarge

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN
numbers = st.integers(min_value=0, max_value=65535)
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)


def references(count: int) -> tuple[Reference, ...]:
    root = "1.2.826.0.1.3680043.8.498.1"
    return tuple(Reference(CT, f"{root}{number:037d}") for number in range(count))


@given(message_id=numbers, type_id=numbers, status=st.sampled_from([0, 0x0112, 0x0213]))
def test_n_action(message_id: int, type_id: int, status: int) -> None:
    ours = Command(
        commands.N_ACTION_RQ,
        message_id,
        SOP_CLASS,
        SOP_INSTANCE,
        has_data_set=True,
        type_id=type_id,
    )
    primitive = N_ACTION()
    primitive.MessageID, primitive.ActionTypeID = message_id, type_id
    primitive.RequestedSOPClassUID = UID(SOP_CLASS)
    primitive.RequestedSOPInstanceUID = UID(SOP_INSTANCE)
    primitive.ActionInformation = io.BytesIO(b"..")
    asked = N_ACTION_RQ()
    asked.primitive_to_message(primitive)
    theirs = pynetdicom_encode(asked.command_set, True, True)
    assert ours.encode() == theirs
    assert commands.decode(theirs or b"") == ours
    answered, response = N_ACTION_RSP(), N_ACTION()
    response.MessageIDBeingRespondedTo, response.Status = message_id, status
    response.ActionTypeID = type_id
    response.AffectedSOPClassUID = UID(SOP_CLASS)
    response.AffectedSOPInstanceUID = UID(SOP_INSTANCE)
    answered.primitive_to_message(response)
    assert ours.answer(status) == pynetdicom_encode(answered.command_set, True, True)


@given(message_id=numbers, type_id=numbers, status=st.sampled_from([0, 0x0110, 0x0115]))
def test_n_event_report(message_id: int, type_id: int, status: int) -> None:
    ours = Command(
        commands.N_EVENT_REPORT_RQ,
        message_id,
        SOP_CLASS,
        SOP_INSTANCE,
        has_data_set=True,
        type_id=type_id,
    )
    primitive = N_EVENT_REPORT()
    primitive.MessageID, primitive.EventTypeID = message_id, type_id
    primitive.AffectedSOPClassUID = UID(SOP_CLASS)
    primitive.AffectedSOPInstanceUID = UID(SOP_INSTANCE)
    primitive.EventInformation = io.BytesIO(b"..")
    asked = N_EVENT_REPORT_RQ()
    asked.primitive_to_message(primitive)
    theirs = pynetdicom_encode(asked.command_set, True, True)
    assert ours.encode() == theirs
    assert commands.decode(theirs or b"") == ours
    answered, response = N_EVENT_REPORT_RSP(), N_EVENT_REPORT()
    response.MessageIDBeingRespondedTo, response.Status = message_id, status
    response.EventTypeID = type_id
    response.AffectedSOPClassUID = UID(SOP_CLASS)
    response.AffectedSOPInstanceUID = UID(SOP_INSTANCE)
    answered.primitive_to_message(response)
    assert ours.answer(status) == pynetdicom_encode(answered.command_set, True, True)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_data_sets_are_pydicoms(syntax: str) -> None:
    known = references(3)
    request = commitment.Request("2.25.7", known)
    read = pynetdicom_decode(io.BytesIO(request.encode(syntax)), syntax == IMPLICIT, True)
    assert read.TransactionUID == "2.25.7"
    assert [i.ReferencedSOPInstanceUID for i in read.ReferencedSOPSequence] == [
        one.sop_instance for one in known
    ]
    assert commitment.decode_request(request.encode(syntax), syntax) == request
    report = commitment.Report("2.25.7", known[:1], ((known[1], 0x0112), (known[2], 0x0119)))
    read = pynetdicom_decode(io.BytesIO(report.encode(syntax)), syntax == IMPLICIT, True)
    assert [i.FailureReason for i in read.FailedSOPSequence] == [0x0112, 0x0119]
    assert commitment.decode_report(report.encode(syntax), syntax) == report
    assert report.event_type == commitment.SOME_FAILED
    whole = commitment.Report("2.25.7", known)
    assert "FailedSOPSequence" not in pynetdicom_decode(
        io.BytesIO(whole.encode(syntax)), syntax == IMPLICIT, True
    )
    assert whole.event_type == commitment.ALL_COMMITTED


def test_undefined_lengths_are_read() -> None:
    dataset = Dataset()
    dataset.TransactionUID = "2.25.7"
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, "1.2.3"
    dataset.ReferencedSOPSequence = [item]
    dataset["ReferencedSOPSequence"].is_undefined_length = True
    item.is_undefined_length_sequence_item = True
    data = pynetdicom_encode(dataset, False, True)
    assert b"\xff\xff\xff\xff" in (data or b"")
    assert commitment.decode_request(data or b"", EXPLICIT).references == (Reference(CT, "1.2.3"),)


def test_ten_thousand_instances_in_one_request() -> None:
    request = commitment.Request(uids.new_uid(), references(10_000))
    data = request.encode(EXPLICIT)
    assert len(data) < MAX_DATA_SET
    assert commitment.decode_request(data, EXPLICIT) == request


def test_the_longest_uids_fit_the_budget() -> None:
    item = commitment.Request("1." + "2" * 62, (Reference("1." + "3" * 62, "1." + "4" * 62),))
    per_item = len(item.encode(EXPLICIT))
    assert per_item * MAX_INSTANCES < 2 * MAX_DATA_SET
    assert (per_item - 92) * MAX_INSTANCES < MAX_DATA_SET


def test_more_is_refused_in_words_before_it_is_read() -> None:
    with pytest.raises(RequestTooLarge, match="Split"):
        commitment.Request("2.25.1", references(MAX_INSTANCES + 1)).encode(EXPLICIT)
    many = ITEM * (MAX_INSTANCES + 1)
    with pytest.raises(RequestTooLarge):
        commitment.decode_request(struct.pack("<HHL", 8, 0x1199, len(many)) + many, IMPLICIT)
    with pytest.raises(RequestTooLarge):
        commitment.decode_report(bytes(MAX_DATA_SET + 1), IMPLICIT)


def element(group: int, number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", group, number, len(value)) + value


def item(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


CLASS, INSTANCE = element(8, 0x1150, CT.encode() + b"\0"), element(8, 0x1155, b"1.2.3\0")
GOOD_ITEM = item(CLASS, INSTANCE)
UID_ELEMENT = element(8, 0x1195, b"2.25.1")
NESTED = struct.pack("<HHLHHL", 8, 0x1199, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
HOSTILE = {
    "empty": b"",
    "no transaction": element(8, 0x1199, GOOD_ITEM),
    "no instances": UID_ELEMENT,
    "empty sequence": UID_ELEMENT + element(8, 0x1199, b""),
    "an item without UIDs": UID_ELEMENT + element(8, 0x1199, item()),
    "no UID": UID_ELEMENT + element(8, 0x1199, item(CLASS, element(8, 0x1155, b"../x"))),
    "two in one": UID_ELEMENT + element(8, 0x1199, item(CLASS, element(8, 0x1155, b"1.2\\1.3 "))),
    "cut": (UID_ELEMENT + element(8, 0x1199, GOOD_ITEM))[:-3],
    "a long element": UID_ELEMENT + struct.pack("<HHL", 8, 0x1199, 1 << 30) + GOOD_ITEM,
    "nested without end": NESTED * 10_000,
    "text in place of a sequence": UID_ELEMENT + element(8, 0x1199, b"hello world "),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore:::pydicom")
def test_a_hostile_request_is_an_error_of_ours(name: str) -> None:
    with pytest.raises(InputError):
        commitment.decode_request(HOSTILE[name], IMPLICIT)


@given(st.binary(max_size=300), st.sampled_from([IMPLICIT, EXPLICIT]), st.integers(0, 90))
@pytest.mark.filterwarnings("ignore:::pydicom")
def test_any_bytes_are_read_or_refused(data: bytes, syntax: str, kept: int) -> None:
    good = commitment.Report("2.25.7", references(1), ((references(2)[1], 0x0112),)).encode(syntax)
    for tried in (data, good[:kept] + data, good[:kept] + data + good[kept:]):
        for decode in (commitment.decode_request, commitment.decode_report):
            with contextlib.suppress(InputError):
                decode(tried, syntax)


def test_a_failure_reason_that_is_none_still_fails() -> None:
    bare = element(8, 0x1198, GOOD_ITEM)
    report = commitment.decode_report(UID_ELEMENT + bare, IMPLICIT)
    assert report.failed == ((Reference(CT, "1.2.3"), commitment.PROCESSING_FAILURE),)


def test_no_more_is_gathered_than_the_budget() -> None:
    gathering = Collecting(lambda *_: None)
    gathering.write(memoryview(bytes(MAX_DATA_SET)))
    with pytest.raises(RequestTooLarge):
        gathering.write(memoryview(b".."))
