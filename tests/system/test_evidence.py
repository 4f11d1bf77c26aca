"""Evidence records over a real line: made, countersigned, numbered, anchored, kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.proof import jws, record
from tests.system.ends import Ends, must
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(120)]


def written(ends: Ends, transfer: str, path: Path, *more: object) -> dict[str, Any]:
    must("sender", "show", transfer, "--record", path, *more, "--data", ends.sender)
    return dict(json.loads(path.read_text("utf-8")))


@pytest.mark.requirement("EVD-01", "EVD-06", "EVD-09", "DIR-15", "AUD-03")
def test_a_transfer_ends_with_a_record_that_both_ends_signed(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 1, slices=3, side=32)
    data = ("--data", ends.sender)
    (sent,) = must("sender", "send", tmp_path / "ct", *data)["transfers"]
    file = written(ends, sent["id"], tmp_path / "record.json")
    said = record.read_record(jws.verify(file["record"], file["certificates"]["sender"]))
    below = record.read_countersignature(
        jws.verify(file["countersignature"], file["certificates"]["receiver"])
    )
    assert (said.number, said.before, said.state) == (1, "", "receipted")
    assert below.record == record.name(file["record"])
    assert (below.count, below.root) == (3, record.root(file["instances"]))
    print(json.dumps(record.words(said), indent=1, ensure_ascii=False))
