"""Pixels and words of a photograph's file: kept as they are, or refused with the reason."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from common.errors import StillUnreadable, StillUnsupported
from sender.stills import look, looks_like_photograph
from sender.stills.picture import EXPLICIT_LE, JPEG_BASELINE, Picture
from tests.sender.stills.photographs import NAME, PIXELS, PROFILE, jpeg, photograph, telling

DEEP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000


def native(picture: Picture) -> np.ndarray[Any, Any]:
    shape = (picture.rows, picture.columns, picture.samples)
    return np.frombuffer(picture.pixels, np.uint8).reshape(shape)


def test_a_baseline_jpeg_goes_as_it_is_stored() -> None:
    data = jpeg()
    picture = look(data)
    assert (picture.pixels, picture.beside) == (data, b"")
    assert (picture.transfer_syntax, picture.photometric) == (JPEG_BASELINE, "YBR_FULL_422")
    assert (picture.columns, picture.rows, picture.icc) == (301, 211, PROFILE)
    assert picture.lossy_ratio == pytest.approx(301 * 211 * 3 / len(data))
    assert (picture.make, picture.model, picture.taken) == ("OLYMPUS", "DP27", "20260331101112")


def test_grey_and_rgb_streams_are_called_what_they_hold() -> None:
    assert look(jpeg(PIXELS[..., 0].copy(), icc_profile=b"")).photometric == "MONOCHROME2"
    rgb = photograph("JPEG", keep_rgb=True)
    assert look(rgb).photometric == "RGB"


@pytest.mark.requirement("PRI-04")
def test_what_a_file_tells_of_person_and_place_is_found() -> None:
    told = look(jpeg()).told
    assert {"GPS", "comment", "Artist"} <= set(told)
    assert "YAMADA" in told["Artist"]
    info = {"pnginfo": _text("Author", NAME)}
    assert look(photograph("PNG", **info)).told == {"text Author": NAME}
    assert look(photograph("TIFF", description="patient 12")).told["ImageDescription"] == (
        "patient 12"
    )


def _text(name: str, value: str) -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(name, value)
    return info


@pytest.mark.requirement("PRI-04")
def test_without_metadata_only_what_the_pixels_need_is_left() -> None:
    data = jpeg()
    picture = look(data, metadata=False)
    for word in (b"YAMADA", "山田".encode(), b"Exif", b"DP27"):
        assert word in data
        assert word not in picture.pixels + picture.beside
    assert picture.icc == PROFILE
    assert PROFILE in picture.pixels
    read = Image.open(io.BytesIO(picture.pixels))
    assert (np.asarray(read) == np.asarray(Image.open(io.BytesIO(data)))).all()
    assert "without application data" in picture.handling
    for kind in ("PNG", "TIFF"):
        assert look(photograph(kind), metadata=False).beside == b""
    for lying in (jpeg(exif=telling(6)), jpeg(progressive=True)):
        beside = look(lying, metadata=False).beside
        assert Image.open(io.BytesIO(beside)).size == (301, 211)
        assert b"YAMADA" not in beside


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_pixels_of_png_and_tiff_are_the_same(kind: str, mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, icc_profile=PROFILE if mode == "RGB" else None)
    picture = look(file.getvalue())
    shown = image.convert("L" if mode in {"L", "1"} else "RGB")
    assert (native(picture).squeeze() == np.asarray(shown)).all()
    assert picture.transfer_syntax == EXPLICIT_LE
    assert (picture.beside, picture.lossy_ratio) == (file.getvalue(), None)
    assert picture.icc == (PROFILE if mode == "RGB" else b"")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_packed_tiff_loses_nothing(compression: str) -> None:
    picture = look(photograph("TIFF", compression=compression))
    assert (native(picture) == PIXELS).all()
    assert picture.lossy_ratio is None


def test_jpeg_in_a_tiff_is_called_lossy() -> None:
    data = photograph("TIFF", compression="jpeg")
    picture = look(data)
    assert (native(picture) == np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).all()
    assert picture.lossy_ratio is not None
    assert picture.lossy_ratio > 1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_lies_on_its_side_is_put_upright_once(orientation: int) -> None:
    data = jpeg(exif=telling(orientation))
    picture = look(data)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert (native(picture) == upright).all()
    assert (picture.beside, picture.icc) == (data, PROFILE)
    assert "upright" in picture.handling
    assert picture.lossy_ratio is not None
    for kind in ("PNG", "TIFF"):
        turned = look(photograph(kind, exif=telling(orientation)))
        expected = ImageOps.exif_transpose(_lying(orientation))
        assert (native(turned) == np.asarray(expected)).all(), kind


def _lying(orientation: int) -> Image.Image:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    return image


def test_a_progressive_jpeg_goes_as_pixels_with_the_file_beside() -> None:
    data = jpeg(progressive=True)
    picture = look(data)
    assert picture.transfer_syntax == EXPLICIT_LE
    assert (native(picture) == np.asarray(Image.open(io.BytesIO(data)))).all()
    assert picture.beside == data
    assert picture.lossy_ratio == pytest.approx(301 * 211 * 3 / len(data))


@pytest.mark.requirement("PRI-04")
def test_what_stands_behind_the_picture_is_no_part_of_the_frame() -> None:
    whole = jpeg()
    picture = look(whole + b"a film of the room" + whole)
    assert picture.pixels == whole
    assert picture.beside.startswith(whole + b"a film")
    assert "data behind the picture" in picture.told
    assert look(whole + b"a film", metadata=False).beside == b""


def _deep_png() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(8 * 6) for _ in range(8))
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _transparent() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert("RGBA").point(lambda v: v // 2).save(file, "PNG")
    return file.getvalue()


def _pages() -> bytes:
    return photograph("TIFF", save_all=True, append_images=[Image.fromarray(PIXELS)])


def _many_scans() -> bytes:
    """A small progressive file whose last scan is there a thousand times."""
    whole = jpeg(PIXELS[:16, :16].copy(), progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + 1000 * whole[last:-2] + whole[-2:]


def _cmyk() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert("CMYK").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_deep_png(), "16 bits"),
        (photograph("PNG", DEEP), "16 bits"),
        (photograph("TIFF", DEEP), "bits a sample"),
        (_transparent(), "transparent"),
        (_pages(), "2 pictures"),
        (_cmyk(), "4 components"),
        (_many_scans(), "scans"),
        (jpeg(np.zeros((8200, 8200), np.uint8), icc_profile=b""), "8200 x 8200"),
        (photograph("GIF"), "neither"),
        (b"BM" + bytes(60), "neither"),
        (photograph("PNG")[:16] + struct.pack(">II", 70_000, 1) + photograph("PNG")[24:], "pixels"),
    ],
)
def test_what_cannot_be_kept_whole_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises((StillUnsupported, StillUnreadable)) as refused:
        look(data)
    if isinstance(refused.value, StillUnsupported):
        assert words in refused.value.words("en")
    else:  # a size that the checksum of its chunk gives the lie
        assert words == "pixels"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_cut_file_is_refused(kind: str) -> None:
    whole = photograph(kind)
    for length in (4, 20, len(whole) // 2, len(whole) - 40):
        with pytest.raises((StillUnreadable, StillUnsupported)):
            look(whole[:length])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_broken_file_is_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(jpeg(PIXELS[:32, :32].copy()))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(2, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = look(bytes(whole))
    except (StillUnreadable, StillUnsupported):
        return
    assert picture.columns
    assert picture.rows


def test_photographs_are_known_by_their_first_bytes() -> None:
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        assert looks_like_photograph(photograph(kind)[:12])
    assert looks_like_photograph(b"\0\0\0\x18ftypheic")
    assert not looks_like_photograph(photograph("TIFF")[:12])
    assert not looks_like_photograph(b"")
