"""The colour profile for slides whose file holds none.

DICOM asks for one with every colour image (PS3.3 C.8.12.5, C.11.15), and a
profile made by a library carries the time of its making, so headers would
differ from one opening to the next.  This one is sRGB by its definition
(IEC 61966-2-1; ICC.1:2022), says in its name that it is assumed, and never
changes.
"""

from __future__ import annotations

import struct

NAME = "sRGB (assumed: no profile in the source file)"

# sRGB primaries adapted to the D50 of the connection space, and its white point
_COLORANTS = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
    b"wtpt": (0.96420, 1.00000, 0.82491),
}
_D65_TO_D50 = (1.04788, 0.02292, -0.05020, 0.02959, 0.99048, -0.01706, -0.00923, 0.01508, 0.75168)
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # parametric type 3


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(words: str) -> bytes:
    raw = words.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(raw), 28) + raw


def assumed_srgb() -> bytes:
    """Return an ICC version 4 input profile of sRGB, the same bytes always."""
    curve = b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(_CURVE)
    tags = {b"desc": _text(NAME), b"cprt": _text("No copyright, use freely")}
    tags |= {name: b"XYZ \0\0\0\0" + _fixed(xyz) for name, xyz in _COLORANTS.items()}
    tags |= {b"chad": b"sf32\0\0\0\0" + _fixed(_D65_TO_D50)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, places = [], b"", {}
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + b"\0" * (-len(value) % 4)
        table.append(name + struct.pack(">II", places[value], len(value)))
    head = struct.pack(
        ">I4xI4s4s4s6H4s4xI4x4x8xI12s4x",
        start + len(body), 0x04300000, b"scnr", b"RGB ", b"XYZ ", 2020, 1, 1, 0, 0, 0, b"acsp",
        0, 0, _fixed((0.9642, 1.0, 0.8249)),
    )  # fmt: skip
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + b"".join(table) + body
