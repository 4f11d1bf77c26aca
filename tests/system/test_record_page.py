"""A record of a real transfer on paper, and what a reader did, heard over the real link."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pypdfium2
import pytest

from common.proof import record
from common.proof.identity import Node
from common.proof.role import Role
from common.settings import Sender
from receiver.facts import KnownFacts
from receiver.standings import Person, Standings
from receiver.worklist import Worklist
from sender import again
from sender.delivery import Delivery
from sender.partners import load_partners
from tests.system.ends import Ends, must, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(120)]


def read(path: Path) -> str:
    return str(pypdfium2.PdfDocument(path)[0].get_textpage().get_text_range())


@pytest.mark.requirement("EVD-01", "EVD-03", "UX-01", "SUB-10", "DIR-12")
def test_a_record_is_printed_and_a_reader_is_heard(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 7, slices=2, side=16)
    here = ("--data", ends.sender)
    (sent,) = must("sender", "send", tmp_path / "ct", *here)["transfers"]
    file, inside, outside = (tmp_path / name for name in ("r.json", "in.pdf", "out.pdf"))
    must("sender", "show", sent["id"], "--record", file, "--pdf", inside, *here)
    must("sender", "show", sent["id"], "--pdf", outside, "--view", "outside", *here)
    kept = json.loads(file.read_text("utf-8"))
    theirs = tmp_path / "theirs.pdf"
    must("receiver", "record", sent["id"], "--pdf", theirs, "--data", ends.receiver)
    for page in (inside, outside, theirs):
        assert record.name(kept["record"]) in "".join(read(page).split())
        assert "支援側が読み直した 2 件のMerkle根: 一致" in " ".join(read(page).split())
    patient = kept["subject"]["patient"]["PatientID"]
    assert patient in read(inside)
    assert patient not in read(outside)
    named = read(inside).split("氏名 ")[1].splitlines()[0]
    assert named in read(theirs)  # as the images here name it
    assert named not in read(outside)
    assert verb("sender", "show", sent["id"], "--pdf", inside, "--view", "x", *here).code == 2

    with ends.index() as index:
        known = Worklist(index, KnownFacts(ends.receiver / "store"))
        (row,) = (one for one in known.rows() if one["study_uid"] == sent["study_uid"])
        Standings(index).look(row["key"], Person("sato"))
    with ends.outbox() as outbox:
        (partner,) = load_partners(ends.sender)
        ours = outbox, Node.load(ends.sender, Role.REQUESTER), Sender.load(ends.sender)
        again.send_wanted(Delivery(*ours, partner, threading.Event()))
        assert outbox.readings()[sent["id"]]["opened"]
        assert outbox.transfer(sent["id"]).state == "opened"
        assert outbox.heard_until(partner.key)
    (line,) = must("sender", "report", "--month", sent["created"][:7], *here)["lines"]
    assert (line["countersigned"] >= 1, line["opened"] >= 1) == (True, True)
