"""A running receiver hands a study that came over the link to DCMTK, killed in the middle."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.dicom import dataset
from common.free_ports import free_ports
from common.proof.identity import Node
from common.proof.role import Role
from receiver import forward_targets, forwarding, index
from receiver.forwarding import Forwarding
from receiver.index import Index
from receiver.standings import Person
from tests.system import peers
from tests.system.ends import DEADLINE, Ends, until
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.peer, pytest.mark.slow]


@pytest.mark.requirement("REG-02")
def test_a_receiver_killed_while_it_forwards_goes_on(ends: Ends, tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", 7, slices=6)
    with ends.send(*files) as sending:
        sending.communicate(timeout=DEADLINE)
    assert sending.returncode == 0, (ends.folder / "sender.log").read_text("utf-8")
    folder = tmp_path / "pacs"
    folder.mkdir()
    identity, authority = peers.own_identity(folder), folder / "authority.crt"
    authority.write_text(identity.ca.read_text())
    identity.ca.write_text(Node.load(ends.receiver, Role.SUPPORTER).ca)
    (port,) = free_ports(1)
    with contextlib.closing(Index.at(ends.receiver)) as known:
        rows = _rows(known)
        contexts = {(row.sop_class, row.transfer_syntax) for row in rows}
        target = forward_targets.dicom(
            "pacs", f"localhost:{port}", "PACS", authority, "契約7", "abe"
        )
        forward_targets.add(known, target)
        with known.read() as db:
            (key,) = db.execute(select(index.studies.c.key)).scalars()

        def now() -> dict[str, Any]:
            return forwarding.of_study(known, key)[0]

        slow = "+B", "--sleep-after", "1"
        with peers.storescp(folder, port, identity, contexts, *slow) as out:
            Forwarding(known).ask(key, Person("sato"), "pacs")
            until(lambda: now()["sent"] > 0, "an answer is kept", DEADLINE)
            ends.kill_receiver()
            assert now()["state"] == "sending"
            ends.start_receiver()
            until(lambda: now()["state"] == "done", "all is handed off", 2 * DEADLINE)
        found = {}
        for path in out.iterdir():
            part = dataset.read_part10(path)
            data = path.read_bytes()[part.offset :]
            found[part.sop_instance_uid] = hashlib.sha256(data).hexdigest()
        assert found == {row.sop_uid: row.d1 for row in rows}


def _rows(known: Index) -> list[Any]:
    with known.read() as db:
        return list(db.execute(select(index.instances)))
