"""Files that are broken, hostile, of another kind, or that change under our hands."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import InputError, SlideUnreadable, SlideUnsupported, SourceChanged
from sender.slides import SourceFile, aperio, jpeg, looks_like_slide, open_slide
from sender.slides.tiff import MOST_PAGES, read_pages
from tests.sender.slides.conftest import SYNTHETIC, Sent
from tests.sender.slides.vendor_files import (
    CASE,
    Svs,
    abbreviated,
    aperio_tags,
    tiff_bytes,
    tissue,
)

Tags = dict[int, tuple[int, int, bytes]]
TINY = Svs(width=100, height=90, tile=64, factors=(1,), strip_rows=64, rgb=True, chroma="444")


def level_tags(tile: bytes, *, tiles: int = 4, at: int = 1 << 12) -> Tags:
    """A level of 2 x 2 tiles that all lie at one place, with their own tables."""
    return aperio_tags(120, 120, 64, np.full(tiles, at), np.full(tiles, len(tile)))


@pytest.fixture(scope="module")
def whole_tile() -> bytes:
    tables, tile = abbreviated(tissue(64, 64), rgb=True, chroma="444")
    return tables[:-2] + tile[2:]


def written(path: Path, tags: Tags, tile: bytes, at: int = 1 << 12, **options: Any) -> Path:
    raw = tiff_bytes(tags, **options)
    path.write_bytes(raw.ljust(at, b"\0") + tile)
    return path


def test_the_handmade_file_is_sound(tmp_path: Path, whole_tile: bytes) -> None:
    for big in (False, True):
        path = written(tmp_path / "a.svs", level_tags(whole_tile), whole_tile, big=big)
        with open_slide(path, CASE) as slide:
            assert slide.instances[0].frames == 4
            added = slide.instances[0].frame(3)
            assert len(added) == len(whole_tile) + 16  # the colour marker


def short(*values: int) -> tuple[int, int, bytes]:
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def long(value: int) -> tuple[int, int, bytes]:
    return 4, 1, struct.pack("<L", value)


BROKEN: dict[str, tuple[Tags, type[InputError]]] = {
    "tile 0 x 0": ({322: short(0), 323: short(0)}, SlideUnreadable),
    "no width": ({256: long(0)}, SlideUnreadable),
    "huge": ({256: long(0xFFFFFFFF), 257: long(0xFFFFFFFF)}, SlideUnreadable),
    "a billion tiles": ({256: long(1 << 30), 257: long(1 << 30)}, SlideUnreadable),
    "samples": ({277: short(65535)}, SlideUnreadable),
    "no samples": ({277: short(0)}, SlideUnreadable),
    "bits of other samples": ({258: short(8)}, SlideUnreadable),
    "16 bits": ({258: short(16, 16, 16)}, SlideUnsupported),
    "planar": ({284: short(2)}, SlideUnreadable),
    "fewer offsets": ({324: (16, 3, b"\0" * 24)}, SlideUnreadable),
    "offsets beyond the end": ({324: (16, 4, b"\xff" * 32)}, SlideUnreadable),
    "offsets of 2^63": ({324: (16, 4, struct.pack("<4Q", *[1 << 63] * 4))}, SlideUnreadable),
    "counts beyond the end": ({325: (4, 4, b"\xff" * 16)}, SlideUnreadable),
    "counts far away": ({325: (4, 1 << 30, b"\0" * 16)}, SlideUnreadable),
    "text without end": ({270: (2, 0xFFFFFFFF, b"\0" * 8)}, SlideUnreadable),
    "offsets as text": ({324: (2, 4, b"\0" * 4)}, SlideUnreadable),
    "all tiles empty": ({325: (4, 4, b"\0" * 16)}, SlideUnreadable),
    "tiles of two bytes": ({325: (4, 4, struct.pack("<4L", 2, 2, 2, 2))}, SlideUnreadable),
    "JPEG tables that are none": ({347: (7, 6, b"tables")}, SlideUnreadable),
    "tiles of another size": (
        {256: long(60), 322: short(32), 323: short(64)},
        SlideUnreadable,
    ),
    "depth": ({32997: long(5)}, SlideUnsupported),
    "grey": ({262: short(1)}, SlideUnsupported),
    "JPEG 2000 that is none": ({259: short(33005)}, SlideUnreadable),
    "JPEG 2000 in YCbCr that is none": ({259: short(33003)}, SlideUnreadable),
    "LZW that is none": ({259: short(5)}, SlideUnreadable),
    "Zstandard that is none": ({259: short(50000)}, SlideUnreadable),
    "raw of another size": ({259: short(1)}, SlideUnreadable),
    "LZW in YCbCr": ({259: short(5), 262: short(6)}, SlideUnsupported),
    "an unknown predictor": ({259: short(8), 317: short(3)}, SlideUnsupported),
    "unknown compression": ({259: short(52479)}, SlideUnsupported),
    "of no scanner, no pixel size": ({270: (2, 8, b"Vendor\0\0")}, SlideUnsupported),
}


SAID = {  # where another guard would refuse too, but only after more was read
    "a billion tiles": "tiles in TIFF",
    "samples": "65535 samples",
    "no samples": "0 samples",
    "text without end": "4294967295 bytes",
    "tiles of two bytes": "tiles that are cut",
    "tiles of another size": "JPEG tiles of 64 x 64, not 32 x 64",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_index_is_refused_in_words(tmp_path: Path, whole_tile: bytes, name: str) -> None:
    changes, kind = BROKEN[name]
    path = written(tmp_path / "a.svs", level_tags(whole_tile) | changes, whole_tile)
    with pytest.raises(kind, match=SAID.get(name)) as refused:
        open_slide(path, CASE)
    assert refused.value.words("ja")
    assert "?" not in refused.value.words("en")


def test_tiles_without_any_tables_are_refused(tmp_path: Path) -> None:
    _, tile = abbreviated(tissue(64, 64), rgb=True, chroma="444")
    path = written(tmp_path / "a.svs", level_tags(tile), tile)
    with pytest.raises(SlideUnreadable, match="tables"):
        open_slide(path, CASE)


def test_progressive_tiles_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(tissue(64, 64)).save(buffer, "JPEG", progressive=True)
    tile = buffer.getvalue()
    path = written(tmp_path / "a.svs", level_tags(tile), tile)
    with pytest.raises(SlideUnsupported, match="progressive"):
        open_slide(path, CASE)


def test_contradicting_colours_are_refused(tmp_path: Path) -> None:
    tile = bytes(imagecodecs.jpeg8_encode(tissue(64, 64)))  # JFIF says YCbCr, the TIFF says RGB
    path = written(tmp_path / "a.svs", level_tags(tile), tile)
    with pytest.raises(SlideUnsupported, match="colours"):
        open_slide(path, CASE)


def test_directories_that_loop_are_refused(tmp_path: Path, whole_tile: bytes) -> None:
    path = written(tmp_path / "a.svs", level_tags(whole_tile), whole_tile, next_at=8)
    with pytest.raises(SlideUnreadable, match="loop"):
        open_slide(path, CASE)


@pytest.mark.parametrize("at", [0xFFFFFFFF, 1 << 20])
def test_a_directory_beyond_the_end_is_refused(tmp_path: Path, whole_tile: bytes, at: int) -> None:
    path = written(tmp_path / "a.svs", level_tags(whole_tile), whole_tile, next_at=at)
    with pytest.raises(SlideUnreadable, match="outside"):
        open_slide(path, CASE)


def test_a_chain_of_65535_directories_is_refused(tmp_path: Path) -> None:
    tags = {256: short(1), 257: short(1), 273: long(0), 279: long(0)}
    one = tiff_bytes(tags)
    raw = bytearray(one)
    for _ in range(MOST_PAGES + 1):
        raw[-4:] = struct.pack("<L", len(raw))
        raw += one[8:]
    path = tmp_path / "a.svs"
    path.write_bytes(raw)
    with pytest.raises(SlideUnreadable, match=str(MOST_PAGES)):
        open_slide(path, CASE)


@pytest.mark.parametrize("count", [0, 0xFFFF])
def test_a_directory_of_absurd_size_is_refused(tmp_path: Path, count: int) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"II*\0" + struct.pack("<LH", 8, count) + b"\0" * 100)
    with pytest.raises(SlideUnreadable):
        open_slide(path, CASE)


def test_bigtiff_with_offsets_of_2_63_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 63) + b"\0" * 100)
    with pytest.raises(SlideUnreadable):
        open_slide(path, CASE)
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 63) + b"\0" * 100)
    with pytest.raises(SlideUnreadable):
        open_slide(path, CASE)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY.write(tmp_path_factory.mktemp("tiny") / "tiny.svs")


def read_all(path: Path) -> None:
    """Open and read every frame; a broken file may only be refused in words."""
    with contextlib.suppress(InputError), open_slide(path, CASE) as slide:
        for instance in slide.instances:
            for i in range(instance.frames):
                assert len(instance.frame(i)) == instance.lengths[i]


def test_a_file_cut_anywhere_is_refused_in_words(tiny: Path, tmp_path: Path) -> None:
    raw = tiny.read_bytes()
    path = tmp_path / "cut.svs"
    for size in [*range(0, 600, 7), *range(600, len(raw), 997)]:
        path.write_bytes(raw[:size])
        with pytest.raises((SlideUnreadable, SlideUnsupported)):
            open_slide(path, CASE)


@settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 32), strikes=st.integers(1, 8))
def test_struck_bytes_bring_no_crash(tiny: Path, tmp_path: Path, seed: int, strikes: int) -> None:
    raw = bytearray(tiny.read_bytes())
    rng = random.Random(seed)
    with tifffile.TiffFile(tiny) as tiff:
        pages: list[Any] = list(tiff.pages)
        places = [page.offset + rng.randrange(250) for page in pages]
        places += [int(o) + rng.randrange(40) for page in pages for o in page.dataoffsets]
        places += [tag.valueoffset for page in pages for tag in page.tags]
    for _ in range(strikes):
        raw[min(rng.choice(places), len(raw) - 1)] = rng.choice((0, 1, 255, rng.randrange(256)))
    path = tmp_path / "struck.svs"
    path.write_bytes(raw)
    read_all(path)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("aperio/broken.svs", SlideUnreadable),
        ("openslide-fixtures/unreadable.svs", None),
        ("openslide-fixtures/boxes.tiff", SlideUnsupported),
        ("openslide-fixtures/unopenable.tiff", SlideUnsupported),
        ("openslide-fixtures/boxes.png", SlideUnreadable),
        ("hamamatsu_ndpi/test3-DAPI-2-(387).ndpi", None),
        ("ome/multi-channel-z-series.ome.tif", SlideUnsupported),
    ],
)
def test_real_files_of_other_kinds(
    real_data: Path, name: str, kinds: type[InputError] | None
) -> None:
    path = real_data / "wsi" / name
    if kinds is None:
        read_all(path)
    else:
        with pytest.raises(kinds):
            open_slide(path, CASE)
    assert looks_like_slide(path) == (path.suffix != ".png")


def test_the_smallest_real_slide(real_data: Path) -> None:
    with open_slide(real_data / "wsi" / "openslide-fixtures" / "small.svs", CASE) as slide:
        assert [(i.flavor, i.columns, i.rows) for i in slide.instances] == [
            ("THUMBNAIL", 16, 16),
            ("VOLUME", 16, 16),
        ]


def test_what_looks_like_a_slide(tiny: Path, tmp_path: Path) -> None:
    plain = tmp_path / "a.dcm"
    plain.write_bytes(bytes(128) + b"DICM")
    hidden = tmp_path / "no-suffix"
    hidden.write_bytes(tiny.read_bytes()[:100])
    assert looks_like_slide(tiny)
    assert looks_like_slide(hidden)
    assert not looks_like_slide(plain)
    assert not looks_like_slide(tmp_path)
    assert not looks_like_slide(tmp_path / "missing.svs")
    with pytest.raises(SlideUnreadable):
        open_slide(tmp_path / "missing.svs", CASE)
    with pytest.raises(SlideUnreadable):
        open_slide(tmp_path, CASE)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def replaced(path: Path) -> None:
    was = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.parametrize("change", [grown, touched, replaced, Path.unlink])
def test_a_changed_source_is_noticed(
    tiny: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(tiny.read_bytes())
    with open_slide(path, CASE) as slide:
        slide.check()
        change(path)
        with pytest.raises(SourceChanged):
            slide.check()


def test_a_source_cut_while_it_is_read_is_noticed(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(tiny.read_bytes())
    with open_slide(path, CASE) as slide:
        os.truncate(path, 100)
        with pytest.raises(SourceChanged):
            slide.instances[-1].read(0)


@pytest.mark.requirement("WSI-04")
def test_the_digest_is_that_of_the_file(tiny: Path) -> None:
    with open_slide(tiny, CASE) as slide:
        assert slide.files == (tiny,)
        assert slide.file_digest() == hashlib.sha256(tiny.read_bytes()).hexdigest()


def test_holes_become_white_frames_and_are_listed(sent: Callable[[str], Sent]) -> None:
    base = sent("holes").levels[0]
    assert base.unscanned == SYNTHETIC["holes"].holes
    assert sent("holes").levels[1].unscanned == frozenset()
    for i in base.unscanned:
        frame = base.frame(i)
        assert frame.startswith(base.prefix)
        white = np.asarray(imagecodecs.jpeg8_decode(frame))
        assert white.shape == (base.tile_rows, base.tile_columns, 3)
        assert (white == 255).all()


@pytest.mark.parametrize("rgb", [True, False])
def test_a_white_frame_stands_behind_any_prefix(*, rgb: bool) -> None:
    tables, _ = abbreviated(tissue(64, 48), rgb=rgb, chroma="420")
    marker = jpeg.adobe_marker(0) if rgb else b""
    frame = jpeg.prefix(tables, marker) + jpeg.blank(250, 131, rgb=rgb)[2:]
    white = np.asarray(imagecodecs.jpeg8_decode(frame))
    assert white.shape == (131, 250, 3)
    assert (white == 255).all()


@pytest.mark.parametrize(
    ("strip_rows", "chroma", "strips", "encoding"),
    [
        (16, "422", "abbreviated", "joined"),
        (32, "420", "abbreviated", "joined"),
        (48, "444", "abbreviated", "joined"),
        (512, "420", "abbreviated", "joined"),  # one strip
        (16, "420", "whole", "reencoded"),
        (16, "420", "restarts", "reencoded"),
        (32, "444", "restarts", "reencoded"),
    ],
)
def test_strips_are_joined_where_markers_allow(
    tmp_path: Path, strip_rows: int, chroma: str, strips: str, encoding: str
) -> None:
    svs = Svs(
        width=300, height=260, factors=(1,), strip_rows=strip_rows, chroma=chroma, strips=strips
    )
    path = svs.write(tmp_path / "a.svs")
    source = openslide.OpenSlide(path)
    expected = np.asarray(source.associated_images["thumbnail"].convert("RGB")).astype(int)
    with open_slide(path, CASE) as slide:
        picture = slide.instances[0]
        assert picture.flavor == "THUMBNAIL"
        assert picture.encoding == encoding
        decode = imagecodecs.jpeg8_decode if encoding == "joined" else imagecodecs.jpeg2k_decode
        shown = np.asarray(decode(picture.frame(0))).astype(int)
        assert shown.shape == expected.shape
        assert np.abs(shown - expected).mean() < 1.5


def test_a_picture_of_absurd_strips_is_left_out_unread(tiny: Path) -> None:
    source = SourceFile(tiny)
    base, thumbnail, *rest = read_pages(source.fd)
    absurd = replace(thumbnail, counts=np.full_like(thumbnail.counts, 1 << 28))
    with aperio.open_pages(tiny, CASE, source, (base, absurd, *rest)) as slide:
        assert "THUMBNAIL" not in {i.flavor for i in slide.instances}
        assert any(words.startswith("THUMBNAIL: ") and "bytes" in words for words in slide.omitted)


@pytest.mark.requirement("WSI-14")
def test_a_slide_of_130_000_tiles_opens_small(tmp_path: Path, whole_tile: bytes) -> None:
    across = 361
    tiles, at, size = across * across, 1 << 22, across * 64
    places, counts = np.full(tiles, at), np.full(tiles, len(whole_tile))
    tags = aperio_tags(size, size, 64, places, counts)
    path = written(tmp_path / "a.svs", tags, whole_tile, at=at, big=True)
    with open_slide(path, CASE):  # everything is imported before memory is counted
        pass
    tracemalloc.start()
    try:
        with open_slide(path, CASE) as slide:
            assert slide.instances[0].frames == tiles
            slide.instances[0].read(tiles - 1)
            held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 6e6  # three columns of 64 bits
    assert peak < 16e6


def test_it_reads_where_positioned_reads_are_missing(
    tiny: Path, without_posix_env: dict[str, str]
) -> None:
    words = """
import os, sys, json
from pathlib import Path
from sender.slides import SlideCase, open_slide
assert not hasattr(os, "pread")
case = SlideCase.from_json(json.loads(sys.argv[2]))
with open_slide(Path(sys.argv[1]), case) as slide:
    slide.check()
    print(sum(len(i.frame(n)) for i in slide.instances for n in range(i.frames)))
"""
    done = subprocess.run(
        [sys.executable, "-c", words, str(tiny), json.dumps(CASE.to_json())],
        env=without_posix_env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with open_slide(tiny, CASE) as slide:
        assert int(done.stdout) == sum(int(i.lengths.sum()) for i in slide.instances)
