"""JPEG streams as they lie in a TIFF file: looked at, spliced and joined, never decoded.

A TIFF tile is abbreviated: its quantisation and Huffman tables stand once in
the directory.  A frame must be whole, so the tables go in front of it, and
where a decoder would guess the colours wrong, an Adobe marker too.  (ISO/IEC
10918-1 annex B; libjpeg ``jdapimin.c`` for the guessing; Adobe TN 5116.)
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import SlideUnreadable, SlideUnsupported

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_SOF_NAMES = {0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless"}
_OTHER_MARKER = re.compile(rb"\xff[^\x00]")
_STANDALONE = {0x01, *range(0xD0, 0xD8)}


@dataclass(frozen=True, slots=True)
class Codestream:
    """What the markers of a stream say, up to its first scan.

    Attributes
    ----------
    components : tuple of (int, int, int)
        Identifier, horizontal and vertical sampling factor of each.
    adobe : int or None
        Transform of the Adobe marker: 0 none (RGB), 1 YCbCr.
    restart : int
        Restart interval in MCUs, 0 when there is none.
    frame_at, scan_at, data_at : int
        Where the frame header, the scan header and the entropy-coded data begin.
    """

    columns: int
    rows: int
    precision: int
    components: tuple[tuple[int, int, int], ...]
    adobe: int | None
    jfif: bool
    tables: frozenset[int]
    restart: int
    frame_at: int
    scan_at: int
    data_at: int

    @property
    def mcu(self) -> tuple[int, int]:
        """Columns and rows of one interleaved MCU in pixels."""
        return (
            8 * max(h for _, h, _ in self.components),
            8 * max(v for _, _, v in self.components),
        )


def segments(stream: bytes, start: int = 2) -> list[tuple[int, int, int]]:
    """List marker, begin and end of each segment up to the first scan or the end.

    Raises
    ------
    SlideUnreadable
        The markers are not sound.
    """
    if stream[:2] != SOI:
        raise SlideUnreadable(cause="a JPEG tile without its start")
    found: list[tuple[int, int, int]] = []
    at = start
    while at + 2 <= len(stream):
        if stream[at] != 0xFF:
            raise SlideUnreadable(cause="a JPEG tile with broken markers")
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xD9:
            return found
        if marker in _STANDALONE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", stream.ljust(at + 4, b"\0"), at + 2)
        if length < 2 or at + 2 + length > len(stream):
            raise SlideUnreadable(cause="a JPEG tile with broken markers")
        found.append((marker, at, at + 2 + length))
        if marker == 0xDA:
            return found
        at += 2 + length
    return found


def look(stream: bytes) -> Codestream:
    """Read the markers of a whole stream.

    Raises
    ------
    SlideUnreadable
        The markers are not sound.
    SlideUnsupported
        Not baseline JPEG of 8 bits with three components.
    """
    adobe: int | None = None
    jfif, restart, frame_at, scan_at, data_at = False, 0, -1, -1, -1
    tables: set[int] = set()
    for marker, begin, end in segments(stream):
        body = stream[begin + 4 : end]
        if marker in {0xDB, 0xC4}:
            tables.add(marker)
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE0 and body[:5] == b"JFIF\0":
            jfif = True
        elif marker == 0xDD and len(body) == 2:
            restart = int.from_bytes(body, "big")
        elif marker == 0xDA:
            scan_at, data_at = begin, end
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC8, 0xCC}:
            if marker != 0xC0:
                name = _SOF_NAMES.get(marker, f"kind {marker:02X}")
                raise SlideUnsupported(cause=f"{name} JPEG tiles")
            frame_at = begin
    if frame_at < 0 or scan_at < frame_at:
        raise SlideUnreadable(cause="a JPEG tile without a picture")
    precision, rows, columns, components = _frame_header(stream, frame_at)
    return Codestream(
        columns, rows, precision, components, adobe, jfif, frozenset(tables), restart,
        frame_at, scan_at, data_at,
    )  # fmt: skip


def _frame_header(stream: bytes, at: int) -> tuple[int, int, int, tuple[tuple[int, int, int], ...]]:
    length, precision, rows, columns, count = struct.unpack_from(
        ">HBHHB", stream.ljust(at + 10, b"\0"), at + 2
    )
    if length != 8 + 3 * count or not rows or not columns:
        raise SlideUnreadable(cause="a JPEG tile with a broken frame header")
    if precision != 8 or count != 3:
        raise SlideUnsupported(cause=f"JPEG tiles of {count} components and {precision} bits")
    components = []
    for i in range(count):
        name, sampling, _ = stream[at + 10 + 3 * i : at + 13 + 3 * i]
        if not (1 <= sampling >> 4 <= 4 and 1 <= sampling & 15 <= 4):
            raise SlideUnreadable(cause="a JPEG tile with a broken frame header")
        components.append((name, sampling >> 4, sampling & 15))
    return precision, rows, columns, tuple(components)


def adobe_marker(transform: int) -> bytes:
    """Return an Adobe marker segment (APP14): transform 0 says RGB, 1 says YCbCr."""
    return b"\xff\xee\0\x0eAdobe" + struct.pack(">HHHB", 100, 0, 0, transform)


def colour_marker(code: Codestream, *, rgb: bool) -> bytes:
    """Return the marker that a decoder needs to see the colours that the file means.

    Parameters
    ----------
    rgb : bool
        The vendor file says that the components are red, green and blue.

    Returns
    -------
    marker : bytes
        b"" when a decoder guesses right without it.

    Raises
    ------
    SlideUnsupported
        File and stream contradict one another, and no added marker can help.
    """
    if code.jfif or code.adobe is not None:
        if says_rgb(code, otherwise=rgb) != rgb:
            raise SlideUnsupported(cause="TIFF and JPEG tiles name different colours")
        return b""
    guessed_rgb = tuple(name for name, _, _ in code.components) == (82, 71, 66)  # R, G, B
    return b"" if guessed_rgb == rgb else adobe_marker(0 if rgb else 1)


def says_rgb(code: Codestream, *, otherwise: bool) -> bool:
    """Tell whether the stream's own markers say RGB; `otherwise` where they say nothing."""
    if code.jfif or code.adobe is not None:
        return not code.jfif and code.adobe == 0
    return otherwise


