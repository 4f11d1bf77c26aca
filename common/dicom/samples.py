"""Losslessly coded pixels as the native encoding of the same data set would hold them.

One frame at a time.  What a codestream says of itself (size, precision, components)
is compared with the data set before a decoder sees it, so that no decoder takes memory
for more than the data set asks for, and whatever does not fit is an error.  Damage that
a decoder does not notice shows in D3 alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import durable
from common.dicom import dataset
from common.errors import InputError, TodokeError

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydicom.dataset import Dataset

    Samples = npt.NDArray[Any]

RLE = "1.2.840.10008.1.2.5"
JPEG_LOSSLESS = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
#: Transfer syntaxes whose every codestream gives back the samples it was made from.
LOSSLESS = JPEG_LOSSLESS | {RLE, JPEG_LS, JPEG_2000, HTJ2K, HTJ2K_RPCL}
# (7FE0,0010) of undefined length; some write OW, which has no fragments (PS3.5 A.4)
_ELEMENTS = {bytes.fromhex(f"e07f1000 {vr} 0000 ffffffff") for vr in ("4f42", "4f57")}
_DELIMITER = bytes.fromhex("feffdde0 00000000")
MOST_BYTES = 1 << 29  # of one native frame; a decoder takes a few times as much


@dataclass(frozen=True, slots=True)
class Shape:
    """What the Image Pixel module says of a frame (PS3.3 C.7.6.3).

    Attributes
    ----------
    rows, columns, samples : int
        `samples` is Samples per Pixel.
    allocated, stored : int
        Bits.
    signed : bool
        Pixel Representation 1.
    planar : bool
        Planar Configuration 1: one plane per sample, instead of pixel by pixel.
    frames : int
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool = False
    planar: bool = False
    frames: int = 1

    @classmethod
    def of(cls, header: Dataset) -> Shape:
        """Read the shape from a header.

        Raises
        ------
        InputError
            A value is missing, or is none that 8, 16 or 32 bit samples can have.
        """
        try:
            shape = cls(
                int(header.Rows),
                int(header.Columns),
                int(header.get("SamplesPerPixel") or 1),
                int(header.BitsAllocated),
                int(header.get("BitsStored") or header.BitsAllocated),
                bool(int(header.get("PixelRepresentation") or 0)),
                bool(int(header.get("PlanarConfiguration") or 0)),
                dataset.frame_count(header),
            )
        except (AttributeError, TypeError, ValueError) as failure:
            raise InputError(cause="Image Pixel module") from failure
        shape.check()
        return shape

    def check(self) -> None:
        """Raise an InputError for what no frame of 8, 16 or 32 bit integers is."""
        good = (
            0 < self.rows < 1 << 16
            and 0 < self.columns < 1 << 16
            and self.samples in {1, 3, 4}
            and self.allocated in {8, 16, 32}
            and 0 < self.stored <= self.allocated
            and self.frames > 0
            and self.frame_bytes <= MOST_BYTES
        )
        if not good:
            raise InputError(cause="Image Pixel module")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.samples * self.allocated // 8

    @property
    def word(self) -> str:
        """The type of one native sample as numpy names it."""
        return f"<{'i' if self.signed else 'u'}{self.allocated // 8}"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a codestream says of itself; `signed` is None where its kind cannot say it."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None = None


def decode(code: bytes | memoryview, shape: Shape, transfer_syntax_uid: str) -> bytes:
    """Return one frame as the native encoding would hold it, little endian.

    Parameters
    ----------
    code : bytes
        The fragments of one frame, joined.

    Raises
    ------
    InputError
        The code is damaged, is of another shape than the data set says, or its transfer
        syntax is none of :data:`LOSSLESS`.
    """
    try:
        if transfer_syntax_uid == RLE:
            return _runs(code, shape)
        frame = _pixels(bytes(code), shape, transfer_syntax_uid)
    except TodokeError:
        raise
    except Exception as failure:  # the bytes are a stranger's; decoders raise anything
        raise InputError(cause=type(failure).__name__) from failure
    if shape.samples > 1 and shape.planar:
        frame = frame.transpose(2, 0, 1)
    return frame.astype(shape.word, copy=False).tobytes()


