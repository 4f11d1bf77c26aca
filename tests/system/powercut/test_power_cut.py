"""Nothing acknowledged is lost when the power goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.ends import Ends
from tests.system.powercut.disk import Disk
from tests.system.powercut.receiver_doors import Run, dicom_door, frames_door

pytestmark = [pytest.mark.system, pytest.mark.powercut, pytest.mark.timeout(300)]


@pytest.mark.requirement("DAT-08")
def test_dicom_door(disk: Disk, paired: Ends, tmp_path: Path) -> None:
    verdict = dicom_door(Run(disk, paired, tmp_path, seed=1, instants=10, completed=1))
    print(verdict.words())
    assert not verdict.red, verdict.words()


@pytest.mark.requirement("DAT-08")
def test_frames_door(disk: Disk, paired: Ends, tmp_path: Path) -> None:
    verdict = frames_door(Run(disk, paired, tmp_path, seed=1, instants=10, completed=1))
    print(verdict.words())
    assert not verdict.red, verdict.words()
