"""Bitmaps of the link: which frames or instances are there."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from common.errors import ProtocolError


def pack_bits(present: Iterable[int], count: int) -> str:
    """Return a bitmap in base64; bit i of byte i // 8, least significant first."""
    bits = bytearray((count + 7) // 8)
    for i in present:
        bits[i >> 3] |= 1 << (i & 7)
    return base64.b64encode(bits).decode("ascii")


def unpack_bits(bitmap: str, count: int) -> set[int]:
    """Return the numbers that are in a bitmap.

    Raises
    ------
    ProtocolError
        It has another size than `count` bits.
    """
    try:
        bits = base64.b64decode(bitmap, validate=True)
    except (TypeError, ValueError) as failure:
        raise ProtocolError(cause="a bitmap") from failure
    if len(bits) != (count + 7) // 8:
        raise ProtocolError(cause="a bitmap")
    return {i for i in range(count) if bits[i >> 3] >> (i & 7) & 1}
