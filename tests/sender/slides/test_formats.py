"""Every TIFF kind beyond Aperio's JPEG: what lies in the file is what travels, or equals it."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pydicom
import pytest
import tifffile
from pydicom import dcmread

from common.errors import SlideUnreadable, SlideUnsupported, SourceChanged
from samples.formats import FORMS, PLANE_UM, PLANES, SIZE, UM, write_formats
from sender.slides import Slide, encoded, open_slide
from tests.sender.slides.conftest import stored
from tests.sender.slides.reading import ATTESTED, frames_of, joined, pages_of
from tests.sender.slides.vendor_files import CASE

REENCODED = ("tiff-deflate", "one-level-lzw")
STORED = tuple(form.name for form in FORMS if form.name not in REENCODED)
LEVELS = [(1100, 840), (550, 420), (275, 210)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each format."""
    folder = tmp_path_factory.mktemp("formats")
    paths = [path for path, _ in write_formats(folder, 3)]
    return {form.name: path for form, path in zip(FORMS, paths, strict=True)}


def prove_bytes(slide: Slide, source: Path) -> int:
    """Hold every tile of the file against every frame, by SHA-256; return how many there were."""
    proven = 0
    with tifffile.TiffFile(source) as tiff:
        for instance in slide.instances:
            if instance.flavor != "VOLUME":
                continue
            places = [
                place
                for page in pages_of(tiff, instance.columns, instance.rows)
                for place in zip(page.dataoffsets, page.databytecounts, strict=True)
            ]
            assert len(places) == instance.frames
            for i, (frame, (offset, count)) in enumerate(
                zip(frames_of(instance), places, strict=True)
            ):
                if not count:
                    assert i in instance.unscanned
                    continue
                tiff.filehandle.seek(offset)
                tile = tiff.filehandle.read(count)
                added = len(instance.prefix)
                bare = tile[2:] if added else tile  # the prefix brings the start marker
                assert hashlib.sha256(frame[added:]).digest() == hashlib.sha256(bare).digest()
                proven += 1
    return proven


@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize("name", STORED)
def test_each_frame_is_the_tile_of_the_source(made: dict[str, Path], name: str) -> None:
    with open_slide(made[name], ATTESTED) as slide:
        assert {i.encoding for i in slide.instances} == {"stored"}
        assert slide.test
        assert prove_bytes(slide, made[name]) >= 24 - 1


@pytest.mark.requirement("WSI-03", "WSI-08")
@pytest.mark.parametrize("name", REENCODED)
def test_tiles_coded_again_are_equal_pixel_by_pixel(made: dict[str, Path], name: str) -> None:
    with open_slide(made[name], CASE) as slide, tifffile.TiffFile(made[name]) as tiff:
        for instance in slide.instances:
            assert (instance.encoding, instance.photometric) == ("reencoded", "RGB")
            (page,) = pages_of(tiff, instance.columns, instance.rows)
            assert (joined(instance) == page.asarray()).all()
            read = dcmread(io.BytesIO(stored(instance)))
            assert read.LossyImageCompression == "00"
            assert "again" in read.DerivationDescription


@pytest.mark.requirement("WSI-01")
@pytest.mark.parametrize(
    ("name", "levels"),
    [
        *((n, LEVELS) for n in ("svs-j2k-rgb", "tiff-jpeg", "bigtiff-j2k", "odd-tiles", "ome")),
        ("one-level-lzw", [(550, 420)]),
        ("ome-z", LEVELS[1:]),
    ],
)
def test_levels_and_their_pixel_size(
    made: dict[str, Path], name: str, levels: list[tuple[int, int]]
) -> None:
    with open_slide(made[name], CASE) as slide:
        found = sorted(slide.instances, key=lambda i: i.level or 0)
        assert [(i.columns, i.rows) for i in found] == levels
        assert [i.spacing_um for i in found] == [UM, 2 * UM, 4 * UM][: len(levels)]
        assert slide.instances == tuple(reversed(found))  # the smallest is wanted first


PHOTOMETRIC = {"svs-j2k-rgb": "YBR_ICT", "svs-j2k-ycbcr": "YBR_FULL", "bigtiff-j2k": "RGB"}