def photometric(*, rgb: bool) -> str:
    """Return what the codestream holds; finer YCbCr has no other name here (PS3.3 C.8.12.4.1.5)."""
    return "RGB" if rgb else "YBR_FULL_422"


def prefix(tables: bytes, marker: bytes) -> bytes:
    """Return what stands in a whole frame before the tile's own bytes after its SOI.

    Parameters
    ----------
    tables : bytes
        The JPEGTables value, b"" when the tiles hold their own.
    marker : bytes
        From :func:`colour_marker`.

    Returns
    -------
    prefix : bytes
        b"" when the tile is whole as it is.
    """
    if not tables and not marker:
        return b""
    body = tables[segments(tables)[0][1] : segments(tables)[-1][2]] if tables else b""
    return SOI + body + marker


def check_tables(tables: bytes) -> None:
    """Refuse a JPEGTables value that holds anything but tables.

    Raises
    ------
    SlideUnreadable
    """
    if not tables:
        return
    found = segments(tables)
    if not found or any(marker == 0xDA or 0xC0 <= marker <= 0xC3 for marker, _, _ in found):
        raise SlideUnreadable(cause="JPEG tables that are none")


def blank(columns: int, rows: int, *, rgb: bool) -> bytes:
    """Return a whole white stream, small and the same on every machine.

    One value per component: the first block of each says it, all others say "as
    before".  Quantisation by 8 makes white exactly 127 steps above the middle.
    """
    out = [SOI]
    if rgb:
        out.append(adobe_marker(0))
    out.append(b"\xff\xdb\0\x43\0" + b"\x08" * 64)
    # DC codes: 0 = "no difference", 10 = "seven bits follow"; AC: 0 = end of block
    out.append(b"\xff\xc4" + struct.pack(">HB16B", 21, 0x00, 1, 1, *[0] * 14) + b"\0\x07")
    out.append(b"\xff\xc4" + struct.pack(">HB16B", 20, 0x10, 1, *[0] * 15) + b"\0")
    out.append(b"\xff\xdd\0\x04\0\0")  # no restarts, whatever tables stand before
    frame = b"".join(bytes((i, 0x11, 0)) for i in (1, 2, 3))
    out.append(b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, rows, columns, 3) + frame)
    out.append(b"\xff\xda\0\x0c\x03\x01\0\x02\0\x03\0\0\x3f\0")
    white, same = "10" + "1111111" + "0", "00"
    first = white * 3 if rgb else white + same * 2
    zeros = len(same) * 3 * (-(-columns // 8) * -(-rows // 8) - 1)
    ones = -(len(first) + zeros) % 8
    bits = (int(first, 2) << (zeros + ones)) | ((1 << ones) - 1)
    data = bits.to_bytes((len(first) + zeros + ones) // 8, "big").replace(b"\xff", b"\xff\0")
    out += [data, EOI]
    return b"".join(out)


def join(strips: Sequence[bytes], tables: bytes, rows: int, *, rgb: bool) -> bytes | None:
    """Join strips into one stream with a restart marker between them, without decoding.

    Each strip begins with a fresh prediction, which is just what a restart
    marker says; so when all but the last are equally many MCUs, only headers
    change and every coded byte stays.

    Parameters
    ----------
    strips : sequence of bytes
        Strips from top to bottom, each an abbreviated or whole stream.
    tables : bytes
        The JPEGTables value or b"".
    rows : int
        Height of the whole image in pixels.

    Returns
    -------
    stream : bytes or None
        None when these strips cannot be joined.
    """
    looked = [look(strip) for strip in strips]
    first = looked[0]
    mcu_columns, mcu_rows = first.mcu
    interval = -(-first.columns // mcu_columns) * (first.rows // mcu_rows)
    if len(strips) > 1 and (first.rows % mcu_rows or not 0 < interval <= 0xFFFF):
        return None
    if sum(code.rows for code in looked) != rows or rows > 0xFFFF:
        return None
    head = strips[0][2 : first.data_at]
    data = []
    for strip, code in zip(strips, looked, strict=True):
        end = strip.find(EOI, code.data_at)
        if end < 0 or code.restart or _without_rows(strip, code) != _without_rows(strips[0], first):
            return None
        if code is not looked[-1] and code.rows != first.rows:
            return None
        data.append(strip[code.data_at : end])
        if _OTHER_MARKER.search(data[-1]):  # more scans, or restarts of its own
            return None
    out = bytearray(prefix(tables, colour_marker(first, rgb=rgb)) or SOI)
    frame_at = len(out) + first.frame_at - 2
    scan_at = len(out) + first.scan_at - 2
    out += head
    struct.pack_into(">H", out, frame_at + 5, rows)
    if len(strips) > 1:
        out[scan_at:scan_at] = b"\xff\xdd\0\x04" + struct.pack(">H", interval)
    for i, part in enumerate(data):
        out += (bytes((0xFF, 0xD0 + (i - 1) % 8)) if i else b"") + part
    return bytes(out + EOI)


def _without_rows(strip: bytes, code: Codestream) -> bytes:
    height = code.frame_at + 5
    return strip[:height] + strip[height + 2 : code.data_at]
