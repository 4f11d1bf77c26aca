"""The sender as it runs in a hospital: a modality door, a watched folder, rules, and verbs."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from common.errors import NoRoute
from common.states import TransferState
from sender.outbox import Transfer
from tests.system.ends import Ends, command, first_object, must, start, until, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
LAN = "127.0.0.1"
LISTENING = "0A"  # state of a socket in /proc/net/tcp


@pytest.fixture(scope="module")
def watched(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Doors by setting: devices, a watched folder, and a rule for one of each."""
    folder = Path(tmp_path_factory.mktemp("watched")) / "mri"
    folder.mkdir()
    settings = ends.sender / "sender.toml"
    text = settings.read_text("utf-8")
    for key, value in (("modality_bind", LAN), ("modality_port", 0), ("watch", [str(folder)])):
        (line,) = (one for one in text.splitlines() if one.startswith(f"{key} ="))
        text = text.replace(line, f"{key} = {json.dumps(value)}")
    settings.write_text(text, "utf-8")
    for aet in ("CT1", "CT/2"):
        must("sender", "modality", "add", aet, "--address", LAN, "--data", ends.sender)
    must("sender", "modality", "add", "FAR", "--address", "192.0.2.7", "--data", ends.sender)
    (partner,) = (ends.sender / "partners").glob("*.json")
    rules = [("modality:CT1", "urgent"), ("folder:mri", "soon")]
    (ends.sender / "rules.toml").write_text(
        "".join(
            f'[[rule]]\nfrom = "{source}"\nmodality = ["CT"]\nto = "{partner.stem}"\n'
            f'priority = "{priority}"\n'
            for source, priority in rules
        ),
        "utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def quick() -> dict[str, str]:
    """A shorter wait by the environment, which wins over the file."""
    return {**os.environ, "TODOKE_SENDER_SETTLE_SECONDS": "1"}


@pytest.fixture
def port(ends: Ends, watched: Path, quick: dict[str, str]) -> Iterator[int]:
    """Run the daemon; gives the port of its modality door."""
    with ends.daemon(quick) as words:
        assert words["watch"] == [str(watched)]
        assert words["modality"]["address"] == LAN
        yield int(words["modality"]["port"])


def _store(port: int, aet: str, files: list[Path], *, abort: bool = False) -> list[int]:
    """Hand files over as a device does; return the statuses."""
    device = AE(ae_title=aet)
    device.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = device.associate(LAN, port, ae_title="ANY-SCP")
    if not association.is_established:
        return []
    statuses = [int(association.send_c_store(dcmread(path)).Status) for path in files]
    if abort:
        association.abort()
    else:
        association.release()
    return statuses


def _study(files: list[Path]) -> str:
    return str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)


def _transfers(ends: Ends, study: str) -> list[Transfer]:
    with ends.outbox() as box:
        return [t for t in box.transfers() if t.study == study]


def _ended(ends: Ends, study: str) -> Transfer:
    """Wait until the one transfer of a study has ended or is held."""

    def at_rest() -> bool:
        rows = _transfers(ends, study)
        return bool(rows) and all(t.finished or t.state == TransferState.HELD for t in rows)

    until(at_rest, f"the study {study} is at rest")
    (transfer,) = _transfers(ends, study)
    return transfer


def _alerts(ends: Ends) -> list[str]:
    trail = ends.sender / "audit" / "modality.jsonl"
    rows = [json.loads(line) for line in trail.read_text("utf-8").splitlines()]
    return [str(row["cause"]) for row in rows if row["event"] == "security-alert"]


@pytest.mark.requirement("PRI-02", "UX-04")
def test_a_device_hands_a_study_over_and_the_rule_says_to_whom(
    ends: Ends, port: int, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "study", 1, slices=3, side=32)
    assert _store(port, "CT1", files) == [0, 0, 0]
    transfer = _ended(ends, _study(files))
    assert transfer.state is TransferState.RECEIPTED
    assert transfer.priority == "urgent"
    with ends.outbox() as box:
        assert len(box.instances(transfer.id)) == 3


@pytest.mark.requirement("DAT-08")
def test_success_is_said_when_the_file_is_in_the_spool(
    ends: Ends, watched: Path, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "study", 2, slices=2, side=32)
    # nothing comes to rest within this test, so the spool alone can hold what was acknowledged
    slow = {**os.environ, "TODOKE_SENDER_SETTLE_SECONDS": "600"}
    line = command("sender", "run", "--data", ends.sender, "--json")
    running = start(line, ends.folder / "sender.log", slow)
    try:
        port = int(first_object(running)["modality"]["port"])
        assert _store(port, "CT1", files, abort=True) == [0, 0]
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=10)
    spooled = list((ends.sender / "spool" / "arriving").rglob("*.dcm"))
    pixels = {bytes(dcmread(path).PixelData) for path in spooled}
    assert {bytes(dcmread(path).PixelData) for path in files} <= pixels
    assert not _transfers(ends, _study(files))


