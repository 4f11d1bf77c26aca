"""Whole ends that lie, real processes on the real line: each lie is found, by its name.

What is found here is found by somebody who was not there: `todoke verify` with the
certificates that the auditor had before, or the daily check of the end that is honest.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.proof import certificates
from common.proof.identity import Node
from common.proof.role import Role
from receiver import index
from sender.partners import find_partner
from sender.record_checking import ledger
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import RECEIVER_CODE, SENDER_CODE, Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(180)]
MUTANTS = Path(__file__).parent / "mutants"
slow = pytest.mark.slow

#: What a receiver does to its store after it signed, and what `verify --file` finds.
STORED = [
    pytest.param("stores-a-flipped-pixel", "file-altered"),
    pytest.param("stores-a-flipped-header", "file-altered", marks=slow),
    pytest.param("stores-two-swapped", "file-uid", marks=slow),
    pytest.param("drops-a-tile", "file-altered", marks=slow),
    pytest.param("says-yes-and-stores-nothing", "file-unreadable", marks=slow),
]
#: What a receiver countersigns, and what is found in the record that it keeps itself.
COUNTERSIGNED = {
    "countersigns-another-order": "root",
    "countersigns-one-less": "count",
    "countersigns-two-swapped": "root",
    "countersigns-one-altered": "root",
    "countersigns-none-of-them": "count",
    "replays-a-countersignature": "countersignature-other",
    "countersigns-with-another-key": "receiver-institution",
}
#: What a sender records, and what the receiver says is another than it knows.
RECORDED = {
    "records-another-order": "root",
    "records-one-less": "count",
    "records-two-swapped": "root",
    "records-one-altered": "root",
    "records-none-of-them": "count",
}


def certificate(folder: Path, role: Role) -> str:
    """Return an end's signing certificate, as it hands it to an auditor."""
    return Node.load(folder, role).signing_certificate


@dataclass
class Lying:
    """Two ends that lie in the way that a file names; an auditor who knew both before."""

    ends: Ends
    folder: Path
    env: dict[str, str]

    def send(self, fault: str, *, seed: int = 1) -> dict[str, Any]:
        """Send a study, or a slide for what is about tiles, with a fault on."""
        source = self.folder / fault
        if "tile" in fault:
            source = Svs(width=900, height=700, factors=(1, 2)).write(self.folder / f"{fault}.svs")
        elif not source.exists():
            write_series(source, seed, slices=4, side=24)
        self.now(fault)
        said = verb("sender", "send", source, "--data", self.ends.sender, env=self.env)
        assert said.code == 0, said.errors
        (sent,) = said.words["transfers"]
        assert (sent["state"], sent["digests_equal"]) == ("receipted", True), "nobody noticed"
        return dict(sent)

    def now(self, fault: str) -> None:
        """Turn a fault on."""
        Path(self.env["TODOKE_FAULT"]).write_text(fault, "utf-8")

    def verify(self, *records: Path, files: list[Path] | None = None) -> tuple[int, list[str]]:
        """Verify as the auditor does: exit code, and the names of what differs."""
        named = [word for path in files or [] for word in ("--file", path)]
        said = verb("verify", *records, "--trust", self.folder / "trust", *named)
        every = [*said.words["records"], *said.words["series"]]
        return said.code, [one["code"] for of in every for one in of["differs"]]

    def record(self, transfer: str, end: str) -> Path:
        """Have an end write its record of a transfer; the sender does so with its fault on."""
        path = self.folder / f"{transfer}-{end}.json"
        if end == "sender":
            words: tuple[object, ...] = ("sender", "show", transfer, "--record", path)
        else:
            words = ("receiver", "record", transfer, path)
        said = verb(*words, "--data", getattr(self.ends, end), env=self.env)
        assert said.code == 0, said.errors
        return path

    def stored(self, transfer: str) -> list[Path]:
        """Where the receiver's index says that the images lie."""
        table = index.instances
        with self.ends.index() as known, known.read() as db:
            asked = select(table.c.path).where(table.c.transfer == transfer)
            rows = list(db.execute(asked.order_by(table.c.id)).scalars())
        return [self.ends.receiver / "store" / path for path in rows]

    def daily(self, end: str) -> list[tuple[str, int]]:
        """What the daily check of an end names."""
        said = verb(end, "records", "check", "--data", getattr(self.ends, end))
        return [(one["kind"], one["number"]) for one in said.words["findings"]]

    def row(self, transfer: str) -> dict[str, Any]:
        """The newest record of a transfer as the sender lists it."""
        rows = must("sender", "records", "list", "--data", self.ends.sender)["records"]
        return dict([one for one in rows if one["transfer"] == transfer][-1])


