"""Slide files that are broken, that lie, or that are something else: refused, and no other is.

Each lies in a folder beside a sound slide that must still be taken.  Nothing is decoded
while a folder is read but small pictures, so no size that a file claims is believed.
"""

from __future__ import annotations

import io
import logging
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import TodokeError
from sender import ingest
from sender.outbox import Job
from tests.sender.slides.test_refused import TINY, Tags, level_tags, long, short, written
from tests.sender.slides.vendor_files import abbreviated, tiff_bytes, tissue

MEMORY = 200 << 10  # kilobytes that the process may grow by at its peak
SECONDS = 30.0  # a machine that others share; the rule is 5 on a free one
TABLES, TILE = abbreviated(tissue(64, 64), rgb=True, chroma="444")
WHOLE = TABLES[:-2] + TILE[2:]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what reading a slide imports, before memory is counted."""
    folder = Path(tmp_path_factory.mktemp("warm"))
    TINY.write(folder / "a.svs")
    assert scan(folder).transfers


def scan(folder: Path) -> ingest.Found:
    slide = {"patient_id": "1", "patient_name": "SATO^KEN"}
    return ingest.scan(Job(1, "", [str(folder)], {"slide": slide}, "", False, 0))


def refused(folder: Path, caplog: pytest.LogCaptureFixture) -> TodokeError:
    """Read a folder with one bad file in it; return why that one is refused."""
    TINY.write(folder / "sound.svs")
    before = {path: path.stat().st_size for path in folder.rglob("*")}
    peak, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with caplog.at_level(logging.INFO):
        found = scan(folder)
    assert time.monotonic() - begin < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < MEMORY
    assert {path: path.stat().st_size for path in folder.rglob("*")} == before
    assert len(found.transfers) == 1, "the sound one is taken"
    assert found.files == len([path for path in before if path.is_file()])
    [(path, error)] = found.refused
    assert Path(path).name.startswith("bad")
    assert error.words("ja")
    assert "?" not in error.words("en")
    assert "SATO" not in caplog.text
    return error


def with_tags(changes: Tags) -> Callable[[Path], object]:
    return lambda folder: written(folder / "bad.svs", level_tags(WHOLE) | changes, WHOLE)


def plain(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "bad.svs").write_bytes(data)


def chain(folder: Path) -> None:
    """65535 directories, each a sound one of one pixel."""
    tags = {256: short(1), 257: short(1), 273: long(0), 279: long(0)}
    one = tiff_bytes(tags)
    raw = bytearray(one)
    for _ in range(65_534):
        raw[-4:] = struct.pack("<L", len(raw))
        raw += one[8:]
    (folder / "bad.svs").write_bytes(raw)


def without_tables(folder: Path) -> None:
    written(folder / "bad.svs", level_tags(TILE), TILE)


BIG = b"II+\0\x08\0\0\0"
E2003, E2004, E2002, E2050 = "E-2003", "E-2004", "E-2002", "E-2050"


@pytest.mark.requirement("WSI-14")
@pytest.mark.parametrize(
    ("make", "number", "said"),
    [
        pytest.param(
            lambda folder: written(folder / "bad.svs", level_tags(WHOLE), WHOLE, next_at=8),
            E2003,
            "loop",
            marks=pytest.mark.badinput(67, "IFD loop"),
        ),
        pytest.param(chain, E2003, "512", marks=pytest.mark.badinput(67, "65535 IFDs")),
        pytest.param(
            plain(b"II*\0" + struct.pack("<LH", 8, 0xFFFF) + bytes(900_000)),
            E2003,
            "65535 entries",
            marks=pytest.mark.badinput(67, "IFD of 65535 entries"),
        ),
        pytest.param(
            plain(b"II*\0" + struct.pack("<L", 0xFFFFFFF0) + bytes(100)),
            E2003,
            "outside",
            marks=pytest.mark.badinput(67, "offset past EOF"),
        ),
        pytest.param(
            plain(BIG + struct.pack("<Q", 1 << 63) + bytes(100)),
            E2003,
            "outside",
            marks=pytest.mark.badinput(67, "BigTIFF offset 2^63"),
        ),
        pytest.param(
            plain(BIG + struct.pack("<QQ", 16, 1 << 63) + bytes(100)),
            E2003,
            "entries",
            marks=pytest.mark.badinput(67, "BigTIFF count 2^63"),
        ),
        pytest.param(
            with_tags({322: short(0), 323: short(0)}),
            E2003,
            "without pixels",
            marks=pytest.mark.badinput(67, "tile 0x0"),
        ),
        pytest.param(
            with_tags({277: short(65535)}),
            E2003,
            "65535 samples",
            marks=pytest.mark.badinput(67, "SamplesPerPixel 65535"),
        ),
        pytest.param(
            without_tables, E2003, "tables", marks=pytest.mark.badinput(67, "JPEGTables missing")
        ),
        pytest.param(
            with_tags({325: (4, 4, bytes(16))}),
            E2003,
            "without a single tile",
            marks=pytest.mark.badinput(67, "zero-byte tiles"),
        ),
        pytest.param(
            with_tags({325: (4, 4, struct.pack("<4L", *[1 << 30] * 4))}),
            E2003,
            "outside",
            marks=pytest.mark.badinput(67, "tile length past EOF"),
        ),
        pytest.param(plain(b"II*\0"), E2003, "TIFF", marks=pytest.mark.badinput(67, "header only")),
        pytest.param(plain(b""), E2003, "TIFF", marks=pytest.mark.badinput(67, "header only")),
    ],
)
def test_a_slide_that_lies_is_refused_in_words(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], object],
    number: str,
    said: str,
) -> None:
    make(tmp_path)
    error = refused(tmp_path, caplog)
    assert error.number == number
    assert said in error.words("en")


def png_bomb() -> bytes:
    """A PNG of 30,000 x 30,000 in some kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(3751 * 30_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch bad.pwned) (w) file\n%%EOF\n"


