"""Storage Commitment between whole processes and Orthanc, in both roles, over mutual TLS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.free_ports import free_ports
from tests.system import peers
from tests.system.ends import Ends, must, until
from tests.system.objects import Object
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.peer, pytest.mark.timeout(180)]
CODE = "0112345710"


def modality(aet: str, port: int) -> dict[str, object]:
    return {"AET": aet, "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}


@pytest.mark.requirement("DCM-03", "DCM-11")
def test_orthanc_commits_to_what_we_sent(ends: Ends, tmp_path: Path) -> None:
    """It dials back: the door is there while `sender send` waits, and only then."""
    own = peers.own_identity(tmp_path)
    port, listen = free_ports(2)
    added = must(
        *("sender", "partner", "add", "orthanc", "--address", f"localhost:{port}"),
        *("--aet", "PEER", "--ca", own.ca, "--commit-listen", f"127.0.0.1:{listen}"),
        *("--data", ends.sender),
    )
    assert added["commit"]
    assert added["commit_listen"] == f"127.0.0.1:{listen}"
    identity = replace(own, ca=Path(added["file"]).with_suffix(".ca.crt"))
    write_series(tmp_path / "ct", seed=21, slices=5)
    known = {"sender": modality(added["calling_aet"], listen)}
    with peers.orthanc(tmp_path, port, identity, "PEER", known) as client:
        words = must("sender", "send", tmp_path / "ct", "--to", "orthanc", "--data", ends.sender)
        assert len(client.get("/instances").json()) == 5
    (transfer,) = words["transfers"]
    assert (transfer["state"], transfer["error"]) == ("committed", None)
    assert transfer["state_ja"] == "保管確約"
    until(lambda: not peers._listens(listen), "its door is gone with it")


@pytest.mark.requirement("DCM-03", "DCM-11")
def test_orthanc_asks_us(ends: Ends, tmp_path: Path) -> None:
    """It hangs up after its request: the report is dialled to the address of its entry."""
    (port,) = free_ports(1)
    folder = ends.folder / "ORTHANC"
    added = must(
        *("receiver", "partner", "add", "ORTHANC", "--aet", "ORTHANC", "--code", CODE),
        *("--issue", folder, "--commit-address", f"127.0.0.1:{port}", "--data", ends.receiver),
    )
    assert added["commit_address"] == f"127.0.0.1:{port}"
    identity = peers.Identity(folder / f"{CODE}.key", folder / f"{CODE}.crt", folder / "ca.crt")
    files = write_series(tmp_path / "ct", seed=22, slices=3)
    known = {"todoke": modality("TODOKE", ends.ports["dicom"])}
    with peers.orthanc(tmp_path, port, identity, "ORTHANC", known) as client:
        names = [
            client.post("/instances", content=path.read_bytes()).json()["ID"] for path in files
        ]
        sent = client.post("/modalities/todoke/store", json=names[:2], timeout=60)
        assert sent.status_code == 200, sent.text
        asked = client.post(
            "/modalities/todoke/storage-commitment", json={"Resources": names}, timeout=60
        )
        assert asked.status_code == 200, asked.text
        where = f"/storage-commitment/{asked.json()['ID']}"

        def report() -> Any:
            return client.get(where).json()

        until(lambda: report()["Status"] != "Pending", "the report came")
        said = report()
    assert said["Status"] == "Failure"
    uids = [one.sop_uid for path in files if (one := Object.read(path))]
    assert {one["SOPInstanceUID"] for one in said["Success"]} == set(uids[:2])
    (failed,) = said["Failures"]
    assert (failed["SOPInstanceUID"], failed["FailureReason"]) == (uids[2], 0x0112)
