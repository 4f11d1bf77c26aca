"""TIFF of no scanner in particular: pixel sizes, tile sizes, codings, strips."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from pydicom import dcmread

from common.errors import SlideUnsupported
from sender.slides import open_slide
from tests.sender.slides.conftest import stored
from tests.sender.slides.reading import ATTESTED, joined
from tests.sender.slides.vendor_files import CASE, tiff_bytes, tissue


def written(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    known = {"photometric": "rgb", "tile": (64, 64), "metadata": None, "compression": "zlib"}
    tifffile.imwrite(path, pixels, **(known | options))
    return path


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        ((20_000, 20_000), "CENTIMETER", (0.5, 0.5)),
        ((101_600, 101_600), "INCH", (0.25, 0.25)),
        ((20_000, 40_000), "CENTIMETER", (0.5, 0.25)),
        ((72, 72), "INCH", None),  # what programs write when they know nothing
        ((20_000, 20_000), "NONE", None),
        ((0, 1000), "CENTIMETER", None),
        (None, None, None),
    ],
)
def test_the_pixel_size_is_that_of_the_resolution_or_none(
    tmp_path: Path,
    resolution: tuple[int, int] | None,
    unit: str | None,
    spacing: tuple[float, float] | None,
) -> None:
    known = {"resolution": resolution, "resolutionunit": unit} if resolution else {}
    path = written(tmp_path / "a.tif", tissue(100, 80), **known)
    if spacing is None:
        with pytest.raises(SlideUnsupported, match="pixel size"):
            open_slide(path, CASE)
        return
    with open_slide(path, CASE) as slide:
        read = dcmread(io.BytesIO(stored(slide.instances[0])))
    measures = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    # between rows first (PS3.3 10.7.1.3), the file says columns first
    assert measures.PixelSpacing == [spacing[1] / 1000, spacing[0] / 1000]
    assert read.ImagedVolumeHeight == pytest.approx(80 * spacing[1] / 1000)


# -- other shapes ----------------------------------------------------------------------


@pytest.mark.requirement("WSI-08")
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
def test_every_lossless_coding_is_decoded(
    tmp_path: Path, compression: str | None, *, predictor: bool
) -> None:
    pixels = tissue(150, 100)
    path = written(
        tmp_path / "a.tif", pixels, compression=compression,
        predictor=predictor if compression else None,
    )  # fmt: skip
    with open_slide(path, ATTESTED) as slide:
        assert (joined(slide.instances[0]) == pixels).all()


@pytest.mark.parametrize("tile", [(17, 23), (250, 240), (1, 600)])
def test_tiles_of_any_size(tmp_path: Path, tile: tuple[int, int]) -> None:
    width, height, pixels = 500, 300, tissue(600, 510)
    down, across = -(-height // tile[0]), -(-width // tile[1])
    parts = [np.zeros((*tile, 3), np.uint8) + pixels[:1, :1] for _ in range(down * across)]
    for i, part in enumerate(parts):
        y, x = divmod(i, across)
        seen = pixels[y * tile[0] : (y + 1) * tile[0], x * tile[1] : (x + 1) * tile[1]]
        part[: seen.shape[0], : seen.shape[1]] = seen
    size = parts[0].nbytes
    numbers = {256: width, 257: height, 322: tile[1], 323: tile[0], 259: 1, 262: 2, 277: 3}
    tags = {tag: (4, 1, value.to_bytes(4, "little")) for tag, value in numbers.items()}
    at = np.arange(len(parts), dtype="<u4") * size + (1 << 15)
    tags |= {
        258: (3, 3, b"\x08\0" * 3),
        324: (4, len(parts), at.tobytes()),
        325: (4, len(parts), np.full(len(parts), size, "<u4").tobytes()),
    }
    path = tmp_path / "odd.tif"
    path.write_bytes(tiff_bytes(tags).ljust(1 << 15, b"\0") + b"".join(p.tobytes() for p in parts))
    with open_slide(path, ATTESTED) as slide:
        (instance,) = slide.instances
        assert (instance.tile_rows, instance.tile_columns) == tile
        assert (joined(instance) == pixels[:height, :width]).all()


@pytest.mark.requirement("WSI-08")
@pytest.mark.parametrize("compression", ["lzw", "jpeg", None])
def test_a_picture_in_strips_is_cut_into_tiles(tmp_path: Path, compression: str | None) -> None:
    pixels = tissue(700, 601)
    path = written(tmp_path / "a.tif", pixels, tile=None, rowsperstrip=48, compression=compression)
    with open_slide(path, ATTESTED) as slide:
        (instance,) = slide.instances
        assert (instance.tile_columns, instance.tile_rows, instance.frames) == (512, 512, 4)
        assert (joined(instance) == tifffile.imread(path)).all()
        read = dcmread(io.BytesIO(stored(instance)))
    assert read.LossyImageCompression == ("01" if compression == "jpeg" else "00")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": np.uint16}, "samples of"),
        ({"grey": True}, "samples of"),
        ({"extratags": [(274, 3, 1, 6, False)]}, "turned"),
        ({"compression": "jpegxl"}, "JPEG XL"),
        ({"planarconfig": "separate"}, "samples of"),
        ({"predictor": 3, "compression": "zlib"}, "predictor"),
    ],
)
def test_other_kinds_are_refused_in_words(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    pixels = tissue(128, 128).astype(options.pop("dtype", np.uint8))
    predictor = options.pop("predictor", None)
    if options.pop("grey", False):
        pixels, options = pixels[..., 0], {"photometric": "minisblack"}
    if "planarconfig" in options:
        pixels = np.moveaxis(pixels, 2, 0)
    path = written(tmp_path / "a.tif", pixels, **options)
    if predictor:
        path.write_bytes(with_predictor(path, predictor))
    with pytest.raises(SlideUnsupported, match=said) as refused:
        open_slide(path, ATTESTED)
    assert "?" not in refused.value.words("ja")


def with_predictor(path: Path, predictor: int) -> bytes:
    """The file with another Predictor: one of its tags is renamed to it."""
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        entry = tiff.pages[0].aspage().tags["Software"]
    raw[entry.offset : entry.offset + 12] = (
        (317).to_bytes(2, "little") + b"\3\0\1\0\0\0" + bytes((predictor, 0, 0, 0))
    )
    return bytes(raw)


def test_what_is_no_level_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    common: dict[str, Any] = {"photometric": "rgb", "metadata": None, "compression": "zlib"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(tissue(90, 120), rowsperstrip=120, **common)  # a label, as it may be
        tiff.write(tissue(400, 300), tile=(64, 64), **common)
        tiff.write(tissue(200, 150), tile=(64, 64), **common)
        tiff.write(tissue(200, 150), tile=(64, 64), **common)
        tiff.write(tissue(100, 100), tile=(64, 64), **common)
    with open_slide(path, ATTESTED) as slide:
        assert [(i.columns, i.rows) for i in slide.instances] == [(200, 150), (400, 300)]
        assert len(slide.omitted) == 3


def test_a_jpeg_tile_that_names_its_colours_is_believed(tmp_path: Path) -> None:
    """Bio-Formats writes YCbCr in JFIF under a TIFF that says RGB."""
    pixels = tissue(128, 128)
    tile = bytes(imagecodecs.jpeg8_encode(pixels, level=90))
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            iter([tile]), shape=pixels.shape, dtype=np.uint8, tile=(128, 128), compression="jpeg",
            photometric="rgb", metadata=None, compressionargs={"outcolorspace": "RGB"},
        )  # fmt: skip
    with open_slide(path, ATTESTED) as slide:
        assert slide.instances[0].photometric == "YBR_FULL_422"
        assert slide.instances[0].frame(0) == tile
