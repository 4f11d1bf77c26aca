"""A scanner's folder watched by a real sender, whatever happens to its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tifffile
from sqlalchemy import select

from common.states import InstanceState, TransferState
from receiver import index, transfers
from receiver.facts import KnownFacts
from receiver.worklist import Worklist
from sender.doors.way import Way
from sender.watching import Watch
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, command, must, start, until, verb
from tests.system.line import Line

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
CSV = "ファイル名,患者ID,患者名,受付番号,染色,依頼内容\n"
SETTLE = ("--settle", 0.3)


def _slide(path: Path, **values: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    return Svs(label=False, macro=False, **values).write(path)


def _studies(ends: Ends, patient: str) -> list[dict[str, Any]]:
    with ends.index() as known:
        rows = Worklist(known, KnownFacts(ends.receiver / "store")).rows()
    return [row for row in rows if row["patient"]["id"] == patient]


def _states(ends: Ends, transfer: str) -> set[str]:
    with ends.index() as known, known.read() as db:
        mine = index.instances.c.transfer == transfer
        return set(db.execute(select(index.instances.c.state).where(mine)).scalars())


def _shown(ends: Ends, transfer: str) -> tuple[str, str]:
    """The state that the receiver has of a transfer, and the error that stopped it there."""
    with ends.index() as known, known.read() as db:
        row = transfers.known(db, transfer)
        stopped = json.loads(row.request).get("stopped", {})
        return str(row.state), str(stopped.get("number", ""))


@pytest.mark.requirement("UX-02", "WSI-09")
def test_slides_of_a_case_are_sent_once_with_their_request(ends: Ends, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    _slide(folder / "P26-9-A.svs", width=600, height=400)
    _slide(folder / "P26-9-B.svs", width=620, height=400)
    _slide(folder / "nobody.svs", width=640, height=400)
    lines = "".join(f"P26-9-{k}.svs,0077,山﨑 花子,P26-9,{k},良悪性の別\n" for k in "AB")
    (folder / "list.csv").write_bytes((CSV + lines).encode("cp932"))
    line = ("sender", "watch", folder, "--once", *SETTLE, "--data", ends.sender)
    said = verb(*line)
    assert said.code == 26, said.errors
    sent = [one for one in said.words["transfers"] if one["state"] == "receipted"]
    held = [one for one in said.words["transfers"] if one["state"] == "held"]
    assert [one["digests_equal"] for one in sent] == [True, True]
    assert [one["error"]["number"] for one in held] == ["E-2106"]
    (study,) = _studies(ends, "0077")
    assert study["patient"]["ideographic"] == "山﨑 花子"
    assert study["request"]["reason"] == "良悪性の別"
    assert study["arrived"] == study["expected"] > 10
    with ends.index() as known:
        whole = Worklist(known, KnownFacts(ends.receiver / "store")).study(study["key"])
    assert [one["description"] for one in whole["series"]] == ["A", "B"]
    must("sender", "request", held[0]["id"], "--patient-id", "0078", "--data", ends.sender)
    again = _watch_once(ends, folder)
    assert [(one["id"], one["state"]) for one in again["transfers"]] == [
        (held[0]["id"], "receipted")
    ]
    with ends.outbox() as box:
        assert len(box.jobs()) == 3 + 1  # the request file is one
    assert _watch_once(ends, folder)["transfers"] == [], "a third time there is nothing to send"


def _watch_once(ends: Ends, folder: Path) -> dict[str, Any]:
    """What the verb does, in this process."""
    (partner,) = (path.stem for path in (ends.sender / "partners").glob("*.json"))
    way = Way(folder, partner=partner, priority="routine", settle=0.3, hurried=True)
    return Watch(ends.sender, way, once=True).run(lambda _: None)


@pytest.fixture(scope="module")
def line(ends: Ends) -> Iterator[Line]:
    """The link's line, which stops where a test says."""
    with Line(ends.ports["link"], 2e6) as line, ends.through(link=line.port):
        yield line


