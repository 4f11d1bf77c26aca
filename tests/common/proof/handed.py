"""What an auditor is handed: the records of two ends, with their images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.dicom import dataset, digest
from common.link import Digest
from common.proof import jws, record, record_file
from common.proof.identity import Institution, Node
from common.proof.role import Role
from tests.system.series import write_series

HERE, THERE, ELSEWHERE = "0119876543", "0110123456", "1310000001"
PATIENT = {"PatientID": "T7", "IssuerOfPatientID": ""}
SECRET = b"s" * 32
Words = dict[str, Any]


@dataclass
class Case:
    """Record files (院内用) in the order of their numbers, and who signed them."""

    folder: Path
    files: list[Words]
    sender: Node
    receiver: Node
    other: Node  # another hospital, whose certificate the auditor has too
    images: list[Path]  # of the first record, in its order

    def read(self, at: int, what: str = "record") -> Words:
        """Return the words of a statement in a file."""
        who = self.sender if what == "record" else self.receiver
        return jws.verify(self.files[at][what], who.signing_certificate)

    def image(self, name: str, data: bytes) -> Path:
        """Write an image file of these bytes."""
        path = self.folder / f"{name}.dcm"
        path.write_bytes(data)
        return path


@dataclass
class Handed:
    """What one auditor gets; `trust` are PEM certificates, None without a folder."""

    files: list[Words]
    images: list[Path] = field(default_factory=list)
    trust: list[str] | None = None


def node(folder: Path, name: str, code: str, role: Role = Role.REQUESTER) -> Node:
    """Make an institution with keys of its own."""
    hosts = ["localhost"] if role is not Role.REQUESTER else []
    return Node.create(folder, Institution(name, code), role, hosts=hosts)


def image_digest(path: Path) -> Digest:
    """Digest an image as an end of todoke does."""
    part10 = dataset.read_part10(path)
    found = digest.of_file(path, part10.offset, part10.transfer_syntax_uid)
    length = part10.length
    return Digest(part10.sop_instance_uid, length, found.d1, found.d2, found.d3)


def make_case(folder: Path, count: int = 3) -> Case:
    """Make records as both ends would, of real image files and with real keys."""
    sender = node(folder / "sender", "北見依頼病院", HERE)
    receiver = node(folder / "receiver", "旭川支援病院", THERE, Role.SUPPORTER)
    other = node(folder / "other", "他病院", ELSEWHERE)
    images = write_series(folder / "images", 7, slices=5, side=16)
    digests = [image_digest(path) for path in images]
    files, before = list[Words](), ""
    for number in range(1, count + 1):
        made = a_record(number, before, digests)
        files.append(a_file(made, digests, sender, receiver))
        before = record.name(files[-1]["record"])
    case = Case(folder, files, sender, receiver, other, images)
    anchor(case)
    return case


def a_record(number: int, before: str, digests: Sequence[Digest], **values: Any) -> record.Record:
    """Return the record of a transfer that was receipted."""
    transfer = f"{number:032x}"
    part = {"is": "yes", "by": "receipt", "ja": "", "en": ""}
    software = {"version": "0.1.0", "commit": "", "sbom": ""}
    now = datetime.now(UTC).isoformat()
    leaves = [record.leaf(one, "acquired") for one in digests]
    made = record.Record(
        number=number, before=before, transfer=transfer, kind="dicom", purpose="diagnosis",
        priority="routine", test=True, state="receipted",
        sender={"code": HERE, "name": "北見依頼病院"},
        receiver={"code": THERE, "name": "旭川支援病院"},
        subject=record.subject(record.key_of(SECRET, transfer), PATIENT, "1.2.3"),
        instances={"count": len(digests), "bytes": sum(one.length for one in digests),
                   "root": record.root(leaves)},
        statements=dict.fromkeys(("opening", "closing", "receipt"), "ab" * 32),
        digests_equal=True, established=dict.fromkeys(record.PARTS, part),
        tls={"dicom": None, "link": None}, times={"signed": now},
        clock={"offset_ms": -40, "round_trip_ms": 20, "bound_ms": 1000},
        software={"sender": software, "receiver": software},
    )  # fmt: skip
    return replace(made, **values)


def below(made: record.Record, statement: str, **values: Any) -> record.Countersignature:
    """Return the countersignature that a sound receiver signs."""
    own = record.Countersignature(
        record=record.name(statement), transfer=made.transfer, number=made.number,
        sender=made.sender["code"], receiver=made.receiver["code"],
        count=made.instances["count"], root=made.instances["root"],
        signed_at=made.times["signed"] or "", clock=made.clock,
    )  # fmt: skip
    return replace(own, **values)


def a_file(
    made: record.Record,
    digests: Sequence[Digest],
    sender: Node,
    receiver: Node,
    view: str = "inside",
    **values: Any,
) -> Words:
    """Return a record file, signed by both; `values` are the countersignature's."""
    statement = jws.sign(record.words(made), sender)
    leaves = [record.leaf(one, "acquired") for one in digests]
    key = record.key_of(SECRET, made.transfer)
    kept = record_file.Kept(
        record=statement,
        countersignature=jws.sign(record.words(below(made, statement, **values)), receiver),
        sender=sender.signing_certificate, receiver=receiver.signing_certificate, leaves=leaves,
        count=len(leaves),
        subject={"key": key.hex(), "patient": PATIENT, "study": "1.2.3", "said": ""},
    )  # fmt: skip
    return written(record_file.build(kept, view, [digests[1].uid]))


def written(value: Words) -> Words:
    """Return a record file as it comes back from its JSON."""
    found: Words = json.loads(json.dumps(value))
    return found


def anchor(case: Case) -> None:
    """Close the day of all records of a case, as both ends would."""
    names = [record.name(one["record"]) for one in case.files]
    first = case.read(0)
    made = record.Anchor(
        day=str(first["times"]["signed"])[:10], sender=HERE, receiver=THERE,
        first=first["number"], last=first["number"] + len(names) - 1, count=len(names),
        root=record.day_root(names),
    )  # fmt: skip
    signed = jws.sign(record.words(made), case.sender)
    answer = record.AnchorCountersignature(
        anchor=record.name(signed), day=made.day, sender=HERE, receiver=THERE, count=made.count,
        root=made.root, signed_at=str(first["times"]["signed"]),
    )  # fmt: skip
    under = jws.sign(record.words(answer), case.receiver)
    for place, one in enumerate(case.files):
        one["anchors"] = [record_file.anchor_entry(signed, under, names, place)]


def hand_over(case: Case, handed: Handed, folder: Path) -> Iterator[str]:
    """Write what is handed over; yields the line of the program that checks it."""
    folder.mkdir(parents=True)
    for n, one in enumerate(handed.files):
        path = folder / f"{n}.json"
        path.write_text(json.dumps(one), "ascii")
        yield str(path)
    known = [one.signing_certificate for one in (case.sender, case.receiver, case.other)]
    trust = folder / "trust"
    trust.mkdir()
    for n, pem in enumerate(known + (handed.trust or [])):
        (trust / f"{n}.pem").write_text(pem, "ascii")
    yield from ("--trust", str(trust), "--json")
    for path in handed.images:
        yield from ("--file", str(path))
