"""Studies handed to the hospital's certified viewer or PACS: to agreed targets, as they came."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from common import durable
from common.dicom import dataset
from common.errors import ImageDamaged, NoTestForwarded, TargetNotAgreed
from common.free_ports import free_ports
from common.proof.identity import Node
from common.states import TransferState
from receiver import forward_targets, forwarding, index
from receiver.cli import app as receiver
from receiver.forward_ways import sound
from receiver.forwarder import TRIES
from tests.receiver.filled import NORTH, USER, client, ct_image
from tests.receiver.handing import Handing
from tests.receiver.test_standings import SATO
from tests.system import peers
from tests.system.ends import until


@contextmanager
def pacs(folder: Path, port: int, node: Node, *options: str) -> Iterator[tuple[Path, Path]]:
    """DCMTK's storescp with TLS that trusts our node; gives its output and its CA."""
    folder.mkdir(exist_ok=True)
    identity = peers.own_identity(folder)
    authority = folder / "authority.crt"
    authority.write_text(identity.ca.read_text())
    identity.ca.write_text(node.ca)
    contexts = [(str(one.SOPClassUID), "1.2.840.10008.1.2.1") for one in [ct_image("x", 1)]]
    with peers.storescp(folder, port, identity, contexts, *options) as out:
        yield out, authority


def digests(out: Path) -> dict[str, str]:
    """D1 by SOP Instance UID of the files that a target wrote."""
    found = {}
    for path in out.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            part = dataset.read_part10(path)
            data = path.read_bytes()[part.offset :]
            found[part.sop_instance_uid] = hashlib.sha256(data).hexdigest()
    return found


@pytest.mark.peer
@pytest.mark.requirement("REG-02", "PRI-06")
def test_a_pacs_gets_a_study_as_it_came_over_tls_with_a_receipt(
    handing: Handing, tmp_path: Path
) -> None:
    key, (port,) = handing.filled.ct(count=4), free_ports(1)
    with pacs(tmp_path / "pacs", port, handing.node, "+B") as (out, ca):
        handing.dicom(port, ca)
        handing.ask(key)
        handing.forwarder.look()
        assert handing.state(key) == ("done", 4, 4)
        assert digests(out) == {row.sop_uid: row.d1 for row in handing.rows()}
    receipt = handing.receipt(key)
    assert [(one["status"], one["d1"]) for one in receipt["instances"]] == [
        (0, row.d1) for row in handing.rows()
    ]
    assert receipt["connection"]["tls"] == "TLSv1.3"
    assert receipt["asked"]["by"] == SATO.name
    noted = [facts for event, facts in handing.trail.said if event == "forwarded"]
    assert [(one["what"], one["outcome"], one["study"]) for one in noted] == [
        ("asked", "ok", key),
        ("done", "ok", key),
    ]


@pytest.mark.peer
@pytest.mark.requirement("REG-02")
def test_a_pacs_that_is_away_is_tried_again_and_given_up_with_words(handing: Handing) -> None:
    key, (port,) = handing.filled.ct(count=1), free_ports(1)
    handing.dicom(port)
    handing.ask(key)
    for number in range(1, TRIES):
        handing.forwarder.look()
        assert (handing.state(key)[0], handing.error(key)) == ("waiting", "E-6001")
        handing.forwarder.look()  # not due
        assert forwarding.of_study(handing.filled.index, key)[0]["tries"] == number
        handing.wait(600)
    handing.forwarder.look()
    assert handing.state(key)[0] == "failed"
    failed = [facts for _, facts in handing.trail.said if facts.get("what") == "failed"]
    assert [one["cause"] for one in failed] == ["E-6001"]
    handing.ask(key)
    assert handing.state(key)[0] == "waiting", "asked again, it is tried again"