@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize("name", PHOTOMETRIC)
def test_colours_of_jpeg_2000_are_those_of_the_source(made: dict[str, Path], name: str) -> None:
    """Photometric Interpretation says what the stream holds, so that every reader is right."""
    with open_slide(made[name], CASE) as slide:
        base = slide.instances[-1]
        read = dcmread(io.BytesIO(stored(base)))
    assert read.PhotometricInterpretation == PHOTOMETRIC[name]
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.JPEG2000
    assert (read.LossyImageCompression, read.LossyImageCompressionMethod) == ("01", "ISO_15444_1")
    assert (
        read.PixelData[read.PixelData.index(b"\xff\x4f\xff\x51") - 8 :][:4] == b"\xfe\xff\x00\xe0"
    )
    seen = read.pixel_array[:4].astype(int)
    if name.startswith("svs"):  # OpenSlide knows both of Aperio's kinds
        source = openslide.OpenSlide(made[name])
        expected = [
            np.asarray(source.read_region((256 * i, 0), 0, (256, 256)).convert("RGB"))
            for i in range(4)
        ]
    else:
        with tifffile.TiffFile(made[name]) as tiff:
            whole = tiff.pages[0].asarray()
        expected = [whole[:256, 256 * i : 256 * i + 256] for i in range(4)]
    difference = np.abs(seen - np.array(expected).astype(int))
    assert difference.max() <= 2  # two ways from YCbCr to RGB may round apart
    assert difference.mean() < 0.5


@pytest.mark.requirement("WSI-01")
@pytest.mark.parametrize("name", ["tiff-deflate", "tiff-jpeg", "odd-tiles", "bigtiff-j2k", "ome"])
def test_openslide_reads_the_same_pixels_on_every_level(
    made: dict[str, Path], tmp_path: Path, name: str
) -> None:
    with open_slide(made[name], CASE) as slide:
        for number, instance in enumerate(slide.instances):
            (tmp_path / f"{number}.dcm").write_bytes(stored(instance))
    opened = openslide.OpenSlide(tmp_path / "0.dcm")
    assert opened.level_dimensions == tuple(LEVELS)
    assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(UM)
    with tifffile.TiffFile(made[name]) as tiff:
        for level, (width, height) in enumerate(LEVELS):
            (page,) = pages_of(tiff, width, height)
            seen = np.asarray(opened.read_region((0, 0), level, (width, height)).convert("RGB"))
            apart = np.abs(seen.astype(int) - page.asarray().astype(int))
            # JPEG: tifffile and OpenSlide both decode by libjpeg-turbo, tile by tile
            assert apart.max() == 0, level


def test_dciodvfy_finds_no_error(made: dict[str, Path], tmp_path: Path) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dicom3tools is not installed")
    for name in ("svs-j2k-rgb", "tiff-deflate", "ome-z"):
        with open_slide(made[name], CASE) as slide:
            path = tmp_path / f"{name}.dcm"
            path.write_bytes(stored(slide.instances[0]))
        done = subprocess.run([tool, "-new", path], capture_output=True, text=True, check=False)
        said = (done.stdout + done.stderr).splitlines()
        assert [line for line in said if line.startswith("Error")] == []


@pytest.mark.requirement("WSI-15")
def test_focal_planes_run_from_the_glass_up(made: dict[str, Path]) -> None:
    with open_slide(made["ome-z"], CASE) as slide:
        base = slide.instances[-1]
        assert base.frames == PLANES * 6
        read = dcmread(io.BytesIO(stored(base)))
        with tifffile.TiffFile(made["ome-z"]) as tiff:
            for plane, page in enumerate(pages_of(tiff, base.columns, base.rows)):
                tiff.filehandle.seek(page.dataoffsets[4])
                tile = tiff.filehandle.read(page.databytecounts[4])
                assert base.frame(plane * 6 + 4) == tile
    assert read.TotalPixelMatrixFocalPlanes == PLANES
    measures = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SpacingBetweenSlices == pytest.approx(PLANE_UM / 1000)


def test_a_missing_last_row_is_white_and_listed(made: dict[str, Path]) -> None:
    with open_slide(made["svs-no-last-row"], CASE) as slide:
        base = slide.instances[-1]
        across = -(-SIZE[0] // 256)
        assert base.unscanned == frozenset(range(base.frames - across, base.frames))
        assert (imagecodecs.jpeg8_decode(base.frame(base.frames - 1)) == 255).all()


def test_a_hole_among_jpeg_2000_tiles_is_white(tmp_path: Path, made: dict[str, Path]) -> None:
    for name in PHOTOMETRIC:
        path = tmp_path / name
        raw = bytearray(made[name].read_bytes())
        with tifffile.TiffFile(made[name]) as tiff:
            page = pages_of(tiff, *SIZE)[0]
            tag = page.tags["TileByteCounts"]
            size = tag.valuebytecount // tag.count
        raw[tag.valueoffset + 7 * size : tag.valueoffset + 8 * size] = bytes(size)
        path.write_bytes(raw)
        with open_slide(path, CASE) as slide:
            base = slide.instances[-1]
            assert base.unscanned == {7}
            read = dcmread(io.BytesIO(stored(base)))
            assert (read.pixel_array[7] == 255).all()


# -- the pixel size ------------------------------------------------------------------


def test_no_pixel_size_is_refused_until_a_person_gives_it(made: dict[str, Path]) -> None:
    path = made["svs-no-spacing"]
    with pytest.raises(SlideUnsupported, match="--spacing"):
        open_slide(path, CASE)
    with open_slide(path, replace(CASE, spacing_um=0.25)) as slide:
        read = dcmread(io.BytesIO(stored(slide.instances[-1])))
    shared = read.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.00025, 0.00025]
    (made_by,) = read.ContributingEquipmentSequence
    assert "given by the operator" in made_by.ContributionDescription


