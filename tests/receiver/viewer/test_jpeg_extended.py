"""JPEG of 12 bits, and what decoders and data sets differ in: the values are a reference's."""

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
from pydicom.pixels import pixel_array
from pydicom.uid import UID, JPEG2000Lossless, JPEGExtended12Bit

from tests.receiver.viewer import greys
from tests.receiver.viewer.robot import at_one_to_one, steady
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
        _coded(ds, bytes(coded), JPEGExtended12Bit)
        ds.LossyImageCompression = "01"

    return change


def _beyond(ds: pydicom.Dataset) -> None:
    """Ten bits in JPEG of twelve: beside hard edges it comes out brighter than the brightest."""
    y, x = np.mgrid[0 : greys.ROWS, 0 : greys.COLUMNS]
    values = np.where((x // 3 + y // 5) % 2, 1023, 300)
    greys.put(ds, values.astype(np.int32), signed=False)
    ds.BitsStored, ds.HighBit = 10, 9
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    greys.window(ds, 256, 896)
    coded = imagecodecs.jpeg_encode(values.astype(np.uint16), 60, bitspersample=12)
    _coded(ds, bytes(coded), JPEGExtended12Bit)


def _unsigned(ds: pydicom.Dataset) -> None:
    """JPEG 2000 of thirteen bits without signs, under a data set that says it has them."""
    y, x = np.mgrid[0 : greys.ROWS, 0 : greys.COLUMNS]
    values = np.clip(x + y - 128, -128, 127)
    greys.put(ds, values.astype(np.int32), signed=True)
    ds.BitsStored, ds.HighBit = 13, 12
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    greys.window(ds, 256, 0)
    bare = (values % (1 << 13)).astype(np.uint16)
    coded = imagecodecs.jpeg2k_encode(bare, codecformat="j2k", reversible=True, bitspersample=13)
    _coded(ds, bytes(coded), JPEG2000Lossless)


def _sizeless(ds: pydicom.Dataset) -> None:
    """JPEG 2000 of more tiles than there may be: a decoder gives an image of nothing for it."""
    _unsigned(ds)
    broken = bytearray(get_frame(ds.PixelData, 0))
    broken[8:12] = (0xDDE001).to_bytes(4, "big")  # Xsiz, XTsiz (ISO/IEC 15444-1 A.5.1)
    broken[24:28] = (1).to_bytes(4, "big")
    _coded(ds, bytes(broken), JPEG2000Lossless)


def _coded(ds: pydicom.Dataset, coded: bytes, syntax: UID) -> None:
    ds.PixelData = encapsulate([coded])
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = syntax


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Serve a study with a series for each kind; it is open on a page."""
    folder = tmp_path_factory.mktemp("extended")
    kinds = {kind: _instance(low) for kind, low in BEGINS.items()}
    kinds |= {"beyond": _beyond, "unsigned": _unsigned, "sizeless": _sizeless}
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
def test_brighter_than_the_brightest_is_the_brightest(shown: Shown) -> None:
    values = reference(shown.series("beyond"))
    over = values > 1023
    assert over.sum() > 100
    grey = np.clip(values, 0, 1023) - 768
    found = shown.picture()[..., 0].astype(int)
    assert np.abs(found - np.clip(grey, 0, 255)).max() <= NEAR
    assert found[over].min() == 255


@pytest.mark.requirement("RAD-02", "RAD-04")
def test_values_below_nothing_of_a_codestream_without_signs(shown: Shown) -> None:
    ds = shown.series("unsigned")
    values = pixel_array(ds, raw=True)
    assert (values.min(), values.max()) == (-128, 94)
    found = shown.picture()[..., 0].astype(int)
    assert np.abs(found - (values.astype(int) + 128)).max() <= 1
    assert shown.mark("u", (2.5, 1.5)) == ["-125 HU"]


@pytest.mark.requirement("RAD-02")
def test_an_image_of_no_size_is_words_and_leaves_the_next_one_whole(shown: Shown) -> None:
    """Left to the renderer it had made everything after it black, with its own corners."""
    page = shown.screen.page
    page.locator("button.thumb[title$=' sizeless']").click()
    chip = "document.querySelector('.load-chip')?.textContent ?? ''"
    shown.screen.until(f"({chip}).includes('表示できません')", "words in its place")
    ds = shown.series("unsigned")
    found = shown.picture()[..., 0].astype(int)
    assert np.abs(found - (pixel_array(ds, raw=True).astype(int) + 128)).max() <= 1


@pytest.mark.requirement("RAD-02")
@pytest.mark.skipif(DCMDJPEG is None, reason="DCMTK is not installed")
def test_dcmtk_decodes_the_same_values(shown: Shown, tmp_path: Path) -> None:
    """The reference is one that others are measured by."""
    for kind in BEGINS:
        path = shown.files[kind]
        plain = tmp_path / path.name
        subprocess.run([str(DCMDJPEG), path, plain], check=True, capture_output=True)
        assert np.array_equal(pydicom.dcmread(plain).pixel_array, reference(pydicom.dcmread(path)))


@pytest.mark.requirement("RAD-02", "RAD-04")
@pytest.mark.parametrize(
    "name", ["2_4TransferSyntax_1.2.840.10008.1.2.4.51", "6_8TransferSyntax_1.2.840.10008.1.2.4.53",
             "10_12TransferSyntax_1.2.840.10008.1.2.4.55"],
)  # fmt: skip
def test_real_files_of_twelve_bits(
    browser: Browser, real_data: Path, tmp_path: Path, name: str
) -> None:
    """Sequential, by spectrum, and fully progressive: one CT, at a window of 400 HU."""
    path = real_data / "dicom/cornerstone3D" / f"CTImage.dcm_JPEGProcess{name}.dcm"
    room = Room(tmp_path / "receiver")
    room.bring([path])
    context = browser.new_context(
        viewport={"width": 1920, "height": 1080}, locale="ja-JP", device_scale_factor=1
    )
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        key = screen.page.locator("tr.row").get_attribute("data-key")
        assert key is not None
        screen.open(key)
        assert at_one_to_one(screen)
        apart = steady(screen, path, 0)
        context.close()
    room.close()
    assert apart is not None
    assert apart <= NEAR
