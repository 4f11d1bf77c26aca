"""A receiver with agreed targets, and what hands studies to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from common.proof import jws
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.settings import Receiver
from receiver import forward_targets, forwarding, index
from receiver.forwarder import Forwarder
from receiver.forwarding import Forwarding
from tests.receiver.filled import RECEIVER, Filled
from tests.receiver.test_standings import SATO, Trail


@dataclass
class Handing:
    """A receiver with agreed targets and what hands studies to them, look by look."""

    filled: Filled
    node: Node
    forwarder: Forwarder
    folder: Path
    trail: Trail = field(default_factory=Trail)
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def ask(self, key: str, target: str = "viewer", **more: Any) -> str:
        return Forwarding(self.filled.index, self.trail.note).ask(key, SATO, target, **more)

    def state(self, key: str) -> tuple[str, int, int]:
        one = forwarding.of_study(self.filled.index, key)[0]
        return one["state"], one["sent"], one["total"]

    def error(self, key: str) -> str:
        error = forwarding.of_study(self.filled.index, key)[0]["error"]
        return str(error["number"]) if error else ""

    def dicom(self, port: int, ca: Path | None = None) -> None:
        """Agree on a DICOM target."""
        target = forward_targets.dicom("viewer", f"localhost:{port}", "PACS", ca, "契約7", "abe")
        forward_targets.add(self.filled.index, target, self.trail.note)

    def wait(self, seconds: float) -> None:
        """Let the clock go on."""
        self.moment += timedelta(seconds=seconds)

    def rows(self) -> list[Any]:
        with self.filled.index.read() as db:
            return list(db.execute(select(index.instances).order_by(index.instances.c.id)))

    def receipt(self, key: str) -> dict[str, Any]:
        one = forwarding.of_study(self.filled.index, key)[0]
        texts = forwarding.receipts(self.filled.index, one["id"])
        found: dict[str, Any] = jws.verify(texts[-1], self.node.signing_certificate)
        return found


@pytest.fixture
def handing(tmp_path: Path) -> Iterator[Handing]:
    filled = Filled(tmp_path / "receiver")
    where = Institution(*RECEIVER, "北海道")
    node = Node.create(filled.data, where, Role.SUPPORTER, hosts=["localhost"])
    folder = tmp_path / "inbox"
    folder.mkdir()
    made = Handing(filled, node, Forwarder.of(filled.index, filled.data, Receiver()), folder)
    made.forwarder.note = made.trail.note
    made.forwarder._clock = lambda: made.moment
    target = forward_targets.folder("inbox", folder, "手順書3", "abe")
    forward_targets.add(filled.index, target, made.trail.note)
    yield made
    filled.close()
