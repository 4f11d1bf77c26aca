"""Slides of vendors without a real file to test on, and of those with one, made small."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from samples.hamamatsu import Level, coded, write_ndpi, write_vms
from samples.philips import write_philips
from tests.sender.slides.vendor_files import tissue

FILTERS = {
    65434: ("ascii", "DAPI"),
    65449: ("ascii", "Created=2026/04/01\r\nExcitationWaveLength=387\r\n"),
    65451: ("float", 455.0),
}


def smaller(pixels: np.ndarray[Any, Any], factor: int) -> np.ndarray[Any, Any]:
    return np.asarray(Image.fromarray(pixels).reduce(factor))


@dataclass
class Ndpi:
    """What a synthetic NDPI is to be.

    Attributes
    ----------
    columns
        Width of an interval of each level; 0 for a stream without restart markers.
    """

    width: int = 1024
    height: int = 584
    columns: tuple[int, ...] = (512, 128, 0)
    chroma: str = "4:4:4"
    planes: tuple[int, ...] = (0,)
    told: bool = True
    begin: int = 12
    macro: bool = True
    more: dict[int, tuple[str, Any]] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        levels = []
        for plane in self.planes:
            base = tissue(self.width, self.height, 1 + abs(plane))
            for number, columns in enumerate(self.columns):
                pixels = smaller(base, 2**number) if number else base
                stream = coded(pixels, columns, chroma=self.chroma)
                spacing, lens = 0.5 * 2**number, 20.0 / 2**number
                size = pixels.shape[1], pixels.shape[0]
                more = dict(self.more)
                levels.append(Level(stream, *size, lens, spacing, plane, self.told, more))
        if self.macro:
            macro = tissue(400, 136, 6)
            levels.append(Level(coded(macro, 0), 400, 136, -1.0, 64.0))
        return write_ndpi(path, levels, begin=self.begin, test=False)


NDPIS = {
    "ndpi": Ndpi(),
    "ndpi 4:2:2": Ndpi(columns=(256, 128), chroma="4:2:2", told=False),
    "ndpi past 4 GiB": Ndpi(columns=(512, 256), begin=(4 << 30) + 100),
}


def vms(folder: Path, name: str = "slide") -> Path:
    base = tissue(1024, 512)
    return write_vms(folder, name, base, smaller(base, 4), tissue(400, 136, 6), 256)


def philips(path: Path, **more: Any) -> Path:
    base = tissue(1536, 1024)
    levels = [base, *(smaller(base, 2**k) for k in (1, 2, 3))]
    words: dict[str, Any] = {
        "holes": [frozenset({0, 3}), frozenset({1})],
        "label": tissue(200, 184, 3),
        "macro": tissue(400, 136, 4),
    }
    return write_philips(path, levels, **(words | more))
