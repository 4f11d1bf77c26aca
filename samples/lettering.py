"""The word 試験 as a picture, so that no font is needed to put it into the pixels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_ROWS: Final = bytes.fromhex(
    "00000000000000 00001800001c00 0fe01f03fe1e00 0fe01b83fe3f00 00001983307780 "
    "0000190330f3c0 1fffff83fde1e0 1fffff83ffe1e0 000fff8331ffe0 0fe01803307f80 "
    "0fe01c03fc0c00 00001c03fcffe0 0fefdc0330ffe0 0fefdc0330cce0 00031c03ffcce0 "
    "00031c03ffcce0 0fe31c0006ffe0 0fe31c0216ffe0 0ce30c03fe1e00 0ce3ac86be3f00 "
    "0cefefc6ae7b80 0fefef868ef3c0 0fef07840fe1e0 0c0007003fc0e0 000000003d8040 "
)
_WORD: Final = np.unpackbits(np.frombuffer(_ROWS, np.uint8).reshape(25, 7), axis=1)


def word_ink(scale: int = 1) -> npt.NDArray[np.bool_]:
    """Return the word as rows x columns, 25 x 56 pixels at scale 1, True where there is ink."""
    ink: npt.NDArray[np.bool_] = np.kron(_WORD, np.ones((scale, scale), np.uint8)).astype(bool)
    return ink


def stamp_test_word(pixels: npt.NDArray[Any], value: Any, scale: int = 1) -> None:
    """Put the word into the top right corner of an image, in place."""
    ink = word_ink(scale)
    corner = pixels[4 : 4 + ink.shape[0], -4 - ink.shape[1] : -4]
    corner[ink] = value