@pytest.mark.requirement("UX-06", "DAT-08")
def test_a_daemon_killed_between_spool_and_job_goes_on(
    ends: Ends, watched: Path, quick: dict[str, str], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "study", 3, slices=2, side=32)
    slow = {**os.environ, "TODOKE_SENDER_SETTLE_SECONDS": "600"}
    line = command("sender", "run", "--data", ends.sender, "--json")
    running = start(line, ends.folder / "sender.log", slow)
    try:
        port = int(first_object(running)["modality"]["port"])
        assert _store(port, "CT1", files) == [0, 0]
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=10)
    # killed after the study was taken and before a job knew it
    spool = ends.sender / "spool"
    (folder,) = (
        p for p in (spool / "arriving").iterdir()
        if any(_study([f]) == _study(files) for f in p.iterdir())
    )  # fmt: skip
    folder.rename(spool / "taken" / f"{folder.name}.0a0b0c0d")
    (spool / "incoming" / "cut.dcm").write_bytes(b"half")
    with ends.daemon(quick):
        transfer = _ended(ends, _study(files))
    assert transfer.state is TransferState.RECEIPTED
    assert transfer.priority == "urgent", "it is still known which device gave it"
    assert not (spool / "incoming" / "cut.dcm").exists(), "never acknowledged"


@pytest.mark.requirement("PRI-02")
def test_what_no_rule_names_is_held_until_a_person_says_where(
    ends: Ends, port: int, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "study", 4, slices=1, side=32)
    assert _store(port, "CT/2", files) == [0]
    held = _ended(ends, _study(files))
    assert held.state is TransferState.HELD
    assert held.error is not None
    assert held.error["number"] == NoRoute.number
    assert "modality:CT/2 CT" in held.error["ja"]
    data = ("--data", ends.sender)
    assert verb("sender", "release", held.id, "--by", " ", "--reason", "x", *data).code == 2
    who = ("--by", "院長", "--reason", "電話で確認")
    assert verb("sender", "release", held.id, *who, *data).code == 2, "to whom?"
    (partner,) = (ends.sender / "partners").glob("*.json")
    said = must("sender", "release", held.id[:8], *who, "--to", partner.stem, *data)
    assert said == {"id": held.id, "state": "queued"}
    until(lambda: _ended(ends, held.study).finished is not None, "it is sent")
    sent = _ended(ends, held.study)
    assert sent.state is TransferState.RECEIPTED
    assert sent.request["released"]["by"] == "院長"
    assert verb("sender", "release", held.id, *who, *data).code == 2, "it is held no more"


@pytest.mark.requirement("NET-10", "NET-06")
@pytest.mark.parametrize("aet", ["STRANGER", "FAR"])
def test_an_unknown_device_or_address_is_refused_and_audited(
    ends: Ends, port: int, tmp_path: Path, aet: str
) -> None:
    before = len(_alerts(ends))
    files = write_series(tmp_path / "study", 5, slices=1, side=32)
    assert _store(port, aet, files) == []
    assert _alerts(ends)[before:] == [f"AE title and address: {aet}"]
    assert not _transfers(ends, _study(files))


@pytest.mark.requirement("SUB-09", "NET-10")
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's own list is asked")
def test_the_sender_listens_on_no_address_but_the_named_one(
    ends: Ends, watched: Path, quick: dict[str, str]
) -> None:
    line = command("sender", "run", "--data", ends.sender, "--json")
    for bind, expected in ((LAN, 1), ("", 0)):
        env = {**quick, "TODOKE_SENDER_MODALITY_BIND": bind}
        running = start(line, ends.folder / "sender.log", env)
        try:
            words = first_object(running)
            listening = _listening(running.pid)
        finally:
            running.terminate()
            running.communicate(timeout=30)
        assert len(listening) == expected
        if expected:
            assert listening == [(LAN, words["modality"]["port"])]
    everywhere = {**quick, "TODOKE_SENDER_MODALITY_BIND": "0.0.0.0"}
    refused = verb("sender", "run", "--data", ends.sender, env=everywhere)
    assert refused.code == 2
    assert "0.0.0.0" in refused.words["error"]["ja"]


def _listening(pid: int) -> list[tuple[str, int]]:
    """Ask the kernel where a process listens."""
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for row in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
            columns = row.split()
            if columns[3] == LISTENING and columns[9] in own:
                words, port = columns[1].split(":")
                groups = [words[i : i + 8] for i in range(0, len(words), 8)]
                packed = b"".join(bytes.fromhex(group)[::-1] for group in groups)
                found.append((socket.inet_ntop(family, packed), int(port, 16)))
    return found


# -- the watched folder -------------------------------------------------------