@pytest.mark.peer
@pytest.mark.requirement("REG-02")
def test_what_the_pacs_does_not_take_is_never_called_forwarded(
    handing: Handing, tmp_path: Path
) -> None:
    """The target knows no CT: it refuses the presentation context, and the words say so."""
    key, (port,) = handing.filled.ct(count=2), free_ports(1)
    folder = tmp_path / "pacs"
    folder.mkdir()
    identity = peers.own_identity(folder)
    authority = folder / "authority.crt"
    authority.write_text(identity.ca.read_text())
    identity.ca.write_text(handing.node.ca)
    other = [("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")]
    with peers.storescp(folder, port, identity, other) as out:
        handing.dicom(port, authority)
        handing.ask(key)
        handing.forwarder.look()
        assert handing.state(key) == ("failed", 0, 2)
        assert handing.error(key) == "E-6007"
        assert digests(out) == {}
        assert not forwarding.receipts(handing.filled.index, handing.ask(key))


@pytest.mark.requirement("REG-02")
def test_a_folder_gets_whole_files_that_read_back_equal(handing: Handing) -> None:
    key = handing.filled.ct(count=3)
    handing.ask(key, "inbox")
    handing.forwarder.look()
    assert handing.state(key) == ("done", 3, 3)
    assert digests(handing.folder) == {row.sop_uid: row.d1 for row in handing.rows()}
    stored = {handing.filled.store.path(row.path).read_bytes() for row in handing.rows()}
    assert {path.read_bytes() for path in handing.folder.rglob("*.dcm")} == stored
    assert {one["status"] for one in handing.receipt(key)["instances"]} == {None}


@pytest.mark.requirement("REG-02")
def test_a_share_that_is_not_mounted_is_not_made(handing: Handing) -> None:
    key = handing.filled.ct(count=1)
    handing.folder.rmdir()
    handing.ask(key, "inbox")
    handing.forwarder.look()
    assert (handing.state(key)[0], handing.error(key)) == ("waiting", "E-4562")
    assert not handing.folder.exists()
    handing.folder.mkdir()
    handing.wait(60)
    handing.forwarder.look()
    assert handing.state(key)[0] == "done"


@pytest.mark.requirement("PRI-06")
def test_only_targets_of_the_agreed_list(handing: Handing) -> None:
    key = handing.filled.ct(count=1)
    with pytest.raises(TargetNotAgreed):
        handing.ask(key, "elsewhere")
    handing.ask(key, "inbox")
    forward_targets.remove(handing.filled.index, "inbox", "abe", handing.trail.note)
    handing.forwarder.look()
    assert (handing.state(key)[0], handing.error(key)) == ("failed", "E-4560")
    assert list(handing.folder.iterdir()) == []
    settings = [facts["value"] for event, facts in handing.trail.said if event == "setting"]
    assert settings == ["inbox", "removed"], "who changes the list is on record"


