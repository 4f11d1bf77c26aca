"""Nothing acknowledged is lost when the power goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver import buffers
from receiver.store import Store
from tests.system.ends import Ends
from tests.system.powercut.disk import Disk
from tests.system.powercut.foreign import orthanc, storescp
from tests.system.powercut.outbox_door import outbox_door
from tests.system.powercut.pushing import LARGE, SMALL
from tests.system.powercut.receiver_doors import Run, dicom_door, frames_door

pytestmark = [pytest.mark.system, pytest.mark.powercut, pytest.mark.timeout(900)]
FOREIGN = {"storescp": storescp, "Orthanc": orthanc}
DOORS = {"DICOM": dicom_door, "frames": frames_door, "outbox": outbox_door}
EVERYDAY = pytest.param(10, 1)
SLOW = [pytest.mark.slow, pytest.mark.timeout(3600)]
ALL = [pytest.param(50, 50, marks=SLOW), pytest.param(50, 0, marks=SLOW)]


@pytest.mark.requirement("DAT-08")
def test_both_ways_of_writing_a_file_are_cut(disk: Disk) -> None:
    """Past the page cache where it can be, through it for what is larger than a buffer."""
    assert Store(disk.inner / "store").direct
    assert SMALL * SMALL * 2 < buffers.SIZE < LARGE * LARGE * 2


@pytest.mark.requirement("DAT-08", "UX-06")
@pytest.mark.parametrize(("instants", "completed"), [EVERYDAY, *ALL])
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


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.parametrize("product", FOREIGN)
def test_the_same_cuts_show_what_other_products_lose(
    disk: Disk, paired: Ends, tmp_path: Path, product: str
) -> None:
    """No verdict on them: that they are seen to lose is what the harness is checked by."""
    run = Run(disk, paired, tmp_path, seed=10, instants=10)
    verdict = FOREIGN[product](run)
    print(verdict.words())
    assert sum(verdict.cuts.values()) == run.instants
    assert verdict.lost
