"""A code of the patient inside the pixels, so that a picture can be held against a name.

A grid of 8 x 6 square cells in the top left corner, one cell of margin around it,
a cell being 1/64 of the image's width: it is read from the stored pixels as well as
from a picture of the whole image after windowing, at any size.

Rows from the top: finder ``10101100``; patient code, 2 x 8 bits; slice number,
2 x 8 bits; CRC-8 (polynomial 07) over those four bytes.  White is 1.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from common.errors import InputError

FINDER: Final = 0b10101100
CELLS_ACROSS_IMAGE: Final = 64
_COLUMNS = 8
_ROWS = 6


def draw_code(
    pixels: npt.NDArray[Any], patient_code: int, number: int, *, low: int, high: int
) -> None:
    """Draw the code into an image, in place.

    Parameters
    ----------
    pixels
        Rows x columns, at least 64 columns.
    patient_code, number
        16 bits each: the patient and the slice.
    low, high
        Pixel values of black and white.
    """
    cell = pixels.shape[1] // CELLS_ACROSS_IMAGE
    payload = patient_code.to_bytes(2, "big") + number.to_bytes(2, "big")
    rows = bytes([FINDER]) + payload + bytes([_crc8(payload)])
    bits = np.unpackbits(np.frombuffer(rows, np.uint8)).reshape(_ROWS, _COLUMNS)
    framed = np.pad(bits, 1)  # the margin is black: a white neighbour would blur in
    block = np.where(np.kron(framed, np.ones((cell, cell), np.uint8)), high, low)
    pixels[: block.shape[0], : block.shape[1]] = block


def read_code(pixels: npt.NDArray[Any]) -> tuple[int, int]:
    """Read patient code and slice number from a picture of the whole image.

    Parameters
    ----------
    pixels
        Rows x columns (grey) or rows x columns x 3 or 4 (colour), any type and size.

    Raises
    ------
    InputError
        No finder, or a checksum that does not hold.
    """
    grey = np.asarray(pixels, np.float64)
    if grey.ndim == 3:
        grey = grey[..., :3].mean(axis=2)
    cell = grey.shape[1] / CELLS_ACROSS_IMAGE
    means = np.array(
        [[_cell_mean(grey, row, column, cell) for column in range(8)] for row in range(_ROWS)]
    )
    finder = np.unpackbits(np.array([FINDER], np.uint8)).astype(bool)
    white, black = means[0][finder].mean(), means[0][~finder].mean()
    if white == black:
        raise InputError(cause="no code in the pixels")
    bits = (means - black) / (white - black) > 0.5  # holds for an inverted picture too
    rows = np.packbits(bits, axis=1).tobytes()
    if rows[0] != FINDER or _crc8(rows[1:5]) != rows[5]:
        raise InputError(cause="no code in the pixels")
    return int.from_bytes(rows[1:3], "big"), int.from_bytes(rows[3:5], "big")


def _cell_mean(grey: npt.NDArray[np.float64], row: int, column: int, cell: float) -> float:
    """Return the mean over the inner half of one cell, at least one pixel."""
    top, left = int((row + 1.25) * cell), int((column + 1.25) * cell)
    side = max(1, int(cell / 2))
    return float(grey[top : top + side, left : left + side].mean())


def _crc8(payload: bytes) -> int:
    crc = 0
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
