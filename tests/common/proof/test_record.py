"""The record's form: what stands for instances and patients, and what a reader refuses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from common.errors import ProtocolError
from common.link import Digest
from common.proof import merkle, record, record_file

pytestmark = pytest.mark.evidence
SHA = "ab" * 32


def a_record(**values: Any) -> record.Record:
    part = {"is": "yes", "by": "receipt", "ja": "", "en": ""}
    made = record.Record(
        number=1,
        before="",
        transfer="0" * 32,
        kind="dicom",
        purpose="diagnosis",
        priority="routine",
        test=True,
        state="receipted",
        sender={"code": "1312345678", "name": "A"},
        receiver={"code": "1312345679", "name": "B"},
        subject={"patient": SHA, "study": SHA},
        instances={"count": 1, "bytes": 2, "root": SHA},
        statements={"opening": SHA, "closing": SHA, "receipt": SHA},
        digests_equal=True,
        established=dict.fromkeys(record.PARTS, part),
        tls={"dicom": None, "link": None},
        times={"signed": "2026-11-27T00:00:00+00:00"},
        software={"sender": {}, "receiver": {}},
    )
    return replace(made, **values)


def tree(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()


@pytest.mark.requirement("DAT-12")
def test_one_instance_is_shown_without_the_others() -> None:
    leaves = [record.leaf(Digest(f"1.{n}", n, SHA), "acquired") for n in range(9)]
    for count in range(1, 10):
        some = leaves[:count]
        words = [record.canonical(one) for one in some]
        root = tree(words).hex()
        assert record.root(some) == root
        for proof in record.proofs(some, [one["uid"] for one in some]):
            place, leaf, path = proof["place"], record.canonical(proof["leaf"]), proof["path"]
            assert merkle.root_of_proof(leaf, place, count, path) == root
            assert merkle.root_of_proof(leaf + b" ", place, count, path) != root
            assert merkle.root_of_proof(leaf, place, count, [*path, SHA]) is None
            if path:
                assert merkle.root_of_proof(leaf, place, count, path[:-1]) is None
            if count > 1:
                assert merkle.root_of_proof(leaf, (place + 1) % count, count, path) != root


@pytest.mark.requirement("EVD-01")
def test_a_record_says_what_it_was_made_of_and_nothing_else_is_taken() -> None:
    made = a_record()
    said = json.loads(record.canonical(record.words(made)))
    assert record.read_record(said) == made
    for key in said:
        with pytest.raises(ProtocolError):
            record.read_record({k: v for k, v in said.items() if k != key} | {"x": 1})
        with pytest.raises(ProtocolError):
            record.read_record({**said, key: object})
    for key, value in {
        "number": 0,
        "before": SHA,
        "state": "sending",
        "not_proven": ["time"],
        "digests_equal": 1.5,
        "established": {},
        "transfer": "x",
    }.items():
        with pytest.raises(ProtocolError):
            record.read_record({**said, key: value})


@pytest.mark.requirement("DIR-06")
def test_what_the_receiver_read_back_makes_its_root() -> None:
    sent = [Digest("1.1", 10, SHA, SHA, SHA), Digest("1.2", 20, SHA, None, SHA)]
    assert record.as_sent(sent, sent) == sent
    assert record.as_sent(sent, [replace(sent[0], d3=None), sent[1]]) == sent
    other = replace(sent[0], d1="cd" * 32)
    assert record.as_sent(sent, [other, sent[1]]) == [other, sent[1]]
    assert record.as_sent(sent, sent[:1])[1].length == -1
    coded = [replace(one, syntax="1.2.840.10008.1.2.1", rest=SHA) for one in sent]
    read = [replace(one, d1="cd" * 32, d2=None, length=5, syntax="1.2.840.10008.1.2.4.80")
            for one in coded]  # fmt: skip
    assert record.as_sent(coded, read) == coded
    assert record.as_sent(coded, [replace(read[0], rest="ef" * 32), read[1]]) != coded


@pytest.mark.requirement("EVD-03")
def test_a_key_opens_its_own_record_alone() -> None:
    patient = {"PatientID": "0012345", "IssuerOfPatientID": "1312345678"}
    one, two = (record.key_of(b"s" * 32, c * 32) for c in "ab")
    assert record.subject(one, patient, "1.2") == record.subject(one, dict(patient), "1.2")
    assert record.subject(one, patient, "1.2") != record.subject(two, patient, "1.2")
    assert record.said(one, "") == ""
    kept = record_file.Kept(
        record="a.b.c", countersignature=None, sender="PEM", receiver=None,
        leaves=[record.leaf(Digest("1.2.3", 1, SHA))], count=1,
        subject={"key": one.hex(), "patient": patient, "study": "1.2", "said": ""},
    )  # fmt: skip
    outside = json.dumps(record_file.build(kept, "outside"))
    for word in ("0012345", "1.2.3", one.hex()):
        assert word not in outside
    inside = record_file.build(kept)
    assert (inside["subject"], inside["instances"]) == (kept.subject, kept.leaves)
