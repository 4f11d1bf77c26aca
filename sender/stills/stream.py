"""A JPEG file as a camera writes it: its segments, its end, and what else it holds.

The stream is never decoded here.  (ISO/IEC 10918-1 annex B; Exif 3.0 section 4.7.2 for
APP1, ICC.1:2022 annex B.4 for APP2, Adobe TN 5116 for APP14.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from common.errors import StillUnreadable, StillUnsupported

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
#: What a decoder needs besides tables: all other application data and comments say of
#: place, person and device, and no pixel depends on them.
_OF_PIXELS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
#: Processes that are decoded here (table B.1): baseline, extended, progressive.
_DECODED = {0xC0, 0xC1, 0xC2}
_MOST_SCANS = 64  # cameras write some ten; each is a pass over the whole picture
_PROCESSES = {0xC3: "lossless JPEG", 0xC9: "arithmetic JPEG", 0xCA: "arithmetic JPEG"}


@dataclass(frozen=True, slots=True)
class Stream:
    """One JPEG picture in its file.

    Attributes
    ----------
    baseline : bool
        Of the one process whose DICOM transfer syntax everybody reads (PS3.5 8.2.1, 10.3).
    end : int
        Byte after its end marker; cameras put previews and films behind it.
    icc : bytes
        The colour profile, b"" without one.
    names : tuple of str
        Segments of the file that no pixel depends on, as ``Exif``, ``XMP``, ``comment``.
    stripped : bytes
        The picture without them; every other byte as it was.
    """

    columns: int
    rows: int
    components: int
    rgb: bool
    baseline: bool
    end: int
    icc: bytes
    names: tuple[str, ...]
    stripped: bytes


def read(data: bytes) -> Stream:
    """Read the segments of a JPEG file.

    Raises
    ------
    StillUnreadable
        It is cut or its markers are not sound.
    StillUnsupported
        Not Huffman-coded DCT of 8 bits with one or three components.
    """
    frame, adobe, jfif = b"", None, False
    process = end = 0
    profile: dict[int, bytes] = {}
    names: list[str] = []
    kept, scans = [SOI], 0
    for marker, begin, end in _segments(data):
        body = data[begin + 4 : end]
        name = _name(marker, body)
        if name:
            names += [] if name in names else [name]
            continue
        kept.append(data[begin:end])
        scans += marker == 0xDA
        if scans > _MOST_SCANS:
            raise StillUnsupported(cause=f"JPEG of > {_MOST_SCANS} scans")
        if marker in {0xC4, 0xC8, 0xCC}:
            continue
        if 0xC0 <= marker <= 0xCF:
            if frame:
                raise StillUnsupported(cause="JPEG of several frames")
            process, frame = marker, body
        elif marker == 0xEE and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE0:
            jfif = True
        elif marker == 0xE2 and len(body) > 14:
            profile[body[12]] = body[14:]
    columns, rows, ids = _frame(process, frame)
    rgb = not jfif and (adobe == 0 if adobe is not None else ids == b"RGB")
    icc = b"".join(profile[i] for i in sorted(profile))
    if data[end:].strip(b"\0"):
        names.append("data behind the picture")
    return Stream(
        columns, rows, len(ids), rgb, process == 0xC0, end, icc, tuple(names), b"".join(kept)
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, begin and end of each segment up to the end marker; a scan with its data."""
    if data[:2] != SOI:
        raise StillUnreadable(cause="no JPEG")
    at = 2
    while True:
        if data[at : at + 1] != b"\xff":
            raise StillUnreadable(cause="JPEG markers" if at < len(data) else "a cut JPEG")
        while data[at + 1 : at + 2] == b"\xff":  # fill bytes, which are no part of a segment
            at += 1
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker == 0xD9:
            yield marker, at, at + 2
            return
        if at + 4 > len(data):
            raise StillUnreadable(cause="a cut JPEG")
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if end < at + 4 or end > len(data) or marker < 0xC0:
            raise StillUnreadable(cause="JPEG markers")
        if marker == 0xDA:
            end = _end_of_scan(data, end)
        yield marker, at, end
        at = end


def _end_of_scan(data: bytes, at: int) -> int:
    """Return the byte of the first marker after a scan: no stuffed FFH, no restart."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise StillUnreadable(cause="a cut JPEG")
        if data[at + 1] not in {0, 0xFF, *range(0xD0, 0xD8)}:
            return at
        at += 1 if data[at + 1] == 0xFF else 2


def _name(marker: int, body: bytes) -> str:
    """Return what a segment is called that no pixel depends on, "" for the others."""
    if marker == 0xFE:
        return "comment"
    if not 0xE0 <= marker <= 0xEF or body.startswith(_OF_PIXELS.get(marker, b"\xff\xff")):
        return ""
    if body.startswith(b"Exif\0"):
        return "Exif"
    if body.startswith((b"http://ns.adobe.com/xap/", b"http://ns.adobe.com/xmp/")):
        return "XMP"
    return {0xED: "IPTC", 0xE2: "MPF"}.get(marker, f"APP{marker - 0xE0}")


def _frame(process: int, body: bytes) -> tuple[int, int, bytes]:
    """Return columns, rows and the identifiers of the components."""
    if process not in _DECODED:
        if not process:
            raise StillUnreadable(cause="JPEG without a picture")
        raise StillUnsupported(cause=_PROCESSES.get(process, f"JPEG of kind {process:02X}"))
    if len(body) < 6:
        raise StillUnreadable(cause="JPEG frame header")
    precision, rows, columns, count = struct.unpack_from(">BHHB", body)
    if len(body) != 6 + 3 * count or not columns or not rows:
        raise StillUnreadable(cause="JPEG frame header")
    if precision != 8 or count not in {1, 3}:
        raise StillUnsupported(cause=f"JPEG of {count} components and {precision} bits")
    return columns, rows, body[6::3]
