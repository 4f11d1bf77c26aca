"""A data set with its pixels coded, spliced from the bytes of the native one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from common.dicom.samples import HTJ2K, JPEG_LS, Shape
from sender.compression.eligible import Native

if TYPE_CHECKING:
    import numpy.typing as npt

    Frame = npt.NDArray[Any]

#: OpenJPH makes its tables in the first encoding: a second thread that begins meanwhile
#: codes wrong samples by half of them.
_first = threading.Lock()


@dataclass(frozen=True, slots=True)
class Spliced:
    """A data set as it is sent.

    Attributes
    ----------
    parts : tuple of bytes
        In order; what lies around the pixel element are views into the native data set.
    length : int
        Bytes of all parts.
    """

    transfer_syntax_uid: str
    parts: tuple[bytes | memoryview, ...]
    length: int


def compress(
    data_set: bytes | bytearray, native: Native, transfer_syntax_uid: str
) -> Spliced | None:
    """Return a data set with its pixels in HTJ2K or JPEG-LS, both lossless.

    Returns
    -------
    Spliced or None
        None where the instance is to go as it was: a cell holds more than its sample,
        the codec fails, or saves nothing.
    """
    from common.dicom.layout import Layout

    view = memoryview(data_set)
    codes: list[bytes] = []
    size, shape = native.shape.frame_bytes, native.shape
    for number in range(shape.frames):
        raw = view[native.value + number * size : native.value + (number + 1) * size]
        code = _code(raw, shape, transfer_syntax_uid)
        if code is None:
            return None
        codes.append(code)
    layout = Layout(bytes(view[: native.element]), [len(code) for code in codes])
    tail = view[native.end :]
    length = layout.length + len(tail)
    if length >= len(data_set):
        return None
    parts: list[bytes | memoryview] = [*layout.stream(lambda i: codes[i]), tail]
    return Spliced(transfer_syntax_uid, tuple(parts), length)


def load() -> None:
    """Load the codecs, before the first image needs them."""
    import common.dicom.layout  # noqa: F401

    _encoders()


def _code(raw: memoryview, shape: Shape, transfer_syntax_uid: str) -> bytes | None:
    import numpy as np

    frame = np.frombuffer(raw, shape.word).reshape(shape.rows, shape.columns)
    if not _only_samples(frame, shape):
        return None
    try:
        return _encoders()[transfer_syntax_uid](frame)
    except Exception:  # of a codec's library; the instance goes as it was
        return None


def _only_samples(frame: Frame, shape: Shape) -> bool:
    """Whether the unused bits of every cell are what a decoder puts there.

    Zero, or the sign: only then do readers of the coded image see the same values.
    """
    if shape.stored == shape.allocated:
        return True
    low, high = (-1 << shape.stored - 1, 1 << shape.stored - 1) if shape.signed else (
        0, 1 << shape.stored,
    )  # fmt: skip
    return bool(low <= int(frame.min()) and int(frame.max()) < high)


def _encoders() -> dict[str, Callable[[Frame], bytes]]:
    with _first:
        return _load()


@cache
def _load() -> dict[str, Callable[[Frame], bytes]]:
    import imagecodecs
    import numpy as np

    htj2k, jpegls = imagecodecs.htj2k_encode, imagecodecs.jpegls_encode
    encoders: dict[str, Callable[[Frame], bytes]] = {
        HTJ2K: lambda frame: bytes(htj2k(frame, reversible=True)),
        JPEG_LS: lambda frame: _without_spiff(bytes(jpegls(frame.view(f"u{frame.itemsize}")))),
    }
    for encode in encoders.values():
        for word in ("<u1", "<i1", "<u2", "<i2"):
            encode(np.arange(64 * 64).reshape(64, 64).astype(word))
    return encoders


def _without_spiff(code: bytes) -> bytes:
    """Take out the file header that the library writes: DICOM has none, and its says RGB."""
    at = 2
    while code[at : at + 2] == b"\xff\xe8":
        at += 2 + int.from_bytes(code[at + 2 : at + 4], "big")
    return code[:2] + code[at:]
