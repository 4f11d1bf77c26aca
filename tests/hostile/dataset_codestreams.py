"""Coded pixels that no encoder makes: sound codestreams with a few bytes changed."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
from PIL import Image

GREYS = (np.add.outer(np.arange(16), np.arange(16)) * 8).astype(np.uint8)
RGB = np.stack([GREYS, 255 - GREYS, GREYS], axis=-1)


def jpeg(*, progressive: bool = False) -> bytes:
    """Return a sound 16 x 16 JPEG."""
    kept = io.BytesIO()
    Image.fromarray(GREYS).save(kept, "JPEG", quality=90, progressive=progressive)
    return kept.getvalue()


def _frame_header(stream: bytes | bytearray) -> int:
    """Return where the SOF marker of a JPEG lies."""
    at = 2
    while stream[at + 1] not in {0xC0, 0xC1, 0xC2, 0xC9}:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return at


def jpeg_of_size(rows: int, columns: int, *, progressive: bool = False) -> bytes:
    """Return a JPEG that claims another size than it has."""
    stream = bytearray(jpeg(progressive=progressive))
    at = _frame_header(stream)
    stream[at + 5 : at + 9] = struct.pack(">HH", rows, columns)
    return bytes(stream)


def progressive_bomb(scans: int = 5000) -> bytes:
    """Return a progressive JPEG of a large claimed size with its last scan many times."""
    stream = jpeg_of_size(8000, 8000, progressive=True)
    last = stream.rindex(b"\xff\xda")
    return stream[:last] + stream[last:-2] * scans + b"\xff\xd9"


def jpeg_with_sof(marker: int, precision: int = 8) -> bytes:
    """Return a JPEG whose frame header is of another process or precision."""
    stream = bytearray(jpeg())
    at = _frame_header(stream)
    stream[at + 1], stream[at + 4] = marker, precision
    return bytes(stream)


def j2k() -> bytes:
    """Return a sound 16 x 16 JPEG 2000 codestream."""
    return bytes(imagecodecs.jpeg2k_encode(GREYS, level=0, codecformat="j2k"))


def j2k_tiles() -> bytes:
    """Return a codestream of 31623 x 31623 tiles of 1 x 1."""
    stream = bytearray(j2k())
    at = stream.index(b"\xff\x51") + 6  # Xsiz: behind marker, length and Rsiz
    stream[at : at + 32] = struct.pack(">8I", 31623, 31623, 0, 0, 1, 1, 0, 0)
    return bytes(stream)


def j2k_components(count: int = 16384) -> bytes:
    """Return a codestream of so many components."""
    stream = j2k()
    at = stream.index(b"\xff\x51")
    (length,) = struct.unpack_from(">H", stream, at + 2)
    head = stream[at + 4 : at + 38] + struct.pack(">H", count) + b"\x07\x01\x01" * count
    size = struct.pack(">H", len(head) + 2)
    return stream[: at + 2] + size + head + stream[at + 2 + length :]


def j2k_layers() -> bytes:
    """Return a codestream of 65535 layers that has one."""
    stream = bytearray(j2k())
    at = stream.index(b"\xff\x52") + 6  # behind marker, length, Scod and progression order
    stream[at : at + 2] = b"\xff\xff"
    return bytes(stream)


def htj2k_broken() -> bytes:
    """Return an HTJ2K codestream whose code blocks are rubbish."""
    stream = bytearray(imagecodecs.htj2k_encode(GREYS))
    start = stream.index(b"\xff\x93") + 2
    for at in range(start, len(stream) - 2):
        stream[at] ^= 0x5A
    return bytes(stream)


def jpegls_near() -> bytes:
    """Return a JPEG-LS codestream with NEAR 255."""
    stream = bytearray(imagecodecs.jpegls_encode(GREYS))
    at = stream.index(b"\xff\xda")
    stream[at + 4 + 1 + 2 * stream[at + 4]] = 255
    return bytes(stream)


def rle(segments: int, offsets: list[int], body: bytes) -> bytes:
    """Return an RLE frame with any header (PS3.5 annex G.5)."""
    table = [segments, *offsets][:16]
    return struct.pack("<16I", *table, *[0] * (16 - len(table))) + body
