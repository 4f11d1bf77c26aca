"""What a photograph's file holds: its pixels for DICOM, and what it says besides.

A baseline JPEG goes as it is stored.  Pixels of a PNG or TIFF file, of a progressive JPEG
(whose transfer syntax is retired and read by few) and of one that a camera stored lying or
mirrored (Exif orientation, which DICOM does not know) go uncoded, and the file beside them:
a sender to a todoke receiver packs them without loss on the way by itself.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.errors import StillUnreadable, StillUnsupported, TodokeError
from sender.stills import stream

if TYPE_CHECKING:
    from PIL import Image

EXPLICIT_LE = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
LARGEST_FILE = 256 << 20  # bytes, read whole
LARGEST = 1 << 26  # pixels decoded at once: 8192 x 8192
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION, _EXIF_IFD, _GPS_IFD = 0x0112, 0x8769, 0x8825
#: Exif and TIFF tags that may name a person, a patient or a place.
_NAMING = {
    0x010D: "DocumentName", 0x010E: "ImageDescription", 0x0131: "Software", 0x013B: "Artist",
    0x013C: "HostComputer", 0x8298: "Copyright", 0x02BC: "XMP", 0x83BB: "IPTC",
    0x9286: "UserComment", 0xA430: "CameraOwnerName", 0xA431: "BodySerialNumber",
    0x9C9B: "XPTitle", 0x9C9C: "XPComment", 0x9C9D: "XPAuthor", 0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """One photograph.

    Attributes
    ----------
    media_type : str
        Of the file, by its first bytes and not by its name.
    pixels : bytes
        Native samples, R, G, B by pixel or grey, or the whole JPEG stream.
    photometric : str
        MONOCHROME2, RGB or YBR_FULL_422 (PS3.3 C.8.12.1.1.1).
    lossy_ratio : float or None
        Of the camera's coding; None where it lost nothing.
    beside : bytes
        The camera's stream or file, where `pixels` are not it; b"" where they are.
    handling : str
        How the pixels came out of the file, "" where they are as stored.
    told : dict
        Names of tags and segments that may tell of person, patient or place, with their
        text where they have one.
    sha256 : str
        Of the file, in hex.
    """

    media_type: str
    columns: int
    rows: int
    photometric: str
    transfer_syntax: str
    pixels: bytes = field(repr=False)
    icc: bytes = field(repr=False)
    lossy_ratio: float | None
    beside: bytes = field(repr=False)
    handling: str
    told: dict[str, str] = field(repr=False)
    sha256: str
    make: str = ""
    model: str = ""
    taken: str = ""

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return 1 if self.photometric == "MONOCHROME2" else 3


def looks_like_photograph(start: bytes) -> bool:
    """Tell from its first 8 bytes whether a file is a photograph; a TIFF may be a slide too."""
    return start.startswith((_JPEG, _PNG, b"GIF8", b"BM", b"RIFF")) or b"ftyp" in start[4:8]


def look(data: bytes, *, metadata: bool = True) -> Picture:
    """Read a JPEG, PNG or TIFF file.

    Parameters
    ----------
    metadata : bool
        Keep what tells of person, place and device: in a JPEG stream, or in the file
        that goes beside the pixels.

    Raises
    ------
    StillUnreadable, StillUnsupported
    """
    if len(data) > LARGEST_FILE:
        raise StillUnsupported(cause=f"{len(data)} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about tags that are looked at below
            if data.startswith(_JPEG):
                return _jpeg(data, metadata=metadata)
            if data.startswith((_PNG, *_TIFF)):
                return _decoded(data, metadata=metadata)
    except TodokeError:
        raise
    except Exception as failure:  # Pillow raises anything
        raise StillUnreadable(cause=type(failure).__name__) from failure
    raise StillUnsupported(cause="neither JPEG nor PNG nor TIFF")


def _jpeg(data: bytes, *, metadata: bool) -> Picture:
    found = stream.read(data)
    _check_size(found.columns, found.rows)
    image = _opened(data)
    raw = found.columns * found.rows * found.components
    told = {name: "" for name in found.names if name != "Exif"} | _told(image)
    kept = data if metadata else found.stripped
    if not found.baseline or _orientation(image) != 1:
        return _native(data, image, "image/jpeg", raw / found.end, found.icc, told, kept)
    image.load()  # a stream that cannot be decoded is refused here and not by the reader
    handling = ""
    if found.names and not metadata:
        handling = "JPEG as stored by the camera, without application data and comments"
    pixels = kept[: found.end] if metadata else kept
    return Picture(
        "image/jpeg", found.columns, found.rows, _colours(found), JPEG_BASELINE, pixels,
        found.icc, raw / len(pixels), b"" if pixels == kept else kept, handling, told,
        _digest(data), *_camera(image),
    )  # fmt: skip


def _colours(found: stream.Stream) -> str:
    if found.components == 1:
        return "MONOCHROME2"
    return "RGB" if found.rgb else "YBR_FULL_422"  # finer YCbCr has no other name here


def _decoded(data: bytes, *, metadata: bool) -> Picture:
    image = _opened(data)
    _check_size(*image.size)
    if getattr(image, "n_frames", 1) != 1:
        raise StillUnsupported(cause=f"{getattr(image, 'n_frames', 0)} pictures in one file")
    kind, ratio = "image/png", None
    if data.startswith(_PNG):
        if data[24] > 8:  # IHDR, PNG 3rd edition 11.2.1; Pillow would drop the low bits in silence
            raise StillUnsupported(cause=f"PNG of {data[24]} bits a sample")
    else:
        kind, ratio = "image/tiff", _check_tiff(image)
    icc = image.info.get("icc_profile") or b""
    return _native(data, image, kind, ratio, icc, _told(image), data if metadata else b"")


def _check_tiff(image: Image.Image) -> float | None:
    """Check what Pillow would change in silence; return the ratio of a coding with loss."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, colours = tags.get(258, (1,)), tags.get(262)
    bits = (bits,) if isinstance(bits, int) else bits
    if any(one > 8 for one in bits) or tags.get(339, (1,))[0] != 1:
        raise StillUnsupported(cause=f"TIFF of {bits} bits a sample")
    if colours not in {0, 1, 2, 3, 6}:
        raise StillUnsupported(cause=f"TIFF of colours {colours}")
    if 330 in tags:  # SubIFDs: a pyramid
        raise StillUnsupported(cause="several pictures in one file")
    if tags.get(259, 1) not in {6, 7, 34712, 33003, 33005}:
        return None
    counts = tags.get(279) or tags.get(325) or (0,)
    return len(bits) * image.width * image.height / max(1, sum(counts))


