"""Every event is an AuditMessage that the standard's schema takes, and names nobody."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from common.audit import events, message
from common.audit.message import Source

pytestmark = pytest.mark.audit
SCHEMA = etree.RelaxNG(file=str(Path(message.__file__).with_name("audit_message.rng")))
ENDS = [Source("0112345675", "receiver"), Source("0119876543", "sender")]
FACTS: list[dict[str, Any]] = [
    {},
    {"user": "yamamoto", "address": "192.0.2.7", "outcome": "refused"},
    {"institution": "0119876543", "address": "北見", "study_uid": "1.2.3", "patient": "00-12 3",
     "sop_classes": {"1.2.840.10008.5.1.4.1.1.2": 12}, "cause": "a\x00<b>&\ud800", "repeats": 3},
    {"study": "0123456789abcdef", "what": "opened", "seconds": 12.5, "none": None},
]  # fmt: skip


def made(event: str, source: Source = ENDS[0], **facts: Any) -> etree._Element:
    at = datetime(2026, 11, 27, tzinfo=UTC).isoformat(timespec="milliseconds")
    words = {"version": 1, "n": 1, "at": at, "event": event, **facts, "before": ""}
    found = etree.fromstring(message.build(words, "web", source))
    assert SCHEMA.validate(found), (event, facts, SCHEMA.error_log)
    return found


@pytest.mark.requirement("AUD-04", "AUD-05")
@pytest.mark.parametrize("event", [*events.EVENTS, "something-new"])
def test_every_event_is_valid_against_the_schema(event: str) -> None:
    for source in ENDS:
        for facts in FACTS:
            found = made(event, source, **facts)
            assert found.find("EventIdentification/EventID").get("csd-code") in {
                "110100", "110101", "110102", "110103", "110104", "110105", "110106", "110112",
                "110113", "110114",
            }  # fmt: skip


def test_the_schema_refuses_what_is_wrong() -> None:
    found = made("sign-in", user="yamamoto")
    found.find("EventIdentification").set("EventOutcomeIndicator", "3")
    assert not SCHEMA.validate(found)
    found = made("sign-in", user="yamamoto")
    found.remove(found.find("AuditSourceIdentification"))
    assert not SCHEMA.validate(found)


IDS = {
    "sign-in": ("110114", "110122"), "sign-out": ("110114", "110123"),
    "started": ("110100", "110120"),
    "stopped": ("110100", "110121"), "study-accessed": ("110103", "ACCESS"),
    "transfer-begun": ("110102", "TRANSFER"), "transfer-ended": ("110104", "TRANSFER"),
    "audit-read": ("110101", "READ"), "security-alert": ("110113", "110126"),
    "study-searched": ("110112", "QIDO"), "forwarded": ("110106", "FORWARD"),
    "session-locked": ("110114", "LOCK"), "maintenance-begun": ("110113", "110139"),
}  # fmt: skip


@pytest.mark.requirement("AUD-05")
@pytest.mark.parametrize("event", IDS)
def test_events_have_the_codes_of_the_standard(event: str) -> None:
    found = made(event, user="yamamoto")
    kinds = found.xpath("EventIdentification/*/@csd-code")
    assert tuple(kinds) == IDS[event]


@pytest.mark.requirement("AUD-05")
def test_a_wrong_password_is_a_failed_login() -> None:
    found = made("security-alert", address="192.0.2.7", cause="E-5001 sign-in")
    assert found.xpath("EventIdentification/EventTypeCode/@csd-code") == ["110122"]
    assert found.xpath("EventIdentification/@EventOutcomeIndicator") == ["4"]


@pytest.mark.requirement("AUD-04")
@pytest.mark.parametrize("source", ENDS, ids=lambda one: one.room)
def test_a_transfer_has_a_source_a_destination_and_one_patient(source: Source) -> None:
    found = made("transfer-begun", source, institution="0110812345", patient="42",
                 study_uid="1.2.3", sop_classes={"1.2.840.10008.5.1.4.1.1.2": 7})  # fmt: skip
    roles = dict(zip(found.xpath("ActiveParticipant/RoleIDCode/@csd-code"),
                     found.xpath("ActiveParticipant/@UserID"), strict=True))  # fmt: skip
    own = f"{source.institution}:{source.name('web')}"
    sends = source.room == "sender"
    assert roles == {
        "110153": own if sends else "0110812345",
        "110152": "0110812345" if sends else own,
    }
    assert found.xpath("ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']"
                       "/@ParticipantObjectID") == ["42"]  # fmt: skip
    assert found.xpath("//SOPClass/@NumberOfInstances") == ["7"]


@pytest.mark.requirement("AUD-01")
def test_how_long_somebody_looked_is_in_the_message() -> None:
    found = made("study-access-ended", user="yamamoto", study_uid="1.2.3", patient="42", seconds=95)
    (value,) = found.xpath("//ParticipantObjectDetail[@type='seconds']/@value")
    assert base64.b64decode(value) == b"95"
    assert found.xpath("ActiveParticipant[@UserIsRequestor='true']/@UserID") == ["yamamoto"]


@pytest.mark.requirement("AUD-10")
def test_a_patient_has_a_number_and_no_name() -> None:
    found = made("study-accessed", user="yamamoto", study_uid="1.2.3", patient="42")
    (patient,) = found.xpath("ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']")
    assert patient.findtext("ParticipantObjectName") == message.WITHHELD
