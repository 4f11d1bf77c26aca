"""Patients who object: known by HMACs alone, held in words, and released by nobody."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common import audit
from common.errors import NotFound, PatientBlocked, SettingsError, UsageError
from common.states import TransferState
from sender import sending
from sender.cli import app
from sender.ingest import scan
from sender.outbox import Outbox
from sender.safety.blocked import Blocked
from sender.safety.checks import Checks
from tests.sender.slides.vendor_files import Svs
from tests.sender.test_ingest import change, job
from tests.system.series import write_series

pytestmark = [pytest.mark.evidence, pytest.mark.requirement("AUT-09")]
ID, ISSUER = "A-0012345", "0119876543"


@pytest.fixture
def blocked(tmp_path: Path) -> Blocked:
    return Blocked(tmp_path)


@pytest.mark.parametrize(
    ("entered", "asked", "holds"),
    [
        ((ID, ""), (ID, ""), True),
        ((ID, ""), (ID, ISSUER), True),
        ((ID, ISSUER), (ID, ISSUER), True),
        ((ID, ISSUER), (ID, ""), True),
        ((ID, ISSUER), (ID, "0110123456"), False),
        ((ID, ""), ("A-0012346", ""), False),
        ((ID, ""), ("", ""), False),
        ((ID, ""), (f" {ID.lower()}\0", ""), True),
        ((ID, ""), ("Ａ-００１２３４５", ISSUER), True),
    ],
)
def test_whom_an_entry_is_of(
    blocked: Blocked, entered: tuple[str, str], asked: tuple[str, str], holds: bool
) -> None:
    blocked.add(*entered, by="鈴木", reason="申出")
    assert blocked.blocks(*asked) is holds
    assert Blocked(blocked._file.parent).blocks(*asked) is holds, "another process knows it too"


def test_the_files_name_nobody_and_the_key_is_private(blocked: Blocked, tmp_path: Path) -> None:
    blocked.add(ID, ISSUER, by="鈴木", reason="申出")
    for path in tmp_path.iterdir():
        assert ID.encode() not in path.read_bytes()
        assert ISSUER.encode() not in path.read_bytes()
    assert (tmp_path / "blocked.key").stat().st_mode & 0o077 == 0
    other = Blocked(tmp_path / "other")
    (tmp_path / "other").mkdir()
    assert other.add(ID, ISSUER, by="鈴木", reason="").id != blocked.entries()[0].id


def test_entries_are_added_once_and_taken_off(blocked: Blocked) -> None:
    first = blocked.add(ID, "", by="鈴木", reason="申出")
    assert blocked.add(ID.lower(), "", by="佐藤", reason="") == first
    second = blocked.add(ID, ISSUER, by="鈴木", reason="申出")
    assert [one.number for one in blocked.entries()] == [first.number, second.number]
    with pytest.raises(NotFound):
        blocked.remove("other", "")
    assert blocked.remove(ID, "") == first
    with pytest.raises(NotFound):
        blocked.remove_number("")
    assert blocked.remove_number(second.number) == second
    assert not blocked.blocks(ID, "")
    with pytest.raises(NotFound):
        blocked.remove(ID, "")
    for words in (("", "鈴木"), (ID, " ")):
        with pytest.raises(UsageError):
            blocked.add(words[0], "", by=words[1], reason="")


@pytest.mark.parametrize("file", ["blocked.json", "blocked.key"])
def test_a_list_that_cannot_be_read_lets_nobody_pass(
    blocked: Blocked, tmp_path: Path, file: str
) -> None:
    blocked.add(ID, "", by="鈴木", reason="")
    (tmp_path / file).write_bytes(b"{}")
    with pytest.raises(SettingsError):
        Blocked(tmp_path).blocks("somebody else", "")


@pytest.fixture
def owed(tmp_path: Path) -> Iterator[tuple[Outbox, Blocked]]:
    """An outbox that owes a study of a blocked patient and one of another."""
    change(write_series(tmp_path / "in" / "a", 1, slices=1, side=8)[0], PatientID=ID)
    write_series(tmp_path / "in" / "b", 2, slices=1, side=8)
    blocked = Blocked(tmp_path / "sender")
    with contextlib.closing(Outbox(tmp_path / "sender")) as outbox:
        blocked.add(ID, "", by="鈴木", reason="申出")
        number = outbox.submit("asahikawa", [tmp_path / "in"], {})
        found = scan(job(tmp_path / "in"), checks=Checks(blocked, outbox.left))
        outbox.scanned(outbox.job(number), found.transfers, found.refused, found.files)
        yield outbox, blocked


def test_only_their_own_transfer_is_held_and_none_can_let_it_go(
    owed: tuple[Outbox, Blocked],
) -> None:
    outbox, blocked = owed
    data = outbox.path.parent
    (held,) = (one for one in outbox.transfers() if one.state is TransferState.HELD)
    assert held.error is not None
    assert held.error["number"] == "E-2120"
    assert ID not in json.dumps(held.error)
    assert len(outbox.owed()) == 1
    with pytest.raises(PatientBlocked):
        sending.release(data, held.id, by="院長", reason="急ぐ")
    with pytest.raises(PatientBlocked):
        sending.retry(data, held.id)
    assert outbox.transfer(held.id).state is TransferState.HELD
    blocked.remove(ID, "")
    assert sending.retry(data, held.id).state is TransferState.QUEUED


def say(data: Path, *words: object, code: int = 0) -> Any:
    """Run a verb of the sender in this process."""
    said = CliRunner().invoke(app, [*map(str, words), "--data", str(data), "--json"])
    assert said.exit_code == code, said.output
    return json.loads(said.stdout) if said.stdout.startswith("{") else {}


def set_up(data: Path) -> None:
    say(data, "init", "--name", "北見依頼病院", "--code", "0119876543", "--address", "北見市",
        "--operator", "試験")  # fmt: skip


@pytest.mark.requirement("AUT-09", "AUD-01")
def test_a_change_of_the_list_is_audited_with_its_person_and_no_patient(tmp_path: Path) -> None:
    set_up(tmp_path)
    say(tmp_path, "block", "add", ID, "--by", "鈴木", "--reason", "申出")
    say(tmp_path, "block", "remove", ID, code=UsageError.exit_code)
    assert audit.last(tmp_path / "audit", "patient-unblocked", 9) == [], "nobody is named"
    (entry,) = say(tmp_path, "block", "list")["blocked"]
    say(tmp_path, "block", "remove", "--number", entry["number"], "--by", "佐藤")
    (added,) = audit.last(tmp_path / "audit", "patient-blocked", 9)
    (removed,) = audit.last(tmp_path / "audit", "patient-unblocked", 9)
    assert (added["user"], removed["user"]) == ("鈴木", "佐藤")
    assert added["entry"] == removed["entry"] == entry["added"]
    told = (tmp_path / "audit" / "block.jsonl").read_text("utf-8")
    assert ID not in told
    assert entry["number"] not in told, "no HMAC either"


@pytest.mark.requirement("AUT-09")
def test_who_looks_before_sending_is_told_of_a_blocked_patient(tmp_path: Path) -> None:
    data, images = tmp_path / "data", tmp_path / "ct"
    set_up(data)
    write_series(images, 31, slices=1, side=8)
    (before,) = say(data, "check", images)["files"]
    assert (before["kind"], before["error"]) == ("dicom", None)
    Blocked(data).add("T31", "", by="鈴木", reason="申出")
    for words in (("check", images), ("send", images, "--dry-run")):
        (found,) = say(data, *words, code=PatientBlocked.exit_code)["files"]
        assert (found["kind"], found["error"]["number"]) == ("refused", PatientBlocked.number)
        assert "T31" not in json.dumps(found["error"])
    Svs(width=300, height=260, factors=(1,)).write(tmp_path / "a.svs")
    named = ("send", tmp_path / "a.svs", "--dry-run", "--patient-id")
    (slide,) = say(data, *named, "T31", code=PatientBlocked.exit_code)["files"]
    assert slide["error"]["number"] == PatientBlocked.number
    (other,) = say(data, *named, "T32")["files"]
    assert other["kind"] == "slide"
