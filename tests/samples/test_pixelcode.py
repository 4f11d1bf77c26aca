from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from samples.names import PATIENTS, patient_code
from samples.pixelcode import draw_code, read_code


def coded(size: int = 512, *, code: int = 0xBEEF, number: int = 77) -> np.ndarray:
    pixels = np.random.default_rng(3).integers(-1000, 900, (size, size)).astype(np.int16)
    draw_code(pixels, code, number, low=-1024, high=3071)
    return pixels


@pytest.mark.parametrize("size", [64, 256, 512])
def test_code_comes_back_at_the_size_it_was_drawn(size: int) -> None:
    assert read_code(coded(size)) == (0xBEEF, 77)


@pytest.mark.parametrize("side", [300, 512, 733, 1024])
def test_code_survives_windowing_colour_and_resizing(side: int) -> None:
    grey = np.clip((coded() + 160) * (255 / 400), 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    assert read_code(np.asarray(picture)) == (0xBEEF, 77)
    assert read_code(255 - np.asarray(picture)) == (0xBEEF, 77)


def test_every_flipped_cell_is_noticed() -> None:
    cell = 512 // 64
    for row in range(6):
        for column in range(8):
            pixels = coded()
            part = pixels[
                (row + 1) * cell : (row + 2) * cell, (column + 1) * cell : (column + 2) * cell
            ]
            part[:] = 2047 - part
            with pytest.raises(InputError):
                read_code(pixels)


@pytest.mark.parametrize("picture", [np.zeros((512, 512)), np.eye(512) * 99])
def test_a_picture_without_code_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(InputError):
        read_code(picture)


def test_patients_have_codes_of_their_own_and_the_issuer_counts() -> None:
    assert len({patient.code for patient in PATIENTS}) == len(PATIENTS)
    assert patient_code("1310000001", "0001") != patient_code("2710000002", "0001")