@pytest.fixture(scope="module")
def lying(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Lying:
    return lie(ends, Path(tmp_path_factory.mktemp("lying")))


def lie(ends: Ends, folder: Path) -> Lying:
    """Let the processes of two ends lie from now on; their auditor has three certificates."""
    other = folder / "other"
    must("sender", "init", "--data", other, "--name", "他病院", "--code", "1310000001",
         "--address", "札幌市", "--operator", "試験")  # fmt: skip
    trust = folder / "trust"
    trust.mkdir()
    known = [(ends.sender, Role.REQUESTER), (ends.receiver, Role.SUPPORTER),
             (other, Role.REQUESTER)]  # fmt: skip
    for number, (data, role) in enumerate(known):
        (trust / f"{number}.pem").write_text(certificate(data, role), "ascii")
    now = folder / "now"
    now.write_text("none", "utf-8")
    path = f"{MUTANTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {**os.environ, "PYTHONPATH": path, "TODOKE_FAULT": str(now), "TODOKE_OTHER": str(other)}
    ends.stop_receiver()
    ends.start_receiver(env)
    return Lying(ends, folder, env)


@pytest.mark.requirement("DIR-06", "DIR-07", "EVD-02")
@pytest.mark.parametrize(("fault", "finds"), STORED)
@slow
def test_what_a_receiver_keeps_otherwise_than_it_signed(
    fault: str, finds: str, lying: Lying
) -> None:
    sent = lying.send(fault)
    record = lying.record(sent["id"], "receiver")
    assert lying.verify(record) == (0, []), "both ends signed it, and agree"
    code, found = lying.verify(record, files=lying.stored(sent["id"]))
    assert (code, set(found)) == (1, {finds})


@slow
@pytest.mark.requirement("DIR-06", "EVD-02", "EVD-06")
@pytest.mark.parametrize("fault", COUNTERSIGNED)
def test_what_a_receiver_countersigns_falsely(fault: str, lying: Lying) -> None:
    """The sender takes none of it for a countersignature, says so, and goes on."""
    lying.send("none", seed=2)
    sent = lying.send(fault, seed=3)
    code, found = lying.verify(lying.record(sent["id"], "receiver"))
    assert COUNTERSIGNED[fault] in found
    assert code == 1
    row = lying.row(sent["id"])
    assert (row["countersigned"], row["refused"]["number"]) == (False, "E-6023")
    assert ("refused", row["number"]) in lying.daily("sender")


@slow
@pytest.mark.requirement("DIR-06", "EVD-02", "EVD-06")
@pytest.mark.parametrize("fault", RECORDED)
def test_what_a_sender_records_falsely(fault: str, lying: Lying) -> None:
    """It agrees with itself, so that only the receiver can know better; it does not sign."""
    sent = lying.send(fault, seed=4)
    assert lying.verify(lying.record(sent["id"], "sender")) == (4, []), "the sender alone signed"
    row = lying.row(sent["id"])
    assert row["countersigned"] is False
    assert RECORDED[fault] in row["refused"]["en"].partition("(")[2].partition(")")[0].split(", ")
    assert ("refused", row["number"]) in lying.daily("receiver")


@pytest.mark.requirement("EVD-02", "EVD-06")
@slow
def test_a_sender_that_edits_what_it_keeps(lying: Lying) -> None:
    sent = lying.send("edits-its-record", seed=5)
    code, found = lying.verify(lying.record(sent["id"], "sender"))
    assert code == 1
    assert "record-signature" in found
    assert ("file-edited", lying.row(sent["id"])["number"]) in lying.daily("sender")
    assert lying.verify(lying.record(sent["id"], "receiver")) == (0, []), "the other end has it"


@slow
@pytest.mark.requirement("EVD-06")
def test_a_sender_that_deletes_a_record(lying: Lying) -> None:
    lost = lying.row(lying.send("none", seed=6)["id"])["number"]
    lying.send("deletes-a-record", seed=7)
    lying.now("none")
    assert ("deleted", lost) in lying.daily("sender")
    (folder,) = (lying.ends.sender / "evidence").iterdir()
    code, found = lying.verify(folder)
    assert code == 1
    assert "missing" in found


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Ends]:
    """Two ends of a test's own: what it does to them is for good."""
    pair = Ends(tmp_path / "apart")
    pair.pair()
    try:
        yield pair
    finally:
        pair.stop_receiver()


