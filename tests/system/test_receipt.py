"""A receipt that was made while the sender was away, and content that stands once verified."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from pydicom import dcmread

from common.errors import IntegrityError, SentOtherwise
from common.states import TransferState
from receiver import transfers
from tests.system.ends import Ends, must, until, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.mark.requirement("UX-06", "DIR-07")
def test_a_receipt_that_never_reached_the_outbox_is_given_again(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 1, slices=3, side=32)
    (sent,) = must("sender", "send", tmp_path / "ct", "--data", ends.sender)["transfers"]
    with ends.outbox() as box:
        receipt = box.statement(sent["id"], "receipt")
        path = box.path
    # as a kill leaves it between the receiver's signature and our own note of it
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "UPDATE transfers SET state='delivered', digests_equal=NULL, finished=NULL WHERE id=?",
            (sent["id"],),
        )
        db.execute("DELETE FROM statements WHERE kind='receipt'")
    with ends.daemon(), ends.outbox() as box:
        until(lambda: box.transfer(sent["id"]).finished is not None, "it has its receipt")
        again = box.transfer(sent["id"])
        receipt_again = box.statement(sent["id"], "receipt")
    assert again.state is TransferState.RECEIPTED, again.error
    assert again.digests_equal is True
    assert receipt_again == receipt
    with ends.index() as known, known.read() as db_index:
        assert transfers.known(db_index, sent["id"]).repeats == 0


@pytest.mark.requirement("DAT-05", "DAT-01")
def test_verified_content_stands_against_other_content_of_its_uid(
    ends: Ends, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "first", 2, slices=2, side=32)
    data = ("--data", ends.sender)
    (first,) = must("sender", "send", tmp_path / "first", *data)["transfers"]
    with ends.index() as known, known.read() as db:
        rows = transfers.instances_of(db, first["id"])
    before = {row.sop_uid: (ends.receiver / "store" / row.path).read_bytes() for row in rows}
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    other = dcmread(tmp_path / "second" / files[0].name)
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(tmp_path / "second" / files[0].name, enforce_file_format=True)
    said = verb("sender", "send", tmp_path / "second", *data)
    (second,) = said.words["transfers"]
    assert said.code == SentOtherwise.exit_code
    assert (second["state"], second["held"]) == (TransferState.HELD, 0), "it has not left"
    must("sender", "release", second["id"], "--by", "院長", "--reason", "試験", *data)
    with ends.daemon(), ends.outbox() as box:
        until(lambda: box.transfer(second["id"]).state is TransferState.HELD, "it was refused")
        refused = box.transfer(second["id"])
    assert refused.error is not None
    assert refused.error["number"] == IntegrityError.number
    second = {"state": refused.state, "digests_equal": refused.digests_equal}
    assert (second["state"], second["digests_equal"]) == (TransferState.HELD, False)
    with ends.index() as known, known.read() as db:
        now = [transfers.instance(db, row.institution, row.sop_uid) for row in rows]
        after = {row.sop_uid: ends.receiver / "store" / row.path for row in now if row}
    assert {uid: path.read_bytes() for uid, path in after.items()} == before
    third = must("sender", "send", tmp_path / "first", *data)
    assert [t["state"] for t in third["transfers"]] == ["receipted"], "the same again is welcome"