@pytest.mark.requirement("DIR-01")
def test_a_folder_is_sent_when_it_lies_still_and_nothing_odd_in_it(
    ends: Ends, watched: Path, port: int, tmp_path: Path
) -> None:
    outside = write_series(tmp_path / "outside", 6, slices=1, side=32)
    whole = write_series(tmp_path / "case", 7, slices=2, side=32)
    growing = whole[1].read_bytes()
    case = watched / "case"
    case.mkdir()
    (case / "linked.dcm").symlink_to(outside[0])
    (watched / "linked").symlink_to(outside[0].parent)
    (watched / "linked-file.dcm").symlink_to(outside[0])
    os.mkfifo(case / "pipe")
    (case / ".hidden.dcm").write_bytes(b"half")
    (case / "1.dcm").write_bytes(whole[0].read_bytes())
    with (case / "2.dcm").open("ab") as file:
        end = time.monotonic() + 2.5  # longer than a folder has to lie still
        step = 0

        def grow() -> bool:
            nonlocal step
            file.write(growing[step : step + 8])
            file.flush()
            step += 8
            return time.monotonic() > end

        until(grow, "it has grown for a while")
        assert not _transfers(ends, _study(whole)), "it waits while a file grows"
        file.write(growing[step:])
    transfer = _ended(ends, _study(whole))
    assert transfer.state is TransferState.RECEIPTED
    assert transfer.priority == "soon"
    with ends.outbox() as box:
        assert len(box.instances(transfer.id)) == 2
        assert box.refused(transfer.job) == []
    assert not _transfers(ends, _study(outside)), "no link is followed"


def test_a_file_that_is_gone_before_it_is_read_is_told_and_stops_nobody(
    ends: Ends, watched: Path, quick: dict[str, str], tmp_path: Path
) -> None:
    files = write_series(tmp_path / "study", 8, slices=2, side=32)
    (watched / "gone").mkdir()
    gone = watched / "gone" / "1.dcm"
    with ends.outbox() as box:  # as the door does, a moment before the file goes
        job = box.submit("", [gone, files[1], watched / "gone"], {"source": "folder:mri"})
    (watched / "gone").rmdir()
    with ends.daemon(quick):
        transfer = _ended(ends, _study(files))
    assert transfer.state is TransferState.RECEIPTED
    with ends.outbox() as box:
        refused = {row["path"]: row["number"] for row in box.refused(job)}
    assert set(refused) == {str(gone), str(watched / "gone")}


def test_a_source_that_changed_since_it_was_read_is_held(ends: Ends, tmp_path: Path) -> None:
    files = write_series(tmp_path / "study", 9, slices=2, side=32)
    data = ("--data", ends.sender)
    with ends.through(link=1, dicom=1):  # nobody there: it is read and stays owed
        sending = ends.send(tmp_path)
        until(lambda: bool(_transfers(ends, _study(files))), "it is in the outbox")
        sending.terminate()
        sending.communicate(timeout=30)
    (transfer,) = _transfers(ends, _study(files))
    changed = dcmread(files[1])
    changed.PixelData = bytes(len(changed.PixelData))
    changed.save_as(files[1], enforce_file_format=True)
    with ends.daemon():
        held = _ended(ends, transfer.study)
    assert held.state is TransferState.HELD
    assert held.error is not None
    assert held.error["number"] == "E-2005"
    assert held.digests_equal is not True
    shown = must("sender", "show", transfer.id[:8], *data)
    assert shown["digests_equal"] is False
    assert verb("sender", "retry", "0" * 32, *data).code == 21


# -- the verbs ----------------------------------------------------------------

TRANSFER_KEYS = (
    *("id", "job", "partner", "kind", "state", "state_ja", "state_en", "priority", "purpose"),
    *("study_uid", "test", "requested", "prior", "withdrawn"),
    *("instances", "held", "of", "bytes_held", "bytes", "digests_equal"),
    *("attempts", "error", "judgement", "direct_ja", "direct_en", "notes", "basis"),
    *("created", "started", "delivered", "finished", "reader"),
)


@pytest.mark.requirement("UX-01")
def test_status_show_and_retry_speak_json(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "study", 10, slices=2, side=32)
    data = ("--data", ends.sender)
    (sent,) = must("sender", "send", tmp_path, *data)["transfers"]
    assert tuple(sent) == TRANSFER_KEYS
    status = must("sender", "status", *data)
    assert status["running"] is False
    assert sent in status["transfers"]
    shown = must("sender", "show", sent["id"][:8], *data)
    assert shown["receipt"].count(".") == 2
    assert [list(i) for i in shown["instances"]] == 2 * [
        ["uid", "acked", "of", "length", "d1", "path", "role"]
    ]
    assert [i["acked"] for i in shown["instances"]] == [1, 1]
    again = verb("sender", "retry", sent["id"], *data)
    assert again.code == 2, "what is receipted is not sent again"
    with ends.daemon():
        assert must("sender", "status", *data)["running"] is True
    assert verb("sender", "show", "%", *data).code == 21
