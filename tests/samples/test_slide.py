from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from tifffile import TiffPage

from common.dicom.testmark import is_test_description
from samples.make import Made
from samples.pixelcode import read_code
from samples.slide import QUICK_SIZE

QuickSet = tuple[Path, list[Made]]
TILES = {"rgb": 240, "ycbcr": 256}
PHOTOMETRIC = {"rgb": 2, "ycbcr": 6}


def slide_path(quick_set: QuickSet, colour: str) -> Path:
    (found,) = (quick_set[0] / "slide").glob(f"*-{colour}.svs")
    return found


@pytest.mark.requirement("TST-02")
@pytest.mark.parametrize("colour", ["rgb", "ycbcr"])
def test_openslide_takes_it_for_an_aperio_slide(quick_set: QuickSet, colour: str) -> None:
    with openslide.OpenSlide(slide_path(quick_set, colour)) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.properties["openslide.objective-power"] == "20"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.499)
        assert slide.level_dimensions == (QUICK_SIZE, (QUICK_SIZE[0] // 4, QUICK_SIZE[1] // 4))
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert slide.color_profile is not None
        assert is_test_description(slide.properties["tiff.ImageDescription"])


@pytest.mark.parametrize("colour", ["rgb", "ycbcr"])
def test_tiles_are_bare_streams_as_in_real_files(quick_set: QuickSet, colour: str) -> None:
    path = slide_path(quick_set, colour)
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page, *_, label, macro = [page for page in tiff.pages if isinstance(page, TiffPage)]
        assert len(tiff.pages) == 5
        assert page.jpegtables is not None
        assert page.tilewidth == page.tilelength == TILES[colour]
        assert page.photometric == PHOTOMETRIC[colour]
        assert page.jpegtables.startswith(b"\xff\xd8\xff\xdb")
        assert page.jpegtables.endswith(b"\xff\xd9")
        file.seek(page.dataoffsets[0])
        tile = file.read(page.databytecounts[0])
        assert tile.startswith(b"\xff\xd8\xff\xc0")  # SOF right after SOI: no APP0, APP14, DQT
        ids = tile[12:21:3]
        assert ids == (b"\x00\x01\x02" if colour == "rgb" else b"\x01\x02\x03")
        assert label.compression == tifffile.COMPRESSION.LZW
        assert label.subfiletype == 1
        assert macro.subfiletype == 9


@pytest.mark.parametrize("colour", ["rgb", "ycbcr"])
def test_tissue_has_the_colours_of_h_and_e_on_white_glass(quick_set: QuickSet, colour: str) -> None:
    with openslide.OpenSlide(slide_path(quick_set, colour)) as slide:
        corner = np.asarray(slide.read_region((20, 20), 0, (100, 100)).convert("RGB"))
        whole = np.asarray(slide.get_thumbnail((750, 550)).convert("RGB")).astype(int)
    assert corner.min() > 225
    red, green, blue = (whole[..., channel] for channel in range(3))
    pink = (red > blue + 10) & (blue > green + 10)
    dark = (blue > red + 15) & (red < 150)
    glass = whole.min(axis=2) > 225
    assert pink.mean() > 0.15
    assert dark.mean() > 0.002
    assert glass.mean() > 0.2


@pytest.mark.parametrize("colour", ["rgb", "ycbcr"])
def test_levels_show_the_same_picture(quick_set: QuickSet, colour: str) -> None:
    with openslide.OpenSlide(slide_path(quick_set, colour)) as slide:
        fine = slide.read_region((1000, 800), 0, (800, 800)).convert("RGB").reduce(4)
        here, beside = (
            slide.read_region((x, 800), 1, (200, 200)).convert("RGB") for x in (1000, 1004)
        )
    error, error_beside = (
        np.abs(np.asarray(fine).astype(int) - np.asarray(small).astype(int)).mean()
        for small in (here, beside)
    )
    assert error < 9  # grey values of 255: JPEG on fine texture
    assert error < 0.6 * error_beside  # a shift by one pixel is noticed


def test_label_carries_the_code_and_no_name(quick_set: QuickSet) -> None:
    for made in quick_set[1]:
        if made.kind != "slide":
            continue
        with openslide.OpenSlide(quick_set[0] / made.path) as slide:
            label = np.asarray(slide.associated_images["label"].convert("RGB"))
        assert read_code(label) == (made.code, 1)
        content = (quick_set[0] / made.path).read_bytes()
        for group in made.patient["name"].split("="):
            assert group.encode() not in content
