"""Our command sets are pynetdicom's command sets, both ways."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_ECHO_RQ, C_ECHO_RSP, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import decode as pynetdicom_decode
from pynetdicom.dsutils import encode as pynetdicom_encode

from common.dicom import commands, uids
from common.dicom.commands import Command, decode
from common.errors import ProtocolError

CT = "1.2.840.10008.5.1.4.1.1.2"
numbers = st.integers(min_value=0, max_value=65535)
components = st.lists(st.integers(min_value=0, max_value=99999), min_size=1, max_size=8)
any_uid = components.map(lambda parts: "2.25." + ".".join(map(str, parts)))


@given(message_id=numbers, instance=any_uid)
def test_c_store_rq(message_id: int, instance: str) -> None:
    ours = Command(commands.C_STORE_RQ, message_id, CT, instance, has_data_set=True)
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = message_id, 0
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = UID(CT), UID(instance)
    primitive.DataSet = io.BytesIO(b"..")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    theirs = pynetdicom_encode(message.command_set, True, True)
    assert ours.encode() == theirs
    assert decode(theirs) == ours


@given(message_id=numbers, instance=any_uid, status=st.sampled_from([0, 0xA700, 0xB000, 0x0110]))
def test_c_store_rsp(message_id: int, instance: str, status: int) -> None:
    request = Command(commands.C_STORE_RQ, message_id, CT, instance, has_data_set=True)
    ours = request.answer(status)
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo, primitive.Status = message_id, status
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = UID(CT), UID(instance)
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    theirs = pynetdicom_encode(message.command_set, True, True)
    assert ours == theirs
    assert decode(ours).status == status


@given(message_id=numbers)
def test_c_echo(message_id: int) -> None:
    ours = Command(commands.C_ECHO_RQ, message_id, uids.VERIFICATION)
    request, response = C_ECHO(), C_ECHO()
    request.MessageID = response.MessageIDBeingRespondedTo = message_id
    request.AffectedSOPClassUID = response.AffectedSOPClassUID = UID(uids.VERIFICATION)
    response.Status = 0
    asked, answered = C_ECHO_RQ(), C_ECHO_RSP()
    asked.primitive_to_message(request)
    answered.primitive_to_message(response)
    assert ours.encode() == pynetdicom_encode(asked.command_set, True, True)
    assert ours.answer(0) == pynetdicom_encode(answered.command_set, True, True)


def test_an_error_comment_is_read_by_others() -> None:
    answer = Command(commands.C_STORE_RQ, 1, CT, "2.25.1").answer(0xA700, "E-4005" + "x" * 99)
    read = pynetdicom_decode(io.BytesIO(answer), True, True)
    assert read.ErrorComment == ("E-4005" + "x" * 99)[:64]
    assert decode(answer).comment == read.ErrorComment


def element(number: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", 0, number, len(value) if length is None else length) + value


GOOD = Command(commands.C_STORE_RQ, 7, CT, "2.25.1", has_data_set=True).encode()
BAD = {
    "empty": b"",
    "cut": GOOD[:-1],
    "cut, without group length": GOOD[12:-1],
    "cut in a header": GOOD[:-3],
    "group length lie": GOOD[:8] + struct.pack("<L", 5) + GOOD[12:],
    "undefined length": element(0x0100, b"\1\0", 0xFFFFFFFF),
    "other group": struct.pack("<HHL", 8, 0x18, 2) + b"\1\0" + GOOD,
    "twice": GOOD[12:] + element(0x1000, b"1.2 "),
    "no message ID": element(0x0100, b"\1\0") + element(0x0800, b"\1\0"),
    "long number": element(0x0100, b"\1\0\0\0") + element(0x0110, b"\1\0"),
    "no data set type": element(0x0100, b"\1\0") + element(0x0110, b"\1\0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_commands_are_refused(name: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        decode(BAD[name])
    assert raised.value.facts["abort_reason"] == 6


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for tried in (data, GOOD[12:] + data, GOOD[: len(data)]):
        with contextlib.suppress(ProtocolError):
            decode(tried)


@pytest.mark.requirement("DCM-12")
def test_our_uids_lie_under_2_25() -> None:
    for uid in (uids.IMPLEMENTATION_CLASS_UID, uids.new_uid(), uids.derived_uid("a")):
        assert uid.startswith("2.25.")
        assert uids.is_uid(uid)
        assert UID(uid).is_valid
    assert uids.new_uid() != uids.new_uid()
    assert uids.derived_uid("a") == uids.derived_uid("a") != uids.derived_uid("b")
    assert len(uids.IMPLEMENTATION_VERSION) <= 16


@pytest.mark.parametrize("text", ["", ".", "1..2", "1.", "../x", "1.2\n", "1.２", "1" * 65, "1.2 "])
def test_what_is_no_uid(text: str) -> None:
    assert not uids.is_uid(text)