@pytest.fixture(scope="module")
def scans(
    ends: Ends, line: Line, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A folder that `sender watch` watches until it is interrupted, which it takes well."""
    folder = Path(tmp_path_factory.mktemp("watched"))
    verb = ("sender", "watch", folder, *SETTLE, "--data", ends.sender, "--json")
    running = start(command(*verb), ends.folder / "watch.log")
    try:
        yield folder, running
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=30)
        assert running.returncode == 0
        assert json.loads(out)["folder"] == str(folder)
    finally:
        running.kill()


def _sending(ends: Ends, line: Line, folder: Path, name: str, patient: str) -> tuple[Path, Any]:
    """Begin to send a slide; return once its largest level has begun and no more goes over.

    Its last tiles have not been read then: at most twice as much is under way as has
    been answered, in batches that are small on a slow line.
    """
    (folder / f"{name}.csv").write_text(f"患者ID,受付番号\n{patient},{name}\n", "utf-8")
    line.hold_after(430_000)
    made = _slide(folder.parent / "made" / name, width=1800, height=1800, tile=256)
    path = made.rename(folder / f"{name}.svs")
    assert line.holding.wait(50), "the slide is not being sent"
    with ends.outbox() as box:
        (transfer,) = (t for t in box.transfers() if t.attributes["00100020"]["Value"] == [patient])
    return path, transfer


def _when(ends: Ends, transfer: str, state: TransferState) -> Any:
    with ends.outbox() as box:
        until(lambda: box.transfer(transfer).state is state, f"{transfer} is {state}")
        return box.transfer(transfer)


@pytest.mark.badinput(99, "slide that changes while it is sent")
@pytest.mark.parametrize(
    "kind",
    [
        "changes behind its date",
        pytest.param("grows", marks=pytest.mark.slow),
        pytest.param("is written over", marks=pytest.mark.slow),
        pytest.param("is cut", marks=pytest.mark.slow),
    ],
)
def test_a_slide_that_changes_while_it_is_sent_is_held_and_sent_anew(
    ends: Ends, line: Line, scans: tuple[Path, Any], kind: str
) -> None:
    name = kind.replace(" ", "-")
    path, first = _sending(ends, line, scans[0], name[:16], name)
    whole = path.read_bytes()
    if kind == "grows":
        path.write_bytes(whole + bytes(1000))
    elif kind == "changes behind its date":
        _flip_a_bit_of_the_last_tile(path)
    elif kind == "is written over":
        path.write_bytes(whole[:8] + os.urandom(len(whole) - 8))
    else:
        path.write_bytes(whole[: len(whole) // 3])
    line.go_on()
    with ends.outbox() as box:
        until(lambda: box.transfer(first.id).error is not None, "it is held in words")
        assert (box.transfer(first.id).error or {})["number"] in {"E-2005", "E-2108"}
    if kind in {"is written over", "is cut"}:
        path.write_bytes(whole)
    until(lambda: _shown(ends, first.id)[0] == "held", "the receiver's list says that it is held")
    kept = _when(ends, first.id, TransferState.FAILED)
    assert kept.error["number"] == "E-2108"
    assert InstanceState.VERIFIED not in _states(ends, first.id)
    with ends.outbox() as box:
        (second,) = (t for t in box.transfers() if t.study == first.study and t.id != first.id)
    assert _when(ends, second.id, TransferState.RECEIPTED).digests_equal
    assert _states(ends, second.id) == {InstanceState.VERIFIED}
    until(lambda: _shown(ends, first.id) == ("held", "E-2108"), "and why in the end")
    (study,) = _studies(ends, name)
    assert study["state"] == "held", "one slide of the case never became whole"


def _flip_a_bit_of_the_last_tile(path: Path) -> None:
    """As a share does that keeps old dates: size, date and file number are the same."""
    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages[0]
        at = page.dataoffsets[-1] + page.databytecounts[-1] // 2
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.badinput(99, "slide deleted while it is sent")
def test_a_slide_that_is_deleted_while_it_is_sent_is_held_and_goes_on_when_it_is_back(
    ends: Ends, line: Line, scans: tuple[Path, Any]
) -> None:
    path, transfer = _sending(ends, line, scans[0], "gone", "4711")
    away = path.rename(scans[0].parent / "away.svs")
    line.go_on()
    held = _when(ends, transfer.id, TransferState.HELD)
    assert held.error["number"] == "E-2110"
    assert path.name in held.error["ja"]
    assert InstanceState.VERIFIED not in _states(ends, transfer.id)
    until(lambda: _shown(ends, transfer.id) == ("held", "E-2110"), "the receiver says so")
    (study,) = _studies(ends, "4711")
    assert study["state"] == "held"
    assert study["arrived"] < study["expected"]
    assert study["request"]["stopped"]["number"] == "E-2110"
    away.rename(path)
    assert _when(ends, transfer.id, TransferState.RECEIPTED).digests_equal
    assert _states(ends, transfer.id) == {InstanceState.VERIFIED}
    (study,) = _studies(ends, "4711")
    assert study["arrived"] == study["expected"]
    assert study["state"] == "receipted"
    assert "stopped" not in study["request"]