def frames(
    fd: int, pixels: dataset.Pixels, shape: Shape, transfer_syntax_uid: str
) -> Iterator[bytes]:
    """Yield every native frame of an open file with coded pixels, one in memory at a time.

    Raises
    ------
    InputError
        As :func:`decode`, or it is not certain which fragments belong to which frame.
    """
    for fragments in _by_frame(fd, pixels, shape.frames):
        if sum(length for _, length in fragments) > 2 * shape.frame_bytes + (1 << 16):
            raise InputError(cause="a frame longer than its samples")
        code = b"".join(durable.read_at(fd, length, at) for at, length in fragments)
        yield decode(code, shape, transfer_syntax_uid)


Fragments = Sequence[tuple[int, int]]


def _by_frame(fd: int, pixels: dataset.Pixels, count: int) -> list[Fragments]:
    """Return the fragments of each frame.

    Nothing around them may be said otherwise: another VR of the element, say, would
    keep a reader from frames that are all there.  The Basic Offset Table may be empty;
    one that is there must agree with the items (PS3.5 A.4), for a reader that follows
    it would show other frames than one that walks.
    """
    every = pixels.fragments
    after = sum(every[-1]) if every else 0
    around = durable.read_at(fd, 12, pixels.offset - 12), durable.read_at(fd, 8, after)
    if around[0] not in _ELEMENTS or around[1] != _DELIMITER:
        raise InputError(cause="Pixel Data element")
    (length,) = struct.unpack("<4xI", durable.read_at(fd, 8, pixels.offset))
    starts = [at - 8 - (pixels.offset + 8 + length) for at, _ in every]
    if not length:
        if len(every) == count:
            return [[one] for one in every]
        if count == 1:
            return [every]
        raise InputError(cause="fragments without an offset table")
    if length != 4 * count:
        raise InputError(cause="Basic Offset Table")
    table = struct.unpack(f"<{count}I", durable.read_at(fd, length, pixels.offset + 8))
    places = {start: place for place, start in enumerate(starts)}
    if list(table) != sorted(set(table)) or table[0] != 0 or not places.keys() >= set(table):
        raise InputError(cause="Basic Offset Table")
    firsts = [places[start] for start in table]
    return [every[a:b] for a, b in zip(firsts, [*firsts[1:], len(every)], strict=True)]


def _pixels(code: bytes, shape: Shape, transfer_syntax_uid: str) -> Samples:
    """Decode a JPEG of any family to rows x columns (x samples), each value as it is."""
    if transfer_syntax_uid not in LOSSLESS:
        raise InputError(cause=f"transfer syntax {transfer_syntax_uid}")
    wavelet = transfer_syntax_uid in {JPEG_2000, HTJ2K, HTJ2K_RPCL}
    said = _codestream(code) if wavelet else _interchange(code)
    if (said.rows, said.columns, said.samples) != (shape.rows, shape.columns, shape.samples):
        raise InputError(cause="a codestream of another size")
    # a decoder may clip what does not fit the precision, and another may not
    if said.precision not in {shape.stored, shape.allocated}:
        raise InputError(cause="a codestream of another precision")
    if said.signed not in {None, shape.signed}:
        raise InputError(cause="a codestream of another sign")
    frame = _decoder(transfer_syntax_uid)(code)
    expected = (shape.rows, shape.columns) + ((shape.samples,) if shape.samples > 1 else ())
    if frame.shape != expected:
        raise InputError(cause="a codestream of another size")
    if said.signed is None and shape.signed:
        frame = _with_sign(frame, said.precision, shape)
    return frame


def _decoder(transfer_syntax_uid: str) -> Callable[[bytes], Samples]:
    import imagecodecs

    decoders: dict[str, Callable[[bytes], Samples]] = {
        JPEG_LS: imagecodecs.jpegls_decode,
        JPEG_2000: imagecodecs.jpeg2k_decode,
        HTJ2K: imagecodecs.htj2k_decode,
        HTJ2K_RPCL: imagecodecs.htj2k_decode,
    }
    found = decoders.get(transfer_syntax_uid, imagecodecs.jpegsof3_decode)
    if found is imagecodecs.htj2k_decode:
        # whether planes were coded one after another is the encoder's matter
        return lambda code: imagecodecs.htj2k_decode(code, planar=False)
    return found