def _opened(data: bytes) -> Image.Image:
    from PIL import Image

    try:
        return Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "TIFF"))
    except Image.DecompressionBombError as bomb:
        raise StillUnsupported(cause=f"> {LARGEST} pixels") from bomb


def _check_size(columns: int, rows: int) -> None:
    if columns * rows > LARGEST or max(columns, rows) > 0xFFFF:
        raise StillUnsupported(cause=f"{columns} x {rows} pixels")


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _native(
    data: bytes,
    image: Image.Image,
    media_type: str,
    ratio: float | None,
    icc: bytes,
    told: dict[str, str],
    beside: bytes,
) -> Picture:
    from PIL import ImageOps

    camera = _camera(image)
    lying = _orientation(image) != 1
    image.load()  # a TIFF is turned by this, the others below
    upright = image if media_type == "image/tiff" else ImageOps.exif_transpose(image)
    plain = _plain(upright)
    colours = "MONOCHROME2" if plain.mode == "L" else "RGB"
    words = f"Pixels of the {media_type[6:].upper()} file, not coded again"
    if lying:
        words += ", turned upright by its orientation tag"
    return Picture(
        media_type, *plain.size, colours, EXPLICIT_LE, plain.tobytes(), icc, ratio, beside,
        words, told, _digest(data), *camera,
    )  # fmt: skip


def _plain(image: Image.Image) -> Image.Image:
    """Return the same colours as grey or RGB of 8 bits; nothing is mixed or rounded."""
    if image.mode in {"RGB", "L"} and "transparency" not in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode in {"P", "PA", "RGBA", "LA"} or "transparency" in image.info:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] != 255:
            raise StillUnsupported(cause="transparent pixels")
        return image.convert("L" if image.mode in {"LA", "L"} else "RGB")
    raise StillUnsupported(cause=f"pixels of kind {image.mode}")


def _told(image: Image.Image) -> dict[str, str]:
    """Return what the file says in words, and whether it says where it was taken."""
    exif = image.getexif()
    tags = dict(exif) | dict(exif.get_ifd(_EXIF_IFD))
    told = {name: _text(tags[tag]) for tag, name in _NAMING.items() if tags.get(tag)}
    if exif.get_ifd(_GPS_IFD):
        told["GPS"] = ""
    for name, value in getattr(image, "text", {}).items():  # of a PNG
        told[f"text {name}"] = _text(value)
    return told


def _text(value: object) -> str:
    if isinstance(value, bytes):
        wide = len(value) > 3 and not any(value[1:8:2])
        value = value.decode("utf-16-le" if wide else "utf-8", "replace")
    return "".join(c for c in str(value) if c.isprintable()).strip()[:200]


def _camera(image: Image.Image) -> tuple[str, str, str]:
    """Return maker and model of the camera, and when it took the picture, as LO and DT."""
    exif = image.getexif()
    words = [_text(exif.get(tag) or "").replace("\\", " ")[:64].strip() for tag in (0x010F, 0x0110)]
    when = str(exif.get_ifd(_EXIF_IFD).get(0x9003) or "").strip("\0 ")
    digits = when.replace(":", "").replace(" ", "")
    known = len(when) == 19 and len(digits) == 14 and digits.isdigit()
    sound = known and "01" <= digits[4:6] <= "12" and "01" <= digits[6:8] <= "31"
    clock = digits[8:10] < "24" and digits[10:12] < "60" and digits[12:14] < "60"
    return words[0], words[1], digits if sound and clock else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def beside_elements(data: bytes) -> bytes:
    """Return what stands behind the pixels of a data set: the camera's stream or file.

    A private block in a group after 7FE0 (PS3.5 7.8.1): what reads headers never meets it.
    """
    length = len(data) + len(data) % 2
    creator = b"TODOKE STILL 1.0"
    return b"".join(
        (
            struct.pack("<HH2sH", 0x7FE1, 0x0010, b"LO", len(creator)) + creator,
            struct.pack("<HH2sHI", 0x7FE1, 0x1001, b"OB", 0, length) + data.ljust(length, b"\0"),
            struct.pack("<HH2sHI", 0x7FE1, 0x1002, b"UL", 4, len(data)),
        )
    )