@pytest.mark.parametrize(
    ("name", "make", "number"),
    [
        pytest.param(
            "bad.png", lambda: EPS, E2002, marks=pytest.mark.badinput(68, "EPS named .png")
        ),
        pytest.param(
            "bad.svs", lambda: EPS, E2003, marks=pytest.mark.badinput(68, "EPS named .svs")
        ),
        pytest.param(
            "bad.svs", png_bomb, E2003, marks=pytest.mark.badinput(68, "PNG bomb named .svs")
        ),
        pytest.param(
            "bad.png", png_bomb, E2050, marks=pytest.mark.badinput(68, "PNG bomb named .svs")
        ),
    ],
)
def test_only_what_is_a_slide_inside_is_opened_as_one(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    make: Callable[[], bytes],
    number: str,
) -> None:
    """No general reader of images guesses what a file is: neither Pillow's nor Ghostscript's."""
    opened: list[object] = []
    was = Image.open

    def noted(*words: Any, **more: Any) -> Any:
        opened.append(words)
        return was(*words, **more)

    (tmp_path / name).write_bytes(make())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "open", noted)
        error = refused(tmp_path, caplog)
    assert error.number == number
    assert not opened


def with_label(path: Path, *, columns: int, rows: int, strip: bytes, compression: int) -> None:
    """A sound slide of one level whose label claims any size."""
    with tifffile.TiffWriter(path) as tiff:
        TINY._level(tiff, 1, frozenset())
    raw = bytearray(path.read_bytes())
    at = len(raw)
    raw += strip
    (first,) = struct.unpack_from("<L", raw, 4)
    (count,) = struct.unpack_from("<H", raw, first)
    label = tiff_bytes(
        {
            256: long(columns),
            257: long(rows),
            258: short(8, 8, 8),
            259: short(compression),
            262: short(2),
            270: (2, 40, b"Aperio Image Library\r\nlabel 9x9".ljust(40, b"\0")),
            273: long(at),
            277: short(3),
            278: long(rows),
            279: long(len(strip)),
        }
    )
    here = len(raw) + len(raw) % 2
    raw = raw.ljust(here, b"\0")
    moved = bytearray(label)
    (entries,) = struct.unpack_from("<H", moved, 8)
    for number in range(entries):  # values that lie elsewhere lie further on now
        place = 10 + 12 * number
        tag, kind, many, value = struct.unpack_from("<HHLL", moved, place)
        size = {2: 1, 3: 2, 4: 4}[kind] * many
        if size > 4:
            struct.pack_into("<L", moved, place + 8, value + here - 8)
        del tag
    raw += moved[8:]
    struct.pack_into("<L", raw, first + 2 + 12 * count, here)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("columns", "rows", "size"),
    [
        pytest.param(
            40_000,
            40_000,
            1000,
            marks=pytest.mark.badinput(68, "associated image of 10^9 pixels"),
        ),
        pytest.param(
            20,
            10,
            256 << 20,
            marks=pytest.mark.badinput(68, "LZW strip bomb as label"),
        ),
    ],
    ids=["size", "bomb"],
)
def test_a_label_that_is_a_bomb_is_left_out_and_the_tissue_travels(
    tmp_path: Path, columns: int, rows: int, size: int
) -> None:
    strip = bytes(imagecodecs.lzw_encode(bytes(size)))
    with_label(tmp_path / "slide.svs", columns=columns, rows=rows, strip=strip, compression=5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slide = {"patient_id": "1", "patient_name": "SATO^KEN", "send_label": True}
    found = ingest.scan(Job(1, "", [str(tmp_path)], {"slide": slide}, "", False, 0))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < MEMORY
    assert len(found.transfers) == 1 or found.refused[0][1].number in {E2003, E2004}


def zipped(members: dict[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return kept.getvalue()


def forged() -> bytes:
    """An archive whose directory claims other sizes than its members have."""
    raw = bytearray(zipped({"a.dcm": bytes(5_000_000)}))
    at = raw.index(b"PK\x01\x02")
    struct.pack_into("<LL", raw, at + 20, 10, 0xFFFFFFF0)
    return bytes(raw)


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(
            lambda: zipped({f"{n}.dcm": bytes(20_000_000) for n in range(4)}),
            marks=pytest.mark.badinput(74, "zip bomb"),
        ),
        pytest.param(
            lambda: zipped({"../../escaped.dcm": b"x", "/tmp/escaped.dcm": b"x"}),
            marks=pytest.mark.badinput(74, "zip-slip"),
        ),
        pytest.param(forged, marks=pytest.mark.badinput(74, "forged sizes")),
        pytest.param(
            lambda: zipped({"in.zip": zipped({"in.zip": zipped({"a.dcm": bytes(10_000_000)})})}),
            marks=pytest.mark.badinput(74, "nested zip"),
        ),
    ],
)
def test_an_archive_is_not_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, archive: Callable[[], bytes]
) -> None:
    """Nothing takes archives yet: a file that is one is no image, whatever it calls itself."""
    (tmp_path / "bad.dcm").write_bytes(archive())
    error = refused(tmp_path, caplog)
    assert error.number == E2002
    assert not list(tmp_path.parent.rglob("escaped.dcm"))


def test_the_sound_slide_is_a_slide() -> None:
    """What lies beside every bad file above would be refused if the reader refused all."""
    assert np.asarray(imagecodecs.jpeg8_decode(WHOLE)).shape == (64, 64, 3)
