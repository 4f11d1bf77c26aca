"""Lossy JPEG of 12 bits: the values that are shown are those of a reference decoder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from playwright.sync_api import Browser
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEGExtended12Bit

from tests.receiver.viewer import greys
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_colours import Shown

pytestmark = [
    pytest.mark.browser,
    pytest.mark.readingroom,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
#: Of 4096: the inverse DCT of the page's decoder and of libjpeg-turbo (DCMTK's gives the same
#: values) are both whole numbers, and round apart by one, in hard edges by two; ISO/IEC 10918-2
#: lets a decoder be one off in each coefficient.  The window has one grey for each value, and
#: its own rounding is one of 255.
NEAR = 3
DCMDJPEG = shutil.which("dcmdjpeg")
#: The lowest values, those about the level shift, and the highest: each on all of the greys.
BEGINS = {"lowest": 0, "middle": 1920, "highest": 3840}


def _instance(low: int) -> greys.Change:
    def change(ds: pydicom.Dataset) -> None:
        y, x = np.mgrid[0 : greys.ROWS, 0 : greys.COLUMNS]
        values = np.clip(low + x + y, low, low + 255)
        values[40:56, 16:32], values[40:56, 48:64] = low, low + 255
        greys.put(ds, values.astype(np.int32), signed=False)
        ds.BitsStored, ds.HighBit = 12, 11
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        greys.window(ds, 256, low + 128 - 1024)
        coded = imagecodecs.jpeg_encode(values.astype(np.uint16), 90, bitspersample=12)
        ds.PixelData = encapsulate([bytes(coded)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = JPEGExtended12Bit
        ds.LossyImageCompression = "01"

    return change


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Serve a study with a series for each kind; it is open on a page."""
    folder = tmp_path_factory.mktemp("extended")
    kinds = {kind: _instance(low) for kind, low in BEGINS.items()}
    files = greys.write(folder, kinds)
    room = Room(folder / "receiver")
    key = room.open_study(Instances(files))
    room.bring(files)
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        screen.open(key)
        yield Shown(screen, dict(zip(kinds, files, strict=True)))
        context.close()
    room.close()


def reference(ds: pydicom.Dataset) -> npt.NDArray[np.int32]:
    """Return the stored values, rows x columns, by libjpeg-turbo."""
    values = np.asarray(imagecodecs.jpeg_decode(get_frame(ds.PixelData, 0)))
    assert values.dtype == np.uint16
    return values.astype(np.int32)


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.parametrize("kind", BEGINS)
def test_each_value_is_that_of_a_reference_decoder(shown: Shown, kind: str) -> None:
    ds = shown.series(kind)
    values = reference(ds)
    grey = np.clip(values - BEGINS[kind], 0, 255)
    assert np.ptp(grey) > 250
    found = shown.picture()[..., 0].astype(int)
    assert np.abs(found - grey).max() <= NEAR
    for x, y in ((24.5, 48.5), (56.5, 48.5), (100.5, 20.5)):
        (said,) = shown.mark("u", (x, y))
        assert said.endswith(" HU")
        assert abs(int(said.split()[0].replace("−", "-")) + 1024 - values[int(y), int(x)]) <= 2


@pytest.mark.requirement("RAD-02")
@pytest.mark.skipif(DCMDJPEG is None, reason="DCMTK is not installed")
def test_dcmtk_decodes_the_same_values(shown: Shown, tmp_path: Path) -> None:
    """The reference is one that others are measured by."""
    for path in shown.files.values():
        plain = tmp_path / path.name
        subprocess.run([str(DCMDJPEG), path, plain], check=True, capture_output=True)
        assert np.array_equal(pydicom.dcmread(plain).pixel_array, reference(pydicom.dcmread(path)))
