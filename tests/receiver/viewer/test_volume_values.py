"""MPR of a series with a Modality LUT: the planes hold values, not what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence

from samples import ct, names
from tests.receiver.viewer import greys
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.slow,
    pytest.mark.timeout(180),
]
WIDTH, CENTER = 20000, 32000


def _looked_up(path: Path) -> None:
    """Give an image values by a table that no line is near."""
    ds = pydicom.dcmread(path)
    stored = ds.pixel_array.astype(np.int32)
    greys.put(ds, np.clip(stored + 1024, 0, 4095), signed=False, bits=12)
    del ds.RescaleSlope, ds.RescaleIntercept
    curve = (65535 * np.linspace(0, 1, 3000) ** 0.4).astype(np.int64)
    ds.ModalityLUTSequence = Sequence([greys.table(500, curve, 16)])
    ds.ModalityLUTSequence[0].ModalityLUTType = "US"
    greys.window(ds, WIDTH, CENTER)
    ds.save_as(path)


@pytest.mark.requirement("RAD-04")
def test_planes_are_cut_through_the_values_of_the_modality_lut(page: Page, tmp_path: Path) -> None:
    study = ct.write_series(tmp_path, names.TAKAHASHI, count=5)
    files = sorted((tmp_path / study.folder).rglob("*.dcm"))
    for path in files:
        _looked_up(path)
    room = Room(tmp_path / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    with room.serve() as address:
        screen = Screen(page, address)
        screen.sign_in()
        screen.open(key)
        screen.press("m")
        screen.until("window.__todoke.view.mpr === true", "the volume")
        axial = screen.pixels("canvas[data-face='axial']")[..., 0]
        ds = pydicom.dcmread(files[2])
        z = [float(pydicom.dcmread(path).ImagePositionPatient[2]) for path in files]
        assert sorted(z)[2] == z[2]  # the middle slice is the third file
        values = apply_modality_lut(ds.pixel_array, ds)
        low = CENTER - 0.5 - (WIDTH - 1) / 2
        wanted = np.clip((values - low) / (WIDTH - 1) * 255, 0, 255)
        assert wanted.std() > 10
        assert axial.shape == wanted.shape
        assert np.abs(axial - wanted).max() <= 1
        page.goto("about:blank")
    room.close()
