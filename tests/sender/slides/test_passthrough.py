"""What a stored slide is to those who read it: the very tiles of the source."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames

from common.dicom.dataset import file_prefix
from common.dicom.layout import Layout
from sender.slides import VirtualInstance
from tests.sender.slides.conftest import Sent, stored


def pixels(image: Any) -> np.ndarray[Any, Any]:
    return np.asarray(image.convert("RGB"))


def source_page(instance: VirtualInstance, tiff: tifffile.TiffFile) -> Any:
    """Directory of the source that an instance was made of."""
    pages: list[Any] = list(tiff.pages)
    tiled = instance.level is not None
    return next(
        p
        for p in pages
        if (p.imagewidth, p.imagelength, p.is_tiled) == (instance.columns, instance.rows, tiled)
    )


def test_stream_and_place_in_any_order_give_the_same_file(one: Sent) -> None:
    for instance in one.slide.instances:
        layout = Layout(instance.header, instance.lengths)
        prefix = file_prefix(
            instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
        )
        laid = bytearray(len(prefix) + layout.length)
        laid[: len(prefix)] = prefix
        laid[len(prefix) : len(prefix) + len(layout.head)] = layout.head
        laid[-len(layout.tail) :] = layout.tail
        order = list(range(instance.frames))
        random.Random(3).shuffle(order)
        for i in order:
            offset, data = layout.place(i, instance.prefix + instance.read(i))
            laid[len(prefix) + offset : len(prefix) + offset + len(data)] = data
        assert bytes(laid) == one.file(instance).read_bytes()


@pytest.mark.requirement("WSI-03")
def test_each_frame_is_the_tile_of_the_source(one: Sent) -> None:
    with tifffile.TiffFile(one.source) as tiff:
        compared = 0
        for instance in one.levels:
            page = source_page(instance, tiff)
            read = dcmread(one.file(instance))
            frames = list(generate_frames(read.PixelData, number_of_frames=instance.frames))
            assert len(frames) == len(page.databytecounts)
            for i, frame in enumerate(frames):
                if not page.databytecounts[i]:
                    assert i in instance.unscanned
                    continue
                tiff.filehandle.seek(page.dataoffsets[i])
                tile = tiff.filehandle.read(page.databytecounts[i])
                length = int(instance.lengths[i])
                assert frame[length:] in (b"", b"\0")
                assert frame[: len(instance.prefix)] == instance.prefix
                assert b"\xff\xd8" + frame[len(instance.prefix) : length] == tile
                compared += 1
        assert compared > 20


@pytest.mark.requirement("WSI-01")
def test_openslide_finds_the_same_slide(one: Sent) -> None:
    source = openslide.OpenSlide(one.source)
    opened = openslide.OpenSlide(one.file(one.levels[0]))
    assert opened.properties["openslide.vendor"] == "dicom"
    assert opened.level_count == source.level_count
    assert opened.level_dimensions == source.level_dimensions
    assert set(opened.associated_images) == {"label", "macro", "thumbnail"}
    for name in ("mpp-x", "mpp-y", "objective-power"):
        key = f"openslide.{name}"
        assert float(opened.properties[key]) == pytest.approx(float(source.properties[key]))


@pytest.mark.requirement("WSI-03")
def test_pixels_are_equal_at_200_random_regions(one: Sent) -> None:
    source = openslide.OpenSlide(one.source)
    opened = openslide.OpenSlide(one.file(one.levels[0]))
    rng = random.Random(11)
    holes = one.levels[0].unscanned
    across = -(-one.levels[0].columns // one.levels[0].tile_columns)
    compared = 0
    while compared < 200:
        # OpenSlide draws what lies under a hole from the level above it, not from its own tile
        level = 0 if holes else rng.randrange(source.level_count)
        x, y = rng.randrange(source.dimensions[0]), rng.randrange(source.dimensions[1])
        if holes:  # a tile that is not there has no pixels to compare
            tile = one.levels[0].tile_columns
            touched = {
                (y + dy) // tile * across + (x + dx) // tile for dx in (0, 96) for dy in (0, 96)
            }
            if touched & holes:
                continue
        a, b = (s.read_region((x, y), level, (96, 96)) for s in (source, opened))
        assert (np.asarray(a) == np.asarray(b)).all(), (x, y, level)
        compared += 1


@pytest.mark.requirement("WSI-03")
def test_a_plain_jpeg_decoder_sees_the_colours_that_openslide_sees(one: Sent) -> None:
    source = openslide.OpenSlide(one.source)
    base = one.levels[0]
    across = base.columns // base.tile_columns  # whole tiles only
    for i in (1, across + 2):
        if i in base.unscanned:
            continue
        frame = base.frame(i)
        y, x = divmod(i, -(-base.columns // base.tile_columns))
        at = (x * base.tile_columns, y * base.tile_rows)
        seen = pixels(source.read_region(at, 0, (base.tile_columns, base.tile_rows)))
        for decoded in (
            pixels(Image.open(io.BytesIO(frame))),
            simplejpeg.decode_jpeg(frame, "RGB"),
        ):
            # libtiff converts YCbCr by its own arithmetic: one step may differ
            assert np.abs(decoded.astype(int) - seen.astype(int)).max() <= 2
            assert np.abs(decoded.astype(int) - seen.astype(int)).mean() < 0.5


@pytest.mark.requirement("WSI-01")
def test_wsidicom_opens_the_folder(one: Sent) -> None:
    from wsidicom import WsiDicom

    source = openslide.OpenSlide(one.source)
    with WsiDicom.open(one.folder) as opened:
        pyramid = opened.pyramids[0]
        assert [(s.size.width, s.size.height) for s in pyramid] == list(source.level_dimensions)
        assert opened.read_label().size == source.associated_images["label"].size
        assert opened.read_overview().size == source.associated_images["macro"].size
        tile = opened.read_encoded_tile(0, (1, 1))
        across = -(-one.levels[0].columns // one.levels[0].tile_columns)
        whole = one.levels[0].frame(across + 1)
        assert tile.rstrip(b"\0") == whole.rstrip(b"\0")


@pytest.mark.requirement("WSI-01")
def test_dciodvfy_finds_no_error(one: Sent) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dicom3tools is not installed")
    for instance in one.slide.instances:
        done = subprocess.run(
            [tool, "-new", one.file(instance)], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert "VLWholeSlideMicroscopyImage" in said
        assert [line for line in said.splitlines() if line.startswith("Error")] == []


@pytest.mark.requirement("WSI-08")
def test_the_label_is_equal_after_encoding_again(one: Sent) -> None:
    """The label of an Aperio file is LZW, which no DICOM syntax has."""
    source = openslide.OpenSlide(one.source)
    opened = openslide.OpenSlide(one.file(one.levels[0]))
    label = next(i for i in one.slide.instances if i.flavor == "LABEL")
    assert label.encoding == "reencoded"
    expected = pixels(source.associated_images["label"])
    assert (pixels(opened.associated_images["label"]) == expected).all()
    assert (imagecodecs.jpeg2k_decode(label.frame(0)) == expected).all()
    assert (dcmread(one.file(label)).pixel_array == expected).all()


@pytest.mark.requirement("WSI-03", "WSI-08")
@pytest.mark.parametrize("flavor", ["OVERVIEW", "THUMBNAIL"])
def test_strips_are_joined_without_decoding(one: Sent, flavor: str) -> None:
    instance = next(i for i in one.slide.instances if i.flavor == flavor)
    assert instance.encoding == "joined"
    frame = instance.frame(0)
    with tifffile.TiffFile(one.source) as tiff:
        page = source_page(instance, tiff)
        at = 0
        for i, (offset, count) in enumerate(
            zip(page.dataoffsets, page.databytecounts, strict=True)
        ):
            tiff.filehandle.seek(offset)
            strip = tiff.filehandle.read(count)
            scan = strip.index(b"\xff\xda")
            coded = strip[scan + 2 + int.from_bytes(strip[scan + 2 : scan + 4], "big") : -2]
            at = frame.index(coded, at) + len(coded)
            last = i == len(page.dataoffsets) - 1
            assert frame[at : at + 2] == (b"\xff\xd9" if last else bytes((0xFF, 0xD0 + i % 8)))
    # chroma is smoothed over the seams of the strips once they are one picture
    name = "macro" if flavor == "OVERVIEW" else "thumbnail"
    expected = pixels(openslide.OpenSlide(one.source).associated_images[name]).astype(int)
    decoded = pixels(Image.open(io.BytesIO(frame))).astype(int)
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).mean() < 1.5


def test_storing_again_gives_the_same_bytes(one: Sent) -> None:
    for instance in one.slide.instances:
        assert stored(instance) == one.file(instance).read_bytes()
