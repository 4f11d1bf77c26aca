"""The three digests of an instance, each computed from its own end's bytes.

========  ==========================================================================
D1        SHA-256 of the encoded data set, group 0002 not included
D2        SHA-256 of the pixel data: the native value, or the fragments' bytes without
          item headers, Basic Offset Table and the padding after the last marker
D3        SHA-256 of (descriptor || SHA-256 of the stored samples, little-endian),
          for native data only; survives lossless recompression
========  ==========================================================================

For slides the frames' SHA-256 and their Merkle root stand in the place of D2.
"""

from __future__ import annotations

import array
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common import durable
from common.dicom import dataset
from common.errors import NotDicom, TodokeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Digests:
    """Hexadecimal SHA-256 values; D2 and D3 are None where there is nothing to digest."""

    d1: str
    d2: str | None = None
    d3: str | None = None


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


def of_file(path: Path, base: int, transfer_syntax_uid: str) -> Digests:
    """Digest an instance from the bytes of its file.

    Parameters
    ----------
    base : int
        Byte of the file at which the data set begins.

    Raises
    ------
    NotDicom
        The file cannot be read as a data set.
    """
    header, pixels_at = dataset.open_header(path)
    fd = durable.open_file(path)
    try:
        return _of_open_file(fd, base, pixels_at, header, transfer_syntax_uid)
    except TodokeError:
        raise
    except Exception as failure:  # pydicom raises anything when a hostile value is asked for
        raise NotDicom(cause=type(failure).__name__) from failure
    finally:
        os.close(fd)


def _of_open_file(
    fd: int, base: int, pixels_at: int, header: Dataset, transfer_syntax_uid: str
) -> Digests:
    end = os.fstat(fd).st_size
    d1 = sha256(pieces(fd, base, end - base))
    pixels = dataset.find_pixels(fd, pixels_at, end, transfer_syntax_uid)
    if pixels is None:
        return Digests(d1)
    d2 = _pixels(fd, pixels, header)
    return Digests(d1, d2, _samples(fd, pixels, header, transfer_syntax_uid, d2))


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
    samples = d2
    if transfer_syntax_uid == dataset.EXPLICIT_BE and allocated > 8:
        swapped = _swap(fd, pixels.offset, _native_length(pixels, header), allocated)
        samples = sha256(swapped)
    return hashlib.sha256(descriptor(header) + bytes.fromhex(samples)).hexdigest()


def _swap(fd: int, offset: int, length: int, allocated: int) -> Iterator[bytes]:
    for piece in pieces(fd, offset, length):
        words = array.array("H" if allocated == 16 else "I")
        words.frombytes(piece[: len(piece) // words.itemsize * words.itemsize])
        words.byteswap()
        yield words.tobytes()


def descriptor(header: Dataset) -> bytes:
    """Return what the samples are, in a canonical form (keys sorted, no spaces)."""
    values = {
        "Rows": header.get("Rows"),
        "Columns": header.get("Columns"),
        "NumberOfFrames": dataset.frame_count(header),
        "SamplesPerPixel": header.get("SamplesPerPixel"),
        "BitsStored": header.get("BitsStored"),
        "PixelRepresentation": header.get("PixelRepresentation"),
        "PhotometricInterpretation": header.get("PhotometricInterpretation"),
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), default=str).encode()


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Return the Merkle root of leaf digests (RFC 6962 section 2.1).

    Parameters
    ----------
    leaves : sequence of bytes
        SHA-256 of each frame or instance, in order.
    """
    if not leaves:
        return hashlib.sha256().hexdigest()
    row = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(row) > 1:
        paired = [
            hashlib.sha256(b"\1" + row[i] + row[i + 1]).digest() for i in range(0, len(row) - 1, 2)
        ]
        # RFC 6962 splits at the largest power of two: a lone node moves up as it is
        row = paired + ([row[-1]] if len(row) % 2 else [])
    return row[0].hex()
