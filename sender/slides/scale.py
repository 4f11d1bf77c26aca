"""The pixel size that a file states, or that a person attests; never one that is made up."""

from __future__ import annotations

from common.errors import SlideUnsupported
from sender.slides.case import SlideCase
from sender.slides.tiff import Page

#: Micrometres that a pixel of a scanned slide can have; 72 dpi, which programs
#: write when they know nothing, would be 353.
LEAST, MOST = 0.01, 20.0

_UNITS = {2: 25_400.0, 3: 10_000.0}  # TIFF 6.0 ResolutionUnit: inch, centimetre


def plausible(spacing: float | None) -> bool:
    """Tell whether micrometres are a scanner's."""
    return spacing is not None and LEAST <= spacing <= MOST


def of_resolution(page: Page) -> tuple[float, float] | None:
    """Return micrometres along a row and a column by XResolution and YResolution."""
    unit = _UNITS.get(page.resolution_unit)
    if unit is None or page.resolution is None:
        return None
    across, down = unit / page.resolution[0], unit / page.resolution[1]
    return (across, down) if plausible(across) and plausible(down) else None


def known(
    stated: tuple[float, float] | None, case: SlideCase, tag: str
) -> tuple[float, float, bool]:
    """Return micrometres along a row and a column, and whether a person gave them.

    Parameters
    ----------
    stated : tuple of float or None
        By the file.
    tag : str
        Where the file would have stated them.

    Raises
    ------
    SlideUnsupported
        Nobody says it.
    """
    if stated is not None:
        return *stated, False
    if case.spacing_um is None or not 1e-3 <= case.spacing_um <= 1e3:
        raise SlideUnsupported(cause=f"no pixel size ({tag}); a person must attest it, --spacing")
    return case.spacing_um, case.spacing_um, True
