"""What was sent before under the same UIDs, and of whom a study was."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.states import TransferState
from sender.ingest import scan
from sender.outbox import Outbox
from sender.safety.checks import Checks
from tests.sender.test_ingest import change, job
from tests.system.series import write_series

pytestmark = pytest.mark.evidence


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with contextlib.closing(Outbox(tmp_path / "sender")) as opened:
        yield opened


def put(outbox: Outbox, folder: Path) -> dict[str, Any]:
    """Put a folder into the outbox as the engine does; return its one transfer's values."""
    number = outbox.submit("asahikawa", [folder], {})
    found = scan(job(folder), checks=Checks(left=outbox.left))
    outbox.scanned(outbox.job(number), found.transfers, found.refused, found.files)
    ((values, _),) = found.transfers
    return values


def delivered(outbox: Outbox) -> None:
    for one in outbox.owed():
        outbox.set_state(one.id, TransferState.SENDING)
        digests = {i.sop_uid: "" for i in outbox.instances(one.id)}
        outbox.acknowledged(one.id, digests)
        outbox.set_state(one.id, TransferState.DELIVERED)


@pytest.mark.requirement("DAT-05")
@pytest.mark.parametrize("state", ["queued", "delivered"])
@pytest.mark.parametrize(
    ("changes", "number"),
    [({}, None), ({"PatientComments": "x"}, "E-2122"), ({"Rows": 4, "Columns": 16}, "E-2122")],
    ids=["the same", "longer", "as long"],
)
def test_other_content_under_a_uid_that_was_sent(
    outbox: Outbox, tmp_path: Path, state: str, changes: dict[str, Any], number: str | None
) -> None:
    write_series(tmp_path / "a", 1, slices=2, side=8)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert put(outbox, tmp_path / "a")["state"] == TransferState.QUEUED
    if state == "delivered":
        delivered(outbox)
    if changes:
        change(next((tmp_path / "b").iterdir()), **changes)
    values = put(outbox, tmp_path / "b")
    assert (values["state"] == TransferState.HELD) is (number is not None)
    if number is not None:
        assert json.loads(values["error"])["number"] == number
        first = outbox.transfers(1)[0].id
        assert first[:8] in values["error"], "it says which transfer it was"


@pytest.mark.requirement("DAT-05")
def test_what_was_held_and_put_right_may_have_its_uids_again(
    outbox: Outbox, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "a", 1, slices=2, side=8)
    change(files[1], PatientBirthDate="19990101")
    number = outbox.submit("asahikawa", [tmp_path / "a"], {})
    found = scan(job(tmp_path / "a"), checks=Checks(left=outbox.left))
    assert [values["state"] for values, _ in found.transfers] == 2 * [TransferState.HELD]
    outbox.scanned(outbox.job(number), found.transfers, found.refused, found.files)
    change(files[0], PatientBirthDate="19990101")
    assert put(outbox, tmp_path / "a")["state"] == TransferState.QUEUED


@pytest.mark.requirement("DAT-04")
def test_a_study_that_was_sent_of_another_patient(outbox: Outbox, tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", 1, slices=2, side=8)
    (tmp_path / "b").mkdir()
    files[1].rename(tmp_path / "b" / "one.dcm")
    put(outbox, tmp_path / "a")
    delivered(outbox)
    change(tmp_path / "b" / "one.dcm", PatientID="other")
    values = put(outbox, tmp_path / "b")
    assert values["state"] == TransferState.HELD
    assert "E-2123" in values["error"]


@pytest.mark.requirement("DAT-04", "CHR-07")
@pytest.mark.parametrize(
    ("changes", "on"),
    [
        ({"PatientID": "other"}, "Patient ID"),
        ({"IssuerOfPatientID": "0110123456"}, "its issuer"),
        ({"PatientBirthDate": "19990101"}, "birth date"),
    ],
)
def test_the_words_say_in_what_patients_differ(
    tmp_path: Path, changes: dict[str, str], on: str
) -> None:
    files = write_series(tmp_path / "a", 1, slices=2, side=8)
    for path in files:
        change(path, PatientID="a01", IssuerOfPatientID="0119876543", PatientBirthDate="19500401")
    change(files[1], **changes)
    found = scan(job(tmp_path / "a"))
    words = [json.loads(values["error"])["en"] for values, _ in found.transfers]
    assert len(words) == 2
    assert all("differs: " in one and on in one for one in words)
    assert not any(value in one for one in words for value in changes.values())


@pytest.mark.requirement("DAT-04")
@pytest.mark.parametrize(
    ("written", "one"),
    [("a01 ", True), (" a01", True), ("A01", False), ("ａ01", False), ("00a01", False)],
)
def test_padding_is_no_difference_and_spelling_is_one_that_is_named(
    tmp_path: Path, written: str, one: bool
) -> None:
    files = write_series(tmp_path / "a", 1, slices=2, side=8)
    change(files[0], PatientID="a01")
    change(files[1], PatientID=written, SpecificCharacterSet="ISO_IR 192")
    found = scan(job(tmp_path / "a"))
    assert (len(found.transfers) == 1) is one
    if not one:
        assert all("only letter case" in values["error"] for values, _ in found.transfers)
