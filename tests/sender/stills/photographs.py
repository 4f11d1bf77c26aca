"""Photographs as cameras and microscopes store them, made in the test."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from sender.slides.icc import assumed_srgb
from tests.sender.slides.vendor_files import tissue

PIXELS = tissue(301, 211, 3)
PROFILE = assumed_srgb()
NAME = "YAMADA Taro 山田太郎"


def telling(orientation: int = 1) -> Image.Exif:
    """What a camera writes: itself, the time, a person and a place."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B] = "OLYMPUS", "DP27", NAME
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2026:03:31 10:11:12"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def photograph(kind: str, pixels: np.ndarray[Any, Any] = PIXELS, **options: Any) -> bytes:
    """The bytes of a file in the format `kind`."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def jpeg(pixels: np.ndarray[Any, Any] = PIXELS, **options: Any) -> bytes:
    """A JPEG with a profile and all that a camera tells."""
    return photograph(
        "JPEG", pixels, **{"exif": telling(), "icc_profile": PROFILE, "comment": NAME} | options
    )
