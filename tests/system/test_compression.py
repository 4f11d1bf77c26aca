"""Compressed on the way and proven equal: between whole ends, with a receipt."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from common import link
from common.dicom.samples import HTJ2K, JPEG_LS
from common.proof import jws
from common.proof.identity import Node
from common.proof.role import Role
from receiver import transfers
from receiver.store import Store
from tests.system.ends import Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def smooth_series(folder: Path, seed: int, slices: int = 6) -> list[Path]:
    """A series that compresses."""
    files = write_series(folder, seed, slices=slices, side=64)
    for number, path in enumerate(files):
        ds = dcmread(path)
        ds.PixelData = (np.indices((64, 64)).sum(axis=0) + number).astype("<u2").tobytes()
        ds.save_as(path)
    return files


def choose(ends: Ends, compression: str) -> None:
    """Write the sender's setting; a core is not spared, for there may be one only."""
    path = ends.sender / "sender.toml"
    lines = path.read_text("utf-8").splitlines() if path.exists() else ["version = 1"]
    kept = [line for line in lines if not line.startswith(("compression", "spare_cores"))]
    path.write_text("\n".join([*kept, f'compression = "{compression}"', "spare_cores = 0", ""]))


def send(ends: Ends, folder: Path) -> str:
    """Send and wait for the receipt; return the transfer."""
    (sent,) = must("sender", "send", folder, "--data", ends.sender)["transfers"]
    assert (sent["state"], sent["digests_equal"]) == ("receipted", True)
    return str(sent["id"])


def held(ends: Ends, transfer: str) -> list[Any]:
    """Rows of the receiver's index."""
    with ends.index() as known, known.read() as db:
        return list(transfers.instances_of(db, transfer))


@pytest.mark.requirement("DIR-06", "DIR-07")
@pytest.mark.parametrize(("compression", "syntax"), [("htj2k", HTJ2K), ("jpegls", JPEG_LS)])
def test_a_study_is_stored_coded_and_receipted_by_its_samples(
    ends: Ends, tmp_path: Path, compression: str, syntax: str
) -> None:
    files = smooth_series(tmp_path / "ct", 3)
    choose(ends, compression)
    transfer = send(ends, tmp_path / "ct")
    rows = held(ends, transfer)
    assert {row.transfer_syntax for row in rows} == {syntax}
    sources = {str(dcmread(path).SOPInstanceUID): path for path in files}
    for row in rows:
        stored = dcmread(ends.receiver / "store" / row.path)
        source = dcmread(sources[row.sop_uid])
        for ds in (stored, source):
            del ds.PixelData
        assert stored == source
        assert row.length < sources[row.sop_uid].stat().st_size / 2
    with ends.outbox() as box:
        assert {i.sent_as for i in box.instances(transfer)} == {syntax}
        receipt = box.statement(transfer, "receipt")
        closing = box.statement(transfer, "closing")
    certificates = [Node.load(end, role).signing_certificate for end, role in
                    ((ends.sender, Role.REQUESTER), (ends.receiver, Role.SUPPORTER))]  # fmt: skip
    said = link.read_closing(jws.verify(closing or "", certificates[0]))
    answered = link.read_receipt(jws.verify(receipt or "", certificates[1]))
    of = {one.uid: one for one in answered.instances}
    for ours in said.instances:
        theirs = of[ours.uid]
        assert ours.d1 != theirs.d1
        assert (ours.syntax, ours.d3, ours.rest) == (theirs.syntax, theirs.d3, theirs.rest)


@pytest.mark.requirement("DIR-10")
@pytest.mark.parametrize(
    ("first", "second"), [("htj2k", "off"), ("off", "jpegls"), ("jpegls", "htj2k")]
)
def test_the_same_study_again_is_welcome_in_any_coding(
    ends: Ends, tmp_path: Path, first: str, second: str
) -> None:
    smooth_series(tmp_path / "ct", 4, slices=3)
    choose(ends, first)
    before = held(ends, send(ends, tmp_path / "ct"))
    aside = Store(ends.receiver / "store").set_aside
    there = set(aside.iterdir())
    choose(ends, second)
    after = held(ends, send(ends, tmp_path / "ct"))
    assert [(r.path, r.d1) for r in after] == [(r.path, r.d1) for r in before], "what came first"
    assert set(aside.iterdir()) == there, "nothing was taken for other content"


@pytest.mark.requirement("DAT-05")
def test_other_samples_of_its_uid_are_no_same_study(ends: Ends, tmp_path: Path) -> None:
    (path,) = smooth_series(tmp_path / "ct", 5, slices=1)
    choose(ends, "htj2k")
    (row,) = held(ends, send(ends, tmp_path / "ct"))
    shutil.copytree(tmp_path / "ct", tmp_path / "other")
    changed = dcmread(path)
    values = np.frombuffer(changed.PixelData, "<u2").copy()
    values[77] ^= 1
    changed.PixelData = values.tobytes()
    changed.save_as(tmp_path / "other" / path.name)
    for compression in ("htj2k", "jpegls", "off"):
        choose(ends, compression)
        said = verb("sender", "send", tmp_path / "other", "--data", ends.sender)
        assert said.words["transfers"][0]["digests_equal"] is False
    with ends.index() as known, known.read() as db:
        now = transfers.instance(db, row.institution, row.sop_uid)
    assert now is not None
    assert (now.path, now.d1) == (row.path, row.d1)


BAD = """
from sender.compression import splice
right = splice._encoders
splice._encoders = lambda: {s: (lambda frame, e=e: e(frame ^ 1)) for s, e in right().items()}
"""


@pytest.mark.requirement("DIR-07")
def test_what_arrived_with_other_samples_is_sent_again_as_it_was(
    ends: Ends, tmp_path: Path
) -> None:
    files = smooth_series(tmp_path / "ct", 7, slices=3)
    choose(ends, "htj2k")
    aside = Store(ends.receiver / "store").set_aside
    there = set(aside.iterdir())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sitecustomize.py").write_text(BAD)
    path = os.pathsep.join([str(tmp_path / "bad"), os.environ.get("PYTHONPATH", "")])
    words = ("sender", "send", tmp_path / "ct", "--data", ends.sender)
    said = verb(*words, env={**os.environ, "PYTHONPATH": path})
    (sent,) = said.words["transfers"]
    assert (said.code, sent["state"], sent["digests_equal"]) == (0, "receipted", True)
    assert len(set(aside.iterdir()) - there) == len(files), "what differed is kept aside"
    rows = held(ends, sent["id"])
    assert {row.transfer_syntax for row in rows} == {link.NATIVE}
    with ends.outbox() as box:
        assert {i.sent_as for i in box.instances(sent["id"])} == {link.NATIVE}


def test_what_cannot_be_coded_goes_as_it_was(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "noise", 6, slices=2, side=32)
    choose(ends, "htj2k")
    rows = held(ends, send(ends, tmp_path / "noise"))
    assert {row.transfer_syntax for row in rows} == {link.NATIVE}
