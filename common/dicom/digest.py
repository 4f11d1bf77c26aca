"""The three digests of an instance, each computed from its own end's bytes.

========  ==========================================================================
D1        SHA-256 of the encoded data set, group 0002 not included
D2        SHA-256 of the pixel data: the native value, or the fragments' bytes without
          item headers, Basic Offset Table and the padding after the last marker
D3        SHA-256 of (descriptor || SHA-256 of the stored samples, little-endian), of
          native and of losslessly coded pixels; survives lossless recompression
rest      SHA-256 of the data set without the element (7FE0,0010): what lies before it,
          its length in front as 64 bit little-endian, and what lies after it
========  ==========================================================================

D3 and rest together say of a recoded instance that no sample and no other element
differs from its source.

For slides the frames' SHA-256 and their Merkle root stand in the place of D2.
"""

from __future__ import annotations

import array
import hashlib
import itertools
import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common import durable
from common.dicom import dataset, samples
from common.dicom.samples import LOSSLESS
from common.errors import InputError, NotDicom, TodokeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Digests:
    """Hexadecimal SHA-256 values; all but D1 are None where there is nothing to digest."""

    d1: str
    d2: str | None = None
    d3: str | None = None
    rest: str | None = None


def pieces(fd: int, offset: int, length: int) -> Iterator[bytes]:
    """Read `length` bytes from `offset` on in pieces of at most 1 MiB."""
    end = offset + length
    while offset < end:
        piece = durable.read_at(fd, min(PIECE, end - offset), offset)
        if not piece:
            return
        yield piece
        offset += len(piece)


def sha256(parts: Iterable[bytes | memoryview]) -> str:
    """Return the hexadecimal SHA-256 of the parts in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def of_rest(head_length: int, parts: Iterable[bytes | memoryview]) -> str:
    """Return the digest of everything but the pixel element.

    Parameters
    ----------
    head_length : int
        Bytes of the data set before the element (7FE0,0010).
    parts : iterable of bytes
        Those bytes, and then all after the element, cut anywhere.
    """
    return sha256(itertools.chain([struct.pack("<Q", head_length)], parts))


def of_file(path: Path, base: int, transfer_syntax_uid: str, *, decoded: bool = False) -> Digests:
    """Digest an instance from the bytes of its file.

    Parameters
    ----------
    base : int
        Byte of the file at which the data set begins.
    decoded : bool
        Make D3 of losslessly coded pixels too: each frame is decoded, which takes far
        longer than all else.  D3 stays None where they cannot be decoded to exactly
        what the header says.

    Raises
    ------
    NotDicom
        The file cannot be read as a data set.
    """
    header, pixels_at = dataset.open_header(path)
    fd = durable.open_file(path)
    try:
        return _of_open_file(fd, base, pixels_at, header, transfer_syntax_uid, decoded)
    except TodokeError:
        raise
    except Exception as failure:  # pydicom raises anything when a hostile value is asked for
        raise NotDicom(cause=type(failure).__name__) from failure
    finally:
        os.close(fd)


def _of_open_file(
    fd: int,
    base: int,
    pixels_at: int,
    header: Dataset,
    transfer_syntax_uid: str,
    decoded: bool,
) -> Digests:
    end = os.fstat(fd).st_size
    d1 = sha256(pieces(fd, base, end - base))
    pixels = dataset.find_pixels(fd, pixels_at, end, transfer_syntax_uid)
    if pixels is None:
        return Digests(d1)
    d2 = _pixels(fd, pixels, header)
    d3 = _samples(fd, pixels, header, transfer_syntax_uid, d2)
    if decoded and transfer_syntax_uid in LOSSLESS:
        d3 = _decoded(fd, pixels, header, transfer_syntax_uid)
    after = _element_end(fd, pixels)
    around = itertools.chain(pieces(fd, base, pixels_at - base), pieces(fd, after, end - after))
    return Digests(d1, d2, d3, of_rest(pixels_at - base, around))


def _element_end(fd: int, pixels: dataset.Pixels) -> int:
    """Return the byte after the pixel element; of coded pixels, after their delimiter."""
    if pixels.length is not None:
        return pixels.offset + pixels.length
    if pixels.fragments:
        last, length = pixels.fragments[-1]
        return last + length + 8
    (table,) = struct.unpack("<4xI", durable.read_at(fd, 8, pixels.offset))
    return pixels.offset + 8 + int(table) + 8


def _native_length(pixels: dataset.Pixels, header: Dataset) -> int:
    """Bytes of a native value without its padding byte."""
    length = pixels.length or 0
    frame = dataset.native_frame_length(header)
    whole = length if frame is None else frame * dataset.frame_count(header)
    return min(whole, length)


def _pixels(fd: int, pixels: dataset.Pixels, header: Dataset) -> str:
    if pixels.length is not None:
        return sha256(pieces(fd, pixels.offset, _native_length(pixels, header)))
    digest = hashlib.sha256()
    for offset, length in pixels.fragments:
        last = durable.read_at(fd, min(3, length), offset + max(0, length - 3))
        # FFD9 ends a JPEG, JPEG-LS and JPEG 2000 codestream; one byte may pad it
        if last.endswith(b"\xff\xd9\0"):
            length -= 1
        for piece in pieces(fd, offset, length):
            digest.update(piece)
    return digest.hexdigest()


def _samples(
    fd: int, pixels: dataset.Pixels, header: Dataset, transfer_syntax_uid: str, d2: str
) -> str | None:
    allocated = header.get("BitsAllocated")
    if pixels.length is None or allocated not in {8, 16, 32}:
        return None
    found = d2
    if transfer_syntax_uid == dataset.EXPLICIT_BE and allocated > 8:
        swapped = _swap(fd, pixels.offset, _native_length(pixels, header), allocated)
        found = sha256(swapped)
    return _described(header, bytes.fromhex(found))


def _decoded(
    fd: int, pixels: dataset.Pixels, header: Dataset, transfer_syntax_uid: str
) -> str | None:
    try:
        shape = samples.Shape.of(header)
        found = hashlib.sha256()
        for frame in samples.frames(fd, pixels, shape, transfer_syntax_uid):
            found.update(frame)
    except InputError:
        return None
    return _described(header, found.digest())


def _described(header: Dataset, digest: bytes) -> str:
    return hashlib.sha256(descriptor(header) + digest).hexdigest()


def _swap(fd: int, offset: int, length: int, allocated: int) -> Iterator[bytes]:
    for piece in pieces(fd, offset, length):
        words = array.array("H" if allocated == 16 else "I")
        words.frombytes(piece[: len(piece) // words.itemsize * words.itemsize])
        words.byteswap()
        yield words.tobytes()


def descriptor(header: Dataset) -> bytes:
    """Return what the samples are, in a canonical form (keys sorted, no spaces).

    What a reversible colour transform of JPEG 2000 coded is RGB once it is decoded
    (PS3.3 C.7.6.3.1.2).
    """
    colours = header.get("PhotometricInterpretation")
    values = {
        "Rows": header.get("Rows"),
        "Columns": header.get("Columns"),
        "NumberOfFrames": dataset.frame_count(header),
        "SamplesPerPixel": header.get("SamplesPerPixel"),
        "BitsStored": header.get("BitsStored"),
        "PixelRepresentation": header.get("PixelRepresentation"),
        "PhotometricInterpretation": "RGB" if colours == "YBR_RCT" else colours,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), default=str).encode()
