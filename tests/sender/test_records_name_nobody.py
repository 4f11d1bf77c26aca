"""What an outsider is given of a record names none of a thousand patients (PRI-05)."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.proof import record_file, verify
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.states import TransferState
from sender import record_making, record_sending, record_verbs
from sender.outbox import Outbox
from sender.partners import Partner
from tests.common.proof.people import people
from tests.common.proof.scan import Person, scan

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(120)]
EVERY = list(people())
AT = "2026-11-27T01:00:00+00:00"
STATES = (TransferState.DELIVERED, TransferState.RECALLED, TransferState.FAILED)


def owe(db: sqlite3.Connection, number: int, person: Person) -> str:
    """Enter a transfer that has ended, with the patient wherever one can stand; return its id."""
    transfer, (study, series, sop) = f"{number:032x}", person.uids
    said = person.name.split("=")[1].replace("^", "")
    attributes = {
        "00100010": {"vr": "PN", "Value": [{"Ideographic": said}]},
        "00100020": {"vr": "LO", "Value": [person.patient_id]},
        "00100030": {"vr": "DA", "Value": [person.birth]},
    }
    state = STATES[number % len(STATES)]
    reason = f"{said}様 ({person.patient_id}) のご家族から"
    request: dict[str, Any] = {
        TransferState.DELIVERED: {"released": {"by": "技師", "reason": reason}},
        TransferState.RECALLED: {"recalled": {"by": "技師", "reason": reason, "was": "sending"}},
    }.get(state, {}) | {"text": reason}
    error = {"number": "E-2001", "ja": f"/CT/{said}/1.dcm", "en": f"/CT/{person.patient_id}"}
    failed = json.dumps(error) if state is TransferState.FAILED else None
    db.execute(
        "INSERT INTO transfers(id, job, partner, kind, state, priority, purpose, study, attributes,"
        " request, test, error, created, finished) VALUES(?,1,'p','dicom',?,'routine',"
        "'diagnosis',?,?,?,1,?,?,?)",
        (transfer, state, study, json.dumps(attributes), json.dumps(request), failed, AT, AT),
    )
    db.execute(
        "INSERT INTO instances(transfer, sop_uid, sop_class, transfer_syntax, series, path,"
        " offset, length, size, mtime_ns, inode, d1) VALUES(?,?,'1.2','1.2',?,?,0,8,8,0,0,?)",
        (transfer, sop, series, f"/CT/{said}/1.dcm", f"{number:064x}"),
    )
    return transfer


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outbox]:
    """Records of a transfer of each person, made as the sender makes them."""
    folder = Path(tmp_path_factory.mktemp("sender"))
    node = Node.create(folder, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    partner = Partner(
        name="旭川支援病院", kind="dicom", code="0110123456", addresses=("localhost",),
        host="localhost", dicom_port=1, link_port=0, aet="A", calling_aet="B", ca="",
        signing_certificate="", leaf="", file=folder / "partners" / "p.json",
    )  # fmt: skip
    with contextlib.closing(Outbox(folder)) as box:
        box._db.execute("PRAGMA synchronous=OFF")  # no power is cut here
        with box._write() as db:
            db.execute("INSERT INTO jobs VALUES(1,'p','[]','{}',?,?,0)", (AT, AT))
            for number, person in enumerate(EVERY):
                owe(db, number, person)
        maker = record_making.Maker(box, node, partner)
        for number in range(len(EVERY)):
            assert maker.make(box.transfer(f"{number:032x}"), AT, None)
        yield box


@pytest.mark.requirement("PRI-05", "EVD-03")
def test_no_one_of_a_thousand_stands_in_what_goes_outside(outbox: Outbox, tmp_path: Path) -> None:
    rows = outbox.records()
    assert len(rows) == len(EVERY) > 1000
    outside = list[str]()
    for row, person in zip(rows, EVERY, strict=True):
        kept = record_sending.kept(outbox, row)
        text = record_file.text(record_file.build(kept, "outside")).decode()
        assert scan(text, [person]) == []
        outside.append(text)
        if len(outside) % 20:
            continue
        inside = record_file.text(record_file.build(kept, "inside")).decode()
        seen = {found.split(":")[0] for found in scan(inside, [person])}
        assert seen >= {"ID", "UID"}, "the scanner looked in the wrong place"
        if row.state != TransferState.FAILED:
            assert "name" in seen  # in the reason that somebody typed
    listed = json.dumps([record_verbs.describe(row) for row in rows], ensure_ascii=False)
    assert scan(listed + "".join(outside[:40]), EVERY[:200]) == []
    for number, text in enumerate(outside[:40]):
        (tmp_path / f"{number}.json").write_text(text, "utf-8")
    answer = verify.verify([tmp_path])
    assert {one["code"] for of in answer["records"] for one in of["differs"]} == set()
    assert scan(json.dumps(answer, ensure_ascii=False), EVERY[:40]) == []