# -- coded when asked ------------------------------------------------------------------


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each tile that was coded."""
    done: list[int] = []
    encode = encoded.encode

    def counted(pixels: Any) -> bytes:
        done.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(encoded, "encode", counted)
    return done


def test_opening_codes_nothing_and_two_readers_code_once(
    made: dict[str, Path], encodings: list[int]
) -> None:
    with open_slide(made["tiff-deflate"], CASE) as slide:
        smallest, _, largest = slide.instances
        assert (smallest.frames, largest.frames) == (2, 20)
        assert largest.expected > 0
        assert encodings == []  # the opening may go before a tile was coded
        assert int(smallest.lengths[0]) == len(smallest.frame(0))
        assert len(encodings) == 2  # no level waits for another's lengths
        found: list[list[bytes]] = []
        read = lambda: found.append([largest.frame(i) for i in range(20)])  # noqa: E731
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)
        assert len(encodings) == 2 + 20
        assert found[0] == found[1] == found[2]
        assert [len(frame) for frame in found[0]] == list(largest.lengths)


def test_coding_again_on_another_opening_gives_the_same_bytes(made: dict[str, Path]) -> None:
    twice = []
    for _ in range(2):
        with open_slide(made["one-level-lzw"], CASE) as slide:
            twice.append(stored(slide.instances[0]))
    assert twice[0] == twice[1]


def test_a_tile_that_breaks_is_told_when_its_level_is_asked_for(
    tmp_path: Path, made: dict[str, Path]
) -> None:
    raw = bytearray(made["tiff-deflate"].read_bytes())
    with tifffile.TiffFile(made["tiff-deflate"]) as tiff:
        at = int(pages_of(tiff, *SIZE)[0].dataoffsets[11])
    raw[at : at + 40] = bytes(40)
    path = tmp_path / "a.tif"
    path.write_bytes(raw)
    with open_slide(path, CASE) as slide:
        assert len(slide.instances[0].lengths) == 2
        for _ in range(2):  # and again, not a half-made level
            with pytest.raises(SlideUnreadable, match="tile 11"):
                slide.instances[-1].read(0)


# -- real files --------------------------------------------------------------------------


def test_real_boxes_are_equal_pixel_by_pixel(real_data: Path) -> None:
    path = real_data / "wsi" / "openslide-fixtures" / "boxes.tiff"
    with pytest.raises(SlideUnsupported, match="--spacing"):  # 72 dpi
        open_slide(path, CASE)
    with open_slide(path, ATTESTED) as slide, tifffile.TiffFile(path) as tiff:
        assert len(slide.instances) == 4
        for instance in slide.instances:
            (page,) = pages_of(tiff, instance.columns, instance.rows)
            assert (joined(instance) == page.asarray()).all()


@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize(
    ("name", "tiles"),
    [("ome/OS-1-detail.ome.tif", 9), ("openslide-fixtures/small.svs", 1)],
)
def test_real_tiles_travel_as_they_are(real_data: Path, name: str, tiles: int) -> None:
    path = real_data / "wsi" / name
    with open_slide(path, CASE) as slide:
        assert prove_bytes(slide, path) == tiles


def test_the_real_ome_file_has_the_colours_that_its_maker_sees(real_data: Path) -> None:
    path = real_data / "wsi" / "ome" / "OS-1-detail.ome.tif"
    with open_slide(path, CASE) as slide:
        read = dcmread(io.BytesIO(stored(slide.instances[0])))
    with tifffile.TiffFile(path) as tiff:
        expected = tiff.pages[0].asarray()[:512, :512].astype(int)
    assert np.abs(read.pixel_array[0].astype(int) - expected).max() <= 3
    shared = read.SharedFunctionalGroupsSequence[0]
    down, across = shared.PixelMeasuresSequence[0].PixelSpacing
    assert (across * 1000, down * 1000) == pytest.approx((0.2270972430, 0.2271024004))


@pytest.mark.parametrize("change", [lambda p: p.write_bytes(p.read_bytes()[:-3000]), Path.unlink])
def test_a_source_that_changes_is_noticed(
    tmp_path: Path, made: dict[str, Path], change: Callable[[Path], Any]
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(made["tiff-deflate"].read_bytes())
    with open_slide(path, CASE) as slide:
        slide.check()
        try:
            change(path)
        except PermissionError:
            return  # Windows keeps a file that is open
        with pytest.raises(SourceChanged):
            slide.check()
