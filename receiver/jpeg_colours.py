"""In which colours the samples of a JPEG are: RGB, or YCbCr that has to be undone.

Decoders go by the markers of the stream and take samples for YCbCr where none says otherwise;
DICOM says it in Photometric Interpretation (PS3.5 8.2.1), which they never see.  What the
receiver itself decodes (thumbnails, coarser levels of a slide) is given a header that says what
is so; what is stored and sent stays as it came.  The pages decide by the same rules in the
browser (``viewer/src/jpeg.ts``); both are held to one table of cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_SOI, _SOS, _APP0, _APP1, _APP14, _TEM = 0xD8, 0xDA, 0xE0, 0xE1, 0xEE, 0x01
#: DHT, JPG, DAC: numbers among those of frame headers that are none.
_NO_FRAME = {0xC4, 0xC8, 0xCC}
#: Shorter ones are not taken for what they say they are: decoders do not either.
_JFIF_LENGTH, _ADOBE_LENGTH = 14, 12
_RGB_IDS = (b"RGB", b"rgb")


@dataclass
class _Header:
    segments: list[tuple[str, int, int]] = field(default_factory=list)  # kind, from, to
    adobe: int | None = None
    ids: bytes = b""
    subsampled: bool = False

    @property
    def jfif(self) -> bool:
        return any(kind == "jfif" for kind, _, _ in self.segments)


def settled(frame: bytes, photometric: str) -> tuple[bytes, bool]:
    """Return a frame whose colours are told by a marker that decoders obey.

    Parameters
    ----------
    frame : bytes
        One frame of JPEG (ISO/IEC 10918-1), as it is stored.
    photometric : str
        Photometric Interpretation of its data set (PS3.3 C.7.6.3.1.2).

    Returns
    -------
    tuple[bytes, bool]
        The same picture; and whether nobody can know which colours are meant.
    """
    header = _header(frame)
    if header is None:
        return frame, False  # the decoder will refuse it
    if len(header.ids) != 3:
        return _without(frame, header, ("exif",)), False
    rgb, doubtful = _decide(header, photometric)
    if rgb:
        if header.adobe == 0 and not header.jfif:
            return _without(frame, header, ("exif",)), doubtful
        return _without(frame, header, ("exif", "jfif", "adobe"), _adobe(0)), doubtful
    if header.adobe != 0 and header.ids not in _RGB_IDS:
        return _without(frame, header, ("exif",)), doubtful
    return _without(frame, header, ("exif", "adobe"), _adobe(1)), doubtful


def _decide(header: _Header, photometric: str) -> tuple[bool, bool]:
    """Weigh the stream's witnesses and the data set's word; at a tie the stream's alone."""
    said = 1 if photometric == "RGB" else -1 if photometric.startswith("YBR") else 0
    for_rgb = (header.adobe == 0) + (header.ids in _RGB_IDS)
    for_ycc = (header.adobe in (1, 2)) + header.jfif + header.subsampled
    if not for_rgb and not for_ycc:
        # 1, 2, 3 are the numbers of JFIF's YCbCr, but also what is written for want of others
        return said > 0, said == 0 or (said > 0 and header.ids == b"\1\2\3")
    stream = for_rgb - for_ycc
    rgb = stream + said > 0 if stream + said else stream > 0
    one_voiced = not for_rgb or not for_ycc
    return rgb, not (one_voiced and (stream * said > 0 or abs(stream) > 1))


def _header(frame: bytes) -> _Header | None:
    if frame[:2] != bytes((0xFF, _SOI)):
        return None
    found = _Header()
    at = 2
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker in (0xFF, _TEM):
            at += 2 if marker == _TEM else 1  # a byte that fills, or a marker that stands alone
            continue
        if marker == _SOS:
            return found if found.ids else None
        to = at + 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        if to < at + 4 or to > len(frame):
            return None
        body = frame[at + 4 : to]
        kind = _kind(marker, body)
        found.segments.append((kind, at, to))
        if kind == "adobe" and len(body) >= _ADOBE_LENGTH:
            found.adobe = body[11]
        elif kind == "frame":
            count = body[5] if len(body) > 5 else 0
            if len(body) < 6 + 3 * count:
                return None
            found.ids = body[6 : 6 + 3 * count : 3]
            found.subsampled = len(set(body[7 : 7 + 3 * count : 3])) > 1
        at = to
    return None


def _kind(marker: int, body: bytes) -> str:
    if marker == _APP0 and len(body) >= _JFIF_LENGTH and body.startswith(b"JFIF\0"):
        return "jfif"
    if marker == _APP14 and body.startswith(b"Adobe"):
        return "adobe"
    if marker == _APP1 and body.startswith(b"Exif\0"):
        return "exif"  # it may turn or mirror the picture, where DICOM knows of no such thing
    return "frame" if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME else ""


def _adobe(transform: int) -> bytes:
    """Return an Adobe marker of version 100 that says the transform."""
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,))


def _without(frame: bytes, header: _Header, kinds: Sequence[str], first: bytes = b"") -> bytes:
    parts = [frame[:2], first]
    at = 2
    for kind, begin, end in header.segments:
        if kind in kinds:
            parts.append(frame[at:begin])
            at = end
    return frame if at == 2 and not first else b"".join([*parts, frame[at:]])