def _with_sign(frame: Samples, precision: int, shape: Shape) -> Samples:
    """Give values their sign, which neither JPEG nor JPEG-LS codes: two's complement."""
    wide = frame.astype(f"<u{shape.allocated // 8}", copy=False)
    if precision < shape.allocated:
        sign = wide.dtype.type(1 << precision - 1)
        wide = (wide ^ sign) - sign  # wraps on purpose
    return wide.view(shape.word)


def _codestream(code: bytes) -> _Said:
    """Read the SIZ marker segment of a JPEG 2000 codestream (ISO/IEC 15444-1 A.5.1)."""
    at = code.find(b"\xff\x4f\xff\x51")  # it may lie in a JP2 file, though it should not
    if at < 0 or len(code) < at + 45:
        raise InputError(cause="no JPEG 2000 codestream")
    right, bottom, left, top, *tiles = struct.unpack_from(">8I", code, at + 8)
    # OpenJPH counts for ever through tiles that begin behind the image (A.5.1, B.3)
    if not (tiles[0] and tiles[1] and tiles[2] <= left and tiles[3] <= top):
        raise InputError(cause="tiles")
    (samples,) = struct.unpack_from(">H", code, at + 40)
    if len(code) < at + 42 + 3 * samples:
        raise InputError(cause="a cut JPEG 2000 codestream")
    every = {code[at + 42 + 3 * i : at + 45 + 3 * i] for i in range(samples)}
    if len(every) != 1 or (one := every.pop())[1:] != b"\1\1":
        raise InputError(cause="components that differ")
    precision, signed = (one[0] & 0x7F) + 1, bool(one[0] & 0x80)
    return _Said(bottom - top, right - left, samples, precision, signed)


def _interchange(code: bytes) -> _Said:
    """Read the frame header of a JPEG (SOF3) or JPEG-LS (SOF55) stream (ISO/IEC 10918-1 B.2)."""
    # without its end CharLS may count through 2^31 bits that are not there, for seconds
    if code[:2] != b"\xff\xd8" or b"\xff\xd9" not in code[-4:]:
        raise InputError(cause="no whole JPEG")
    at = 2
    while at + 4 <= len(code):
        mark, kind, length = struct.unpack_from(">BBH", code, at)
        if mark != 0xFF or length < 2:
            break
        if kind in {0xC3, 0xF7} and at + 10 <= len(code):
            precision, rows, columns, samples = struct.unpack_from(">BHHB", code, at + 4)
            return _Said(rows, columns, samples, precision)
        at += 2 + length
    raise InputError(cause="no lossless JPEG")


def _runs(code: bytes | memoryview, shape: Shape) -> bytes:
    """Decode RLE: one segment per byte of a composite pixel, the highest first (PS3.5 G)."""
    import imagecodecs
    import numpy as np

    width = shape.allocated // 8
    if len(code) < 64:
        raise InputError(cause="a cut RLE header")
    count, *starts = struct.unpack_from("<16I", code)
    if count != width * shape.samples or starts[0] != 64:
        raise InputError(cause="RLE segments")
    ends = [*starts[1:count], len(code)]
    area = shape.rows * shape.columns
    planes = np.empty((shape.samples, area, width), np.uint8)
    for place, (start, end) in enumerate(zip(starts[:count], ends, strict=True)):
        if not 64 <= start <= end <= len(code):
            raise InputError(cause="RLE segments")
        plane = imagecodecs.packbits_decode(bytes(code[start:end]), out=area)
        if len(plane) != area:
            raise InputError(cause="an RLE segment")
        planes[place // width, :, width - 1 - place % width] = np.frombuffer(plane, np.uint8)
    return (planes if shape.planar else planes.transpose(1, 0, 2)).tobytes()
