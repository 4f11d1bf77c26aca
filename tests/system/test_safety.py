"""What is looked at before sending, between two real ends: names, blocked patients, notes."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from common.dicom import burned_in
from receiver import transfers
from receiver.facts import KnownFacts
from receiver.worklist import Worklist
from samples.names import written_names
from tests.system.ends import SENDER_CODE, Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(120)]

BLOCKED = "T900"
#: Declared set, bytes of the name, its ideographs as shown, whether they are a guess.
NAMES = [
    *(("\\".join(one.charset), one.raw, None, False) for one in written_names()),
    ("", "YAMADA^TARO=山田^太郎".encode("iso2022_jp"), "山田 太郎", True),
    ("ISO_IR 100", "YAMADA^TARO=山田^太郎".encode("cp932"), "山田 太郎", True),
    ("\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J", "山田", True),
    ("ISO_IR 87", "=山本^府".encode("iso2022_jp"), "山本 府", True),
    ("", "=髙橋^花子".encode(), "髙橋 花子", True),
]


def named(folder: Path, seed: int, declared: str, raw: bytes) -> Path:
    """Write one image whose name has these bytes."""
    (path,) = write_series(folder, seed, slices=1, side=8)
    ds = dcmread(path)
    ds.PatientName = "@" * (len(raw) + len(raw) % 2)
    ds.SpecificCharacterSet = "ISO_IR 6"
    ds.save_as(path)
    whole = path.read_bytes().replace(b"@" * len(ds.PatientName.original_string), raw.ljust(
        len(raw) + len(raw) % 2
    ), 1)  # fmt: skip
    term = declared.encode().ljust(len(declared) + len(declared) % 2)
    length = len(term).to_bytes(2, "little")
    path.write_bytes(whole.replace(b"CS\x08\0ISO_IR 6", b"CS" + length + term, 1))
    return path


def name_bytes(path: Path) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        element: Any = dcmread(path).get_item("PatientName")
    assert element.is_raw, "nothing has decoded it"
    return bytes(element.value)


@dataclass
class Sent:
    """What one job brought about."""

    ends: Ends
    files: dict[str, Path]  # by Study Instance UID
    said: Any
    code: int
    rows: dict[str, dict[str, Any]]  # of the work list, by Study Instance UID

    def transfer(self, uid: str) -> dict[str, Any]:
        (found,) = (one for one in self.said["transfers"] if one["study_uid"] == uid)
        return dict(found)


@pytest.fixture(scope="module")
def sent(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    folder = tmp_path_factory.mktemp("in")
    files = [named(folder / f"n{i}", i, *one[:2]) for i, one in enumerate(NAMES)]
    files.append(write_series(folder / "blocked", 900, slices=1, side=8)[0])
    files.append(write_series(folder / "burned", 901, slices=1, side=8)[0])
    burned = dcmread(files[-1])
    burned.BurnedInAnnotation = "YES"
    burned.save_as(files[-1])
    data = ("--data", ends.sender)
    must("sender", "block", "add", BLOCKED, "--by", "鈴木", "--reason", "申出", *data)
    said = verb("sender", "send", folder, "--basis", "explicit", *data)
    with ends.index() as known:
        listed = Worklist(known, KnownFacts(ends.receiver / "store")).rows()
    rows = {row["study_uid"]: row for row in listed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of = {str(dcmread(path).StudyInstanceUID): path for path in files}
    return Sent(ends, of, said.words, said.code, rows)


@pytest.mark.requirement("CHR-02", "CHR-05", "CHR-01", "CHR-04")
def test_the_bytes_of_a_name_are_the_same_at_the_receiver(sent: Sent) -> None:
    assert sent.said["refused"] == []
    with sent.ends.index() as known, known.read() as db:
        for (uid, path), (_, raw, shown, guessed) in zip(sent.files.items(), NAMES, strict=False):
            one = sent.transfer(uid)
            assert (one["state"], one["digests_equal"]) == ("receipted", True)
            (slot,) = transfers.instances_of(db, one["id"])
            stored = sent.ends.receiver / "store" / slot.path
            assert name_bytes(stored) == name_bytes(path) == raw.ljust(len(raw) + len(raw) % 2)
            patient = sent.rows[uid]["patient"]
            assert patient["guessed"] is guessed
            assert {note["id"] for note in one["notes"]} == ({"name-guessed"} if guessed else set())
            if shown is not None:
                assert patient["ideographic"] == shown


@pytest.mark.requirement("CHR-05")
def test_the_sender_is_shown_a_guess_as_one(sent: Sent) -> None:
    noted = [one for one in sent.said["transfers"] if one["notes"]]
    guessed = next(one for one in noted if one["notes"][0]["id"] == "name-guessed")
    shown = must("sender", "show", guessed["id"], "--data", sent.ends.sender)
    assert shown["patient"]["guessed"] is True
    assert shown["patient"]["name"].endswith("(推定)")
    status = json.dumps(must("sender", "status", "--data", sent.ends.sender), ensure_ascii=False)
    assert "推定" in status
    assert "山田" not in status, "what watches over the sender reads no names"


@pytest.mark.requirement("AUT-09")
def test_nothing_of_a_blocked_patient_left_the_sender(sent: Sent) -> None:
    uid = next(uid for uid, path in sent.files.items() if path.parent.name == "blocked")
    one = sent.transfer(uid)
    assert sent.code == 26
    assert (one["state"], one["error"]["number"], one["held"]) == ("held", "E-2120", 0)
    assert uid not in sent.rows
    words = "--by", "院長", "--reason", "急ぐ", "--data", sent.ends.sender
    said = verb("sender", "release", one["id"], *words)
    assert said.code == 26
    assert "E-2120" in said.errors + json.dumps(said.words)
    listed = must("sender", "block", "list", "--data", sent.ends.sender)["blocked"]
    assert len(listed) == 1
    told = json.dumps([listed, said.words, one["error"]]) + said.errors
    kept = (sent.ends.sender / "blocked.json").read_text("utf-8")
    assert BLOCKED not in told + kept


@pytest.mark.requirement("PRI-01", "PRI-04")
def test_basis_and_burned_in_text_reach_the_receiver(sent: Sent) -> None:
    uid = next(uid for uid, path in sent.files.items() if path.parent.name == "burned")
    row, one = sent.rows[uid], sent.transfer(uid)
    assert row["burned_in"] == burned_in.DECLARED
    assert [note["id"] for note in row["request"]["notes"]] == [burned_in.DECLARED]
    assert row["request"]["basis"] == one["basis"]
    assert one["basis"]["code"] == "explicit"
    assert {r["burned_in"] for u, r in sent.rows.items() if u != uid} == {None}


@pytest.mark.requirement("CHR-07")
def test_a_patient_is_of_the_institution_that_sent(sent: Sent) -> None:
    assert {row["patient"]["issuer"] for row in sent.rows.values()} == {SENDER_CODE}
