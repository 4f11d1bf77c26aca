"""A line of a trail as DICOM's AuditMessage (PS3.15 A.5; derived from RFC 3881).

Patient ID and Study Instance UID are part of it; a patient's name is not.  Names are
required where the schema has no other choice, and then say that they are withheld.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from common.audit import events
from common.audit.events import Code, Event

WITHHELD = "-"  # ParticipantObjectName of a patient and of a study
SOURCE_ROLE = Code("110153", "Source Role ID")
DESTINATION_ROLE = Code("110152", "Destination Role ID")
APPLICATION_ROLE = Code("110150", "Application")
_STUDY = Code("110180", "Study Instance UID")
_SOP_CLASS = Code("110181", "SOP Class UID")
_NODE_ID = Code("110182", "Node ID")
_PATIENT = Code("2", "Patient Number", "RFC-3881")
_URI = Code("12", "URI", "RFC-3881")
_TOLD = frozenset({"version", "n", "at", "event", "before", "user", "by", "operator", "address",
                   "patient", "study_uid", "sop_classes", "outcome", "happened"})  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports.

    Attributes
    ----------
    institution : str
        Code of the end's institution: AuditEnterpriseSiteID.
    room : str
        ``receiver`` or ``sender``.
    """

    institution: str
    room: str

    def name(self, process: str) -> str:
        """Return AuditSourceID of a process."""
        return f"todoke-{self.room}:{process}"


def build(words: dict[str, Any], process: str, source: Source) -> bytes:
    """Return the AuditMessage of a line of a trail, XML in UTF-8 without a declaration.

    Parameters
    ----------
    words : dict
        The line.
    process : str
        Whose trail it stands in.
    source : Source
    """
    name = str(words.get("event", ""))
    event = events.of(name)
    if name == "security-alert" and "E-5001" in str(words.get("cause", "")):
        event = events.EVENTS["sign-in"]  # a refused one
    root = ET.Element("AuditMessage")
    _event(root, event, words)
    _participants(root, event, words, source, process)
    reported = ET.SubElement(
        root,
        "AuditSourceIdentification",
        AuditEnterpriseSiteID=source.institution,
        AuditSourceID=source.name(process),
    )
    ET.SubElement(reported, "AuditSourceTypeCode", {"csd-code": "4"})
    _objects(root, event, words, source)
    text: bytes = ET.tostring(root, "utf-8", xml_declaration=False)
    return text


def clean(value: object) -> str:
    """Return text that XML 1.0 can hold; what it cannot becomes U+FFFD."""
    return _NOT_XML.sub("\ufffd", str(value))


def outcome(words: dict[str, Any]) -> str:
    """Return EventOutcomeIndicator: 0 success, 4 minor, 8 serious, 12 major failure."""
    name = words.get("event")
    if name in {"transfer-disagrees", "audit-broken"}:
        return "8"
    if words.get("outcome") in {"refused", "failed"} or name in {"security-alert", "alarm"}:
        return "4"
    return "8" if words.get("outcome") == "disagrees" else "0"


def _coded(parent: ET.Element, tag: str, code: Code) -> None:
    ET.SubElement(
        parent,
        tag,
        {
            "csd-code": code.value,
            "codeSystemName": code.system,
            "displayName": code.meaning,
            "originalText": code.meaning,
        },
    )


def _event(root: ET.Element, event: Event, words: dict[str, Any]) -> None:
    said = ET.SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=clean(words.get("happened") or words.get("at", "")),
        EventOutcomeIndicator=outcome(words),
    )
    _coded(said, "EventID", event.id)
    _coded(said, "EventTypeCode", event.type)
    cause = words.get("cause") or words.get("what")
    if cause:
        ET.SubElement(said, "EventOutcomeDescription").text = clean(cause)


