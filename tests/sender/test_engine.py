"""The engine: what waits, and what does not wait for it."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

from common.proof.identity import Institution, Node
from common.proof.role import Role
from sender.engine import Engine, pause_before


def test_rules_that_are_half_saved_hold_up_only_what_needs_them(tmp_path: Path) -> None:
    Node.create(tmp_path, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    (tmp_path / "rules.toml").write_text('[[rule]]\nto = "asahi', "utf-8")
    source = tmp_path / "letter.txt"
    source.write_text("no image", "utf-8")
    with closing(Engine(tmp_path)) as engine:
        waits = engine.outbox.submit("", [source], {"source": "folder:in"})
        named = engine.outbox.submit("asahikawa", [source], {})
        enough = threading.Timer(20, engine.stop.set)
        enough.start()
        engine.run(lambda: engine.outbox.job(named).scanned)
        enough.cancel()
        assert engine.outbox.job(named).scanned
        assert not engine.outbox.job(waits).scanned
        assert [row["number"] for row in engine.outbox.refused(named)] == ["E-2002"]


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [pause_before(attempt, lambda: 1.0) for attempt in range(1, 10)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pause_before(3, lambda: 0.0) == 2
