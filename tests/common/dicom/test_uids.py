"""The table of what is carried, held against the dictionaries of pydicom and pynetdicom."""

from __future__ import annotations

import pynetdicom
import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

from common.dicom import uids

CT = "1.2.840.10008.5.1.4.1.1.2"
SOMEBODY = "1.2.392.200036.9116.7.8.1.1.1"  # a private class

#: Transfer syntaxes that are not carried, by the beginning of their UID.
NOT_CARRIED = {
    "1.2.840.10008.1.2.4.94": "JPIP: the pixels lie elsewhere, nothing would be transmitted",
    "1.2.840.10008.1.2.4.95": "JPIP, the same",
    "1.2.840.10008.1.2.4.204": "JPIP, the same",
    "1.2.840.10008.1.2.4.205": "JPIP, the same",
    "1.2.840.10008.1.2.6.1": "MIME encapsulation: no data set",
    "1.2.840.10008.1.2.6.2": "XML: no data set",
    "1.2.840.10008.1.2.7.": "SMPTE ST 2110: live streams, no stored instance (NG-11)",
    "1.2.840.10008.1.20": "Papyrus 3: a file format of the past, never on the wire",
}

#: Classes with Storage in their names that are not carried unless a setting names them.
NOT_STORED = {
    "1.2.840.10008.1.3.10": "DICOMDIR: of a medium, not of a patient",
    "1.2.840.10008.1.20.": "Storage Commitment stores nothing",
    "1.2.840.10008.5.1.1.": "print: films that were to be printed, retired",
    "1.2.840.10008.5.1.4.1.1.8": "standalone overlay, retired: says nothing without its image",
    "1.2.840.10008.5.1.4.1.1.9": "standalone curve, retired",
    "1.2.840.10008.5.1.4.1.1.9.1": "waveform, trial",
    "1.2.840.10008.5.1.4.1.1.10": "standalone modality LUT, retired",
    "1.2.840.10008.5.1.4.1.1.11": "standalone VOI LUT, retired",
    "1.2.840.10008.5.1.4.1.1.129": "standalone PET curve, retired",
    "1.2.840.10008.5.1.4.1.1.88.1": "SR, trial",
    "1.2.840.10008.5.1.4.1.1.88.2": "SR, trial",
    "1.2.840.10008.5.1.4.1.1.88.3": "SR, trial",
    "1.2.840.10008.5.1.4.1.1.88.4": "SR, trial",
    "1.2.840.10008.5.1.4.1.1.200.1": "a protocol before any patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.1.1.200.3": "approval of such a protocol (PS3.4 GG)",
    "1.2.840.10008.5.1.4.1.1.200.7": "a protocol before any patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.1.1.201.1": "inventory of an archive (PS3.4 GG)",
    "1.2.840.10008.5.1.4.1.1.501.": "DICOS: luggage",
    "1.2.840.10008.5.1.4.1.1.601.": "DICONDE: materials",
    "1.2.840.10008.5.1.4.34.1": "RT beams delivery instruction, trial",
    "1.2.840.10008.5.1.4.38.1": "hanging protocol, of no patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.39.1": "colour palette, of no patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.43.1": "implant template, of no patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.44.1": "implant template, of no patient (PS3.4 GG)",
    "1.2.840.10008.5.1.4.45.1": "implant template, of no patient (PS3.4 GG)",
}


def standards(kind: str) -> dict[str, tuple[str, str]]:
    """Name and keyword of every UID of a type that pydicom knows."""
    assert pynetdicom.__version__  # it teaches pydicom the newest transfer syntaxes
    found = UID_dictionary.items()
    return {uid: (row[0], row[4]) for uid, row in found if row[1] == kind}


def named(uid: str, reasons: dict[str, str]) -> bool:
    return any(uid == one or (one.endswith(".") and uid.startswith(one)) for one in reasons)


@pytest.mark.requirement("DCM-04", "SUB-05")
def test_no_transfer_syntax_is_missing_without_a_reason() -> None:
    known = standards("Transfer Syntax")
    assert uids.TRANSFER_SYNTAXES.keys() <= known.keys()
    missing = known.keys() - uids.TRANSFER_SYNTAXES.keys()
    assert {uid for uid in missing if not named(uid, NOT_CARRIED)} == set()
    assert not any(named(uid, NOT_CARRIED) for uid in uids.TRANSFER_SYNTAXES)


@pytest.mark.requirement("DCM-04", "SUB-02", "SUB-03", "SUB-04")
def test_no_storage_class_is_missing_without_a_reason() -> None:
    """PS3.4 table B.5-1 as pynetdicom has it, and all that pydicom calls storage."""
    assert set(sop_class._STORAGE_CLASSES.values()) - uids.STORAGE_CLASSES.keys() == set()
    known = standards("SOP Class")
    missing = {uid for uid, (name, _) in known.items() if "Storage" in name}
    missing -= uids.STORAGE_CLASSES.keys()
    assert {uid for uid in missing if not named(uid, NOT_STORED)} == set()
    assert not any(named(uid, NOT_STORED) for uid in uids.STORAGE_CLASSES)


def test_every_class_has_the_standards_keyword() -> None:
    known = {uid: keyword for uid, (_, keyword) in standards("SOP Class").items()}
    for keyword, uid in sop_class._STORAGE_CLASSES.items():
        known.setdefault(uid, keyword)
    assert {uid: known.get(uid) for uid in uids.STORAGE_CLASSES} == uids.STORAGE_CLASSES


@pytest.mark.requirement("DCM-04")
def test_every_class_is_carried_in_every_syntax() -> None:
    for sop_class_uid in uids.STORAGE_CLASSES:
        assert all(uids.is_storable(sop_class_uid, ts) for ts in uids.TRANSFER_SYNTAXES)
    assert not uids.is_storable(uids.VERIFICATION, uids.IMPLICIT_VR_LITTLE_ENDIAN)
    assert not uids.is_storable(CT, "1.2.840.10008.1.2.4.94")


@pytest.mark.parametrize(
    ("others", "carried"),
    [
        ([], False),
        ([SOMEBODY], True),
        (["1.2.3", "1.2.392.200036."], True),
        (["1.2.392.200036"], False),  # a whole UID, and another
        ([SOMEBODY[:-2]], False),
        ([SOMEBODY + "."], False),
    ],
)
def test_other_classes_are_carried_where_a_setting_names_them(
    others: list[str], carried: bool
) -> None:
    assert uids.is_storable(SOMEBODY, uids.EXPLICIT_VR_LITTLE_ENDIAN, others) is carried
    assert uids.is_storable(CT, uids.EXPLICIT_VR_LITTLE_ENDIAN, others)
    assert not uids.is_storable(SOMEBODY, "1.2.840.10008.1.2.4.94", others)


@pytest.mark.parametrize(
    ("one", "may"),
    [
        (SOMEBODY, True),
        ("1.2.392.", True),
        ("1.2.840.113619.4.30", True),
        ("1.2.840.10008.5.1.4.1.1.999", True),  # of an edition to come
        ("1.2.840.10008.5.1.4.1.1.", False),
        ("1.2.840.10008.1.1", False),  # Verification
        ("1.2.840.10008.5.1.4.1.2.2.1", False),  # Query/Retrieve
        ("1.2.840.", False),  # the standard's own lie below
        ("1.", False),
        (".", False),
        ("", False),
        ("1..2", False),
        ("1.2.392..", False),
        ("*", False),
        ("CTImageStorage", False),
    ],
)
def test_what_a_setting_may_name(one: str, may: bool) -> None:
    assert uids.is_other_class(one) is may
