"""Nothing acknowledged is lost when the power goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.ends import Ends
from tests.system.powercut.disk import Disk
from tests.system.powercut.outbox_door import outbox_door
from tests.system.powercut.receiver_doors import Run, dicom_door, frames_door

pytestmark = [pytest.mark.system, pytest.mark.powercut, pytest.mark.timeout(900)]


DOORS = {"DICOM": dicom_door, "frames": frames_door, "outbox": outbox_door}
EVERYDAY = pytest.param(10, 1)
ALL = pytest.param(50, 50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


@pytest.mark.requirement("DAT-08", "UX-06")
@pytest.mark.parametrize(("instants", "completed"), [EVERYDAY, ALL])
@pytest.mark.parametrize("door", DOORS)
def test_nothing_acknowledged_is_lost(
    disk: Disk, paired: Ends, tmp_path: Path, door: str, instants: int, completed: int
) -> None:
    verdict = DOORS[door](
        Run(disk, paired, tmp_path, seed=instants, instants=instants, completed=completed)
    )
    print(verdict.words())
    assert not verdict.red, verdict.words()
    assert sum(verdict.cuts.values()) == instants
    assert verdict.completed == completed
    assert verdict.checked > instants, "something had been acknowledged before each"