def _participant(
    root: ET.Element, user: str, role: Code | None, *, asked: bool, address: str = ""
) -> None:
    more = {}
    if address:
        more = {
            "NetworkAccessPointID": clean(address),
            "NetworkAccessPointTypeCode": "2" if _is_ip(address) else "1",
        }
    said = ET.SubElement(
        root,
        "ActiveParticipant",
        {"UserID": clean(user), "UserIsRequestor": "true" if asked else "false", **more},
    )
    if role:
        _coded(said, "RoleIDCode", role)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _participants(
    root: ET.Element, event: Event, words: dict[str, Any], source: Source, process: str
) -> None:
    own = source.name(process)
    address = str(words.get("address") or "")
    person = str(words.get("user") or words.get("by") or words.get("operator") or "")
    partner = str(words.get("institution") or words.get("to") or words.get("of") or "unknown")
    if event.id in (events.BEGIN, events.TRANSFERRED):
        sends = source.room == "sender"
        here, there = (f"{source.institution}:{own}", partner)
        first, second = (here, there) if sends else (there, here)
        _participant(root, first, SOURCE_ROLE, asked=True, address="" if sends else address)
        _participant(root, second, DESTINATION_ROLE, asked=False, address=address if sends else "")
        return
    if event.id is events.EXPORT:
        _participant(root, own, SOURCE_ROLE, asked=False)
        _participant(root, partner, DESTINATION_ROLE, asked=False)
        _participant(root, person or own, None, asked=True, address=address)
        return
    if event.id is events.QUERY:
        _participant(root, person or own, SOURCE_ROLE, asked=True, address=address)
        _participant(root, own, DESTINATION_ROLE, asked=False)
        return
    if event.id is events.ACTIVITY or not (person or address):
        _participant(root, own, APPLICATION_ROLE, asked=not person)
        if person:
            _participant(root, person, Code("110151", "Application Launcher"), asked=True)
        return
    _participant(root, person or address, None, asked=True, address=address)
    _participant(root, own, APPLICATION_ROLE, asked=False)


def _object(
    root: ET.Element, value: str, id_type: Code, kind: str, role: str, name: str | None = WITHHELD
) -> ET.Element:
    said = ET.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=clean(value),
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
    )
    _coded(said, "ParticipantObjectIDTypeCode", id_type)
    if name is not None:
        ET.SubElement(said, "ParticipantObjectName").text = name
    return said


def _detail(said: ET.Element, kind: str, value: object) -> None:
    packed = base64.b64encode(clean(value).encode()).decode("ascii")
    ET.SubElement(said, "ParticipantObjectDetail", type=kind, value=packed)


def _details(said: ET.Element, words: dict[str, Any]) -> None:
    for key, value in words.items():
        if key not in _TOLD and value not in (None, ""):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            _detail(said, key, text)


def _objects(root: ET.Element, event: Event, words: dict[str, Any], source: Source) -> None:
    if event.id is events.LOG_USED:
        place = f"todoke:{source.room}:audit"
        _details(_object(root, place, _URI, "2", "13", "Security Audit Log"), words)
        return
    if event.id is events.QUERY:
        query = json.dumps({k: v for k, v in words.items() if k not in _TOLD})
        said = _object(root, "1.2.840.10008.5.1.4.1.2.2.1", _SOP_CLASS, "2", "3", None)
        packed = base64.b64encode(query.encode()).decode("ascii")
        ET.SubElement(said, "ParticipantObjectQuery").text = packed
        return
    study = words.get("study_uid") or words.get("study")
    if study:
        said = _object(root, str(study), _STUDY if "study_uid" in words else _URI, "2", "3")
        _details(said, words)
        _described(said, words)
    elif event.id in (events.ALERT, events.ACTIVITY, events.AUTHENTICATION, events.TRANSFERRED):
        thing = str(words.get("of") or words.get("door") or words.get("institution") or "todoke")
        said = _object(root, thing, _NODE_ID, "2", "13", WITHHELD)
        if event.id is events.ALERT:
            _detail(said, "Alert Description", words.get("cause") or event.en)
        _details(said, words)
    if words.get("patient"):
        _object(root, str(words["patient"]), _PATIENT, "1", "1")


def _described(said: ET.Element, words: dict[str, Any]) -> None:
    classes = words.get("sop_classes")
    if isinstance(classes, dict) and classes:
        about = ET.SubElement(said, "ParticipantObjectDescription")
        for uid, count in classes.items():
            ET.SubElement(about, "SOPClass", UID=clean(uid), NumberOfInstances=str(int(count)))