@pytest.mark.requirement("REG-02")
def test_a_damaged_image_never_leaves(handing: Handing) -> None:
    """Neither by file nor by the wire; the others go, and it goes when it is mended."""
    key = handing.filled.ct(count=3)
    row = handing.rows()[1]
    path = handing.filled.store.path(row.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    handing.ask(key, "inbox")
    handing.forwarder.look()
    assert handing.state(key) == ("waiting", 2, 3)
    assert handing.error(key) == "E-4103"
    assert row.sop_uid not in digests(handing.folder)
    assert not list(handing.folder.rglob(".*.part"))
    with handing.filled.index.read() as db:
        suspects = db.execute(select(index.suspects.c.instance)).scalars().all()
    assert suspects == [row.id], "whoever judges damage is told"
    path.write_bytes(whole)
    handing.wait(60)
    handing.forwarder.look()
    assert handing.state(key) == ("done", 3, 3)


@pytest.mark.peer
@pytest.mark.requirement("REG-02")
def test_a_pacs_never_has_a_damaged_image_whole(handing: Handing, tmp_path: Path) -> None:
    """Larger than one piece: part of it is on the wire when it is found to differ."""
    images = [ct_image("large", number) for number in (1, 2)]
    for one in images:
        one.Rows, one.Columns, one.PixelData = 1024, 1024, bytes(2 << 20)
    key = handing.filled.open(images)
    handing.filled.arrive(images)
    handing.filled.verify(key)
    row = handing.rows()[0]
    path = handing.filled.store.path(row.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\1")
    (port,) = free_ports(1)
    with pacs(tmp_path / "pacs", port, handing.node, "+B") as (out, ca):
        handing.dicom(port, ca)
        handing.ask(key)
        handing.forwarder.look()
        assert handing.state(key)[0] == "waiting"
        assert digests(out).get(row.sop_uid) is None
        path.write_bytes(whole)
        handing.wait(60)
        handing.forwarder.look()
        assert handing.state(key) == ("done", 2, 2)
        assert digests(out) == {one.sop_uid: one.d1 for one in handing.rows()}


@pytest.mark.requirement("REG-02")
def test_the_end_of_a_data_set_is_held_back_until_it_is_known(tmp_path: Path) -> None:
    path, whole = tmp_path / "large", bytes(3 << 20)
    path.write_bytes(whole)
    fd = durable.open_file(path)
    said = fd, 0, len(whole)
    try:
        right = sound(*said, hashlib.sha256(whole).hexdigest())
        assert sum(map(len, right)) == len(whole)
        given: list[bytes] = []
        with pytest.raises(ImageDamaged):
            given.extend(sound(*said, hashlib.sha256(b"").hexdigest()))
        assert sum(map(len, given)) < len(whole)
    finally:
        os.close(fd)


@pytest.mark.requirement("REG-02")
def test_what_comes_later_follows_and_is_waited_for(handing: Handing) -> None:
    images = [ct_image("late", number) for number in (1, 2, 3)]
    key = handing.filled.open(images)
    handing.filled.arrive(images[:2])
    handing.ask(key, "inbox")
    handing.forwarder.look()
    assert handing.state(key) == ("waiting", 0, 3), "not compared with the sender's digests yet"
    handing.filled.verify(key)
    handing.forwarder.look()
    assert handing.state(key) == ("waiting", 2, 3)
    handing.filled.arrive(images[2:])
    handing.filled.verify(key)
    handing.forwarder.look()
    assert handing.state(key) == ("done", 3, 3)
    more = [ct_image("late", 4)]
    assert handing.filled.open(more) == key
    handing.filled.arrive(more)
    handing.filled.verify(key)
    handing.forwarder.look()
    assert handing.state(key) == ("done", 4, 4), "after it was done, too"
    assert len(forwarding.receipts(handing.filled.index, handing.ask(key, "inbox"))) == 2


def test_a_test_study_goes_to_no_system_for_diagnosis(handing: Handing) -> None:
    key = handing.filled.ct(count=1)
    with handing.filled.index.write() as db:
        db.execute(update(index.transfers).values(test=True))
    with pytest.raises(NoTestForwarded):
        handing.ask(key, "inbox")


def test_what_was_recalled_stays(handing: Handing) -> None:
    key = handing.filled.ct(count=1)
    handing.ask(key, "inbox")
    with handing.filled.index.write() as db:
        db.execute(update(index.transfers).values(state=TransferState.RECALLED))
    handing.forwarder.look()
    assert (handing.state(key)[0], handing.error(key)) == ("failed", "E-4564")
    assert list(handing.folder.iterdir()) == []


@pytest.mark.requirement("REG-02")
def test_rules_forward_what_fits_from_then_on(handing: Handing) -> None:
    before = handing.filled.ct("before", count=1)
    said = handing.filled.index, "inbox"
    with handing.filled.index.write() as db:
        db.execute(update(index.transfers).values(opened_at="2020-01-01T00:00:00.000+00:00"))
    forward_targets.add_rule(*said, "CT", NORTH[1], "abe", handing.trail.note)
    forward_targets.add_rule(*said, "MR", None, "abe", handing.trail.note)
    after = handing.filled.ct("after", count=2)
    other = handing.filled.ct("other", "0110000034", count=1)
    handing.forwarder.look()
    assert handing.state(after) == ("done", 2, 2)
    assert forwarding.of_study(handing.filled.index, after)[0]["by"] == ""
    for key in (before, other):
        assert forwarding.of_study(handing.filled.index, key) == []


_LOOK = """
import sys
from pathlib import Path
from common.settings import Receiver
from receiver.forwarder import Forwarder
from receiver.index import Index
data = Path(sys.argv[1])
Forwarder.of(Index.at(data), data, Receiver()).look()
"""


@pytest.mark.peer
@pytest.mark.system
@pytest.mark.requirement("REG-02")
@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_from_the_index(handing: Handing, tmp_path: Path) -> None:
    key, (port,) = handing.filled.ct(count=5), free_ports(1)
    with pacs(tmp_path / "pacs", port, handing.node, "+B", "--sleep-after", "1") as (out, ca):
        handing.dicom(port, ca)
        handing.ask(key)
        line = [sys.executable, "-c", _LOOK, str(handing.filled.data)]
        running = subprocess.Popen(line)
        try:
            until(lambda: handing.state(key)[1] > 0, "an answer is kept")
        finally:
            running.kill()
            running.wait(30)
        state, sent, total = handing.state(key)
        assert state == "sending"
        assert 0 < sent < total == 5
        assert not forwarding.receipts(handing.filled.index, handing.ask(key))
    with pacs(tmp_path / "pacs2", port, handing.node, "+B") as (again, ca):
        handing.dicom(port, ca)
        handing.forwarder.look()
        assert handing.state(key) == ("done", 5, 5)
        both = digests(out) | digests(again)
        assert both == {row.sop_uid: row.d1 for row in handing.rows()}
        assert len(digests(again)) <= 5 - sent, "what was answered does not go out again"
    assert len(handing.receipt(key)["instances"]) == 5


def test_readers_ask_at_the_door_and_see_how_far_it_is(handing: Handing) -> None:
    filled = handing.filled
    filled.user()
    key = filled.ct(count=2)
    with filled.serve() as address, client(address) as reader:
        names = reader.get("/api/forward-targets").json()
        assert names == {"targets": [{"name": "inbox", "kind": "folder"}]}, "no path, no host"
        path = f"/api/studies/{key}/forwards"
        refused = reader.post(path, json={"target": "elsewhere"})
        assert (refused.status_code, refused.json()["error"]["number"]) == (409, "E-4560")
        assert reader.post(path, json={"target": ["inbox"]}).status_code == 400
        assert reader.post(path, json={"target": "inbox"}).status_code == 201
        (row,) = reader.get("/api/worklist").json()["rows"]
        assert row["forward"]["state"] == "waiting"
        handing.forwarder.look()
        (row,) = reader.get("/api/worklist").json()["rows"]
        assert (row["forward"]["state"], row["forward"]["by"]) == ("done", USER)
        (one,) = reader.get(path).json()["forwards"]
        assert (one["sent"], one["total"], one["receipts"]) == (2, 2, 1)


def test_the_verbs_keep_the_list_and_forward(handing: Handing, tmp_path: Path) -> None:
    key = handing.filled.ct(count=1)
    data = ["--data", str(handing.filled.data), "--json"]

    def run(*words: str) -> Any:
        done = CliRunner().invoke(receiver, ["forward", *words, *data])
        return done.exit_code, json.loads(done.stdout or "{}")

    folder = tmp_path / "second"
    folder.mkdir()
    by = ["--operator", "abe"]
    add = ["target", "add", "second", "--folder", str(folder), *by]
    assert run(*add, "--agreed", " ")[0] == 2
    assert run(*add, "--agreed", "契約8")[0] == 0
    names = [one["name"] for one in run("target", "list")[1]["targets"]]
    assert names == ["inbox", "second"]
    code, rule = run("rule", "add", "second", "--modality", "CT", *by)
    assert code == 0
    assert run("rule", "list")[1]["rules"][0]["modality"] == "CT"
    assert run("rule", "remove", str(rule["rule"]), *by)[0] == 0
    code, made = run("study", key, "--to", "second", "--by", "sato")
    assert code == 0
    assert run("receipt", made["forward"])[0] == 21, "nothing has been sent yet"
    handing.forwarder.look()
    (one,) = run("list")[1]["forwards"]
    assert (one["state"], one["recalled"]) == ("done", False)
    assert len(run("receipt", made["forward"])[1]["receipts"]) == 1
    assert run("target", "remove", "second", *by)[0] == 0
    assert run("study", key, "--to", "second", "--by", "sato")[0] == 2
