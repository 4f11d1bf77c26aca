"""What lit a slide, in the words of the header (PS3.3 C.8.12.5; PS3.16 CID 8122, 8123)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sender.slides.elements import code


@dataclass(frozen=True, slots=True)
class Fluorescence:
    """The light of a fluorescence scan, as the vendor file tells it.

    Attributes
    ----------
    filters : str
        Name of the filter set.
    excitation_nm, emission_nm : float or None
        Wavelengths, where the file holds them.
    """

    filters: str
    excitation_nm: float | None
    emission_nm: float | None

    @property
    def description(self) -> str:
        """Words for Optical Path Description."""
        words = f"filter set {self.filters}"
        if self.emission_nm is not None:
            words += f", emission {self.emission_nm:g} nm"
        return words[:64]


def illumination(fluorescence: Fluorescence | None) -> Iterator[tuple[str, Any]]:
    """Yield the elements of illumination: a colour or a wave length must stand."""
    if fluorescence is None:
        yield "IlluminationTypeCodeSequence", code("111744", "DCM", "Brightfield illumination")
        yield "IlluminationColorCodeSequence", code("414298005", "SCT", "Full Spectrum")
        return
    kind = code("111743", "DCM", "Epifluorescence illumination")
    yield "IlluminationTypeCodeSequence", kind
    if fluorescence.excitation_nm is not None:
        yield "IlluminationWaveLength", fluorescence.excitation_nm
    else:
        yield "IlluminationColorCodeSequence", code("414298005", "SCT", "Full Spectrum")
