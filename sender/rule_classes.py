"""SOP classes and transfer syntaxes as the rule set ``qa-v2`` sorts them (PS3.4 table B.5-1)."""

from __future__ import annotations

_ROOT = "1.2.840.10008.5.1.4.1.1."
_SYNTAX = "1.2.840.10008.1.2.4."


def _classes(*tails: str) -> frozenset[str]:
    return frozenset(_ROOT + tail for tail in tails)


CT, MR = _ROOT + "2", _ROOT + "4"
#: CR, DX, mammography, intra-oral, angiography, fluoroscopy, portal images.
PROJECTIONS = _classes(
    "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.1.1", "12.2", "12.2.1",
    "12.3", "13.1.4", "13.1.5", "481.1",
)  # fmt: skip
#: Older editions of the standard made what is compressed with loss DERIVED.
ULTRASOUND = _classes("3", "3.1", "6", "6.1", "6.2")
NUCLEAR = _classes("5", "20", "128", "128.1", "130")
#: What devices of radiology make, and endoscopes and the cameras of ophthalmology.
RADIOLOGY = PROJECTIONS | ULTRASOUND | NUCLEAR | _classes(
    "2", "2.1", "2.2", "4", "4.1", "4.2", "4.3", "4.4", "6.3",
    "13.1.1", "13.1.2", "13.1.3", "14.1", "14.2", "77.1.1", "77.1.1.1", "77.1.5.1", "77.1.5.2",
    "77.1.5.4", "77.1.5.5", "77.1.5.6", "77.1.5.7", "77.1.5.8", "481.23", "481.24",
)  # fmt: skip
SLIDES = _classes("77.1.6")
PATHOLOGY = SLIDES | _classes("77.1.2", "77.1.2.1", "77.1.3", "77.1.8", "77.1.9")
PHOTOGRAPHS = _classes("77.1", "77.2", "77.1.4", "77.1.4.1", "77.1.7")
#: Secondary capture, photographs, encapsulated documents and models.
ACCESSORY = PHOTOGRAPHS | _classes(
    "7", "7.1", "7.2", "7.3", "7.4", "104.1", "104.2", "104.3", "104.4", "104.5"
)
#: Parametric maps, segmentations, maps of eyes, dose.
DERIVED = _classes("30", "66.4", "66.7", "66.8", "81.1", "82.1", "481.2")
#: Enhanced CT and MR, whose attributes stand in functional groups (the colour one aside).
ENHANCED = _classes("2.1", "2.2", "4.1", "4.4")
#: JPEG but process 14, near-lossless JPEG-LS, video.
LOSSY = frozenset(
    _SYNTAX + tail
    for tail in (
        "50", "51", "52", "53", "54", "55", "56", "59", "60", "61", "62", "63", "64", "81",
        "100", "100.1", "101", "101.1", "102", "102.1", "103", "103.1", "104", "104.1",
        "105", "105.1", "106", "106.1", "107", "108",
    )
)  # fmt: skip
#: JPEG 2000, HTJ2K and JPEG XL that may be either.
MAYBE_LOSSY = frozenset(_SYNTAX + tail for tail in ("91", "93", "203", "111", "112"))