@slow
@pytest.mark.requirement("EVD-02", "EVD-06", "DIR-07")
def test_a_sender_that_signs_with_another_hospitals_key(
    apart: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver takes no such record, and a day later the sender's own check names it."""
    made = lie(apart, tmp_path)
    sent = made.send("signs-with-another-key", seed=8)
    code, found = made.verify(made.record(sent["id"], "sender"))
    assert code == 1
    assert found == ["sender-institution"]
    assert made.row(sent["id"])["countersigned"] is False
    assert must("receiver", "records", "list", "--data", apart.receiver) == {"records": []}
    assert made.daily("sender") == [], "it may be answered yet"
    monkeypatch.setattr("sender.record_checking.today", lambda: "2999-01-01")
    with apart.outbox() as box:
        key = find_partner(apart.sender, None).key
        kinds = [one.kind for one in ledger(apart.sender, box, key).check()]
    assert "unanswered" in kinds


@slow
@pytest.mark.requirement("EVD-02", "DIR-07")
def test_two_ends_that_made_their_keys_themselves(lying: Lying, tmp_path: Path) -> None:
    """All that they say is whole and agrees; only who they are is not so."""
    false = Ends(tmp_path / "false")
    false._pair_by_verbs()
    false.start_receiver()
    try:
        write_series(tmp_path / "ct", 9, slices=3, side=24)
        (sent,) = must("sender", "send", tmp_path / "ct", "--data", false.sender)["transfers"]
    finally:
        false.stop_receiver()
    path = tmp_path / "record.json"
    must("sender", "show", sent["id"], "--record", path, "--data", false.sender)
    assert said_codes(path) == (SENDER_CODE, RECEIVER_CODE)
    assert verb("verify", path).code == 3, "consistent; signers not established"
    code, found = lying.verify(path)
    assert (code, found) == (1, ["sender-key", "receiver-key"])


@slow
@pytest.mark.requirement("EVD-02", "DIR-07")
def test_a_sender_whose_key_the_receiver_made(apart: Ends, tmp_path: Path) -> None:
    """A receiver plays the hospital that it is paid for, with a key of its own making."""
    trust = lie(apart, tmp_path)
    false = tmp_path / "false"
    invited = must(
        *("receiver", "invite", "北見依頼病院", "--code", SENDER_CODE, "--replace"),
        *("--address", "localhost", "--out", tmp_path, "--data", apart.receiver),
    )
    must("sender", "init", "--data", false, "--name", "北見依頼病院", "--code", SENDER_CODE,
         "--address", "北見市", "--operator", "試験")  # fmt: skip
    must("sender", "join", invited["path"], "--data", false)
    write_series(tmp_path / "ct", 10, slices=3, side=24)
    (sent,) = must("sender", "send", tmp_path / "ct", "--data", false)["transfers"]
    assert sent["state"] == "receipted"
    path = trust.record(sent["id"], "receiver")
    assert verb("verify", path).code == 3
    assert trust.verify(path) == (1, ["sender-key"])


def said_codes(path: Path) -> tuple[str, str]:
    """The institutions that a record file's certificates name."""
    file = json.loads(path.read_text("utf-8"))
    sender, receiver = (
        certificates.institution_of(certificates.from_pem(file["certificates"][end]))
        for end in ("sender", "receiver")
    )
    return str(sender), str(receiver)


@slow
@pytest.mark.requirement("EVD-06")
def test_a_record_is_sent_again_when_the_cause_is_gone(apart: Ends, tmp_path: Path) -> None:
    made = lie(apart, tmp_path)
    sent = made.send("countersigns-one-less", seed=11)
    number = made.row(sent["id"])["number"]
    apart.stop_receiver()
    shutil.rmtree(apart.receiver / "evidence")
    with apart.index() as known, known.write() as db:
        db.execute(index.evidence.delete())
    apart.start_receiver()
    data = ("--data", apart.sender)
    again = must("sender", "records", "again", number, *data)
    assert [one["countersigned"] for one in again["records"]] == [True]
    assert must("sender", "records", "check", *data) == {"records": 1, "findings": []}
    assert verb("sender", "records", "again", *data).code == 21, "nothing is left"
