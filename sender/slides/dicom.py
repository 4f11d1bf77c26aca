"""DICOM whole-slide instances as another maker wrote them: sent as they are, frame by frame.

Nothing is made here: header, offset tables and fragments are those of the file, and an
instance is taken only if its bytes follow from header and frame lengths
(:class:`common.dicom.layout.Layout`).  Whatever is built otherwise goes whole.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from common.dicom import dataset
from common.dicom.layout import Layout
from common.errors import InputError, NotDicom, SourceChanged
from sender.slides.slide import WSI_SOP_CLASS, Flavor, Slide, SourceFile, VirtualInstance

VENDOR = "dicom"
#: Bytes of a header that the opening may carry for one instance; positions of 5,000 frames
#: (TILED_SPARSE) have as many.
HEADER_MOST = 1 << 20
_EXTENDED = struct.Struct("<HH2sxxI")
#: Coded otherwise than Explicit VR Little Endian, or without fragments.
_OTHERWISE = frozenset(
    {
        dataset.IMPLICIT_LE,
        dataset.EXPLICIT_LE,
        dataset.EXPLICIT_BE,
        *dataset.DEFLATED,
    }
)


@dataclass(frozen=True, slots=True)
class Whole:
    """A data set in its file.

    Attributes
    ----------
    offset, length : int
        Bytes of the file that are the data set.
    """

    path: Path
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an instance stands among those of its slide: the smallest picture first.

    Attributes
    ----------
    of_pyramid : bool
        Label, overview and thumbnail come before the pyramid.
    pixels : int
        Of the whole level, so that the parts of a concatenation stay together.
    part : int
        In-concatenation Number (PS3.3 section C.7.6.16.2.2.4).
    """

    of_pyramid: bool
    pixels: int
    part: int


def is_slide(sop_class: str) -> bool:
    """Tell whether a SOP class is that of whole-slide images."""
    return sop_class == WSI_SOP_CLASS


def place(header: Any) -> Place:
    """Return where an instance stands; what its header does not say counts as small."""
    kind = _values(header.get("ImageType"))
    pixels = [_number(header.get(f"TotalPixelMatrix{side}")) for side in ("Columns", "Rows")]
    part = _number(header.get("InConcatenationNumber"))
    return Place("VOLUME" in kind[2:3], pixels[0] * pixels[1], part)


def flavor(header: Any) -> str:
    """Return value 3 of Image Type (PS3.3 section C.8.12.4.1.1), empty where there is none."""
    return "".join(_values(header.get("ImageType"))[2:3])


def open_instances(whole: Sequence[Whole]) -> Slide | None:
    """Open the instances of one slide, in the order in which they are to be sent.

    Returns
    -------
    Slide or None
        None where one of them cannot be sent frame by frame.

    Raises
    ------
    StorageError, NotDicom
        A file cannot be read, or is not what it was.
    """
    sources: list[SourceFile] = []
    with contextlib.ExitStack() as opened:
        made: list[VirtualInstance] = []
        for one in whole:
            source = SourceFile(one.path)
            opened.callback(source.close)
            sources.append(source)
            instance = _instance(one, source)
            if instance is None:
                return None
            made.append(instance)
        opened.pop_all()
    return Slide(whole[0].path, VENDOR, tuple(made), tuple(sources))


def _instance(one: Whole, source: SourceFile) -> VirtualInstance | None:
    if one.transfer_syntax in _OTHERWISE:
        return None
    try:
        header, pixels_at = dataset.open_header(one.path)
        end = one.offset + one.length
        pixels = dataset.find_pixels(source.fd, pixels_at, end, one.transfer_syntax)
    except (OSError, NotDicom) as failure:
        raise SourceChanged(path=one.path) from failure
    if pixels is None or len(pixels.fragments) != dataset.frame_count(header):
        return None  # frames of several fragments, or none
    spans = np.array(pixels.fragments, dtype=np.uint64)
    del pixels
    found = _laid_out(source, one, pixels_at, spans)
    if found is None:
        return None
    kind = _values(header.get("ImageType"))
    flavor = kind[2] if len(kind) > 2 and kind[2] in get_args(Flavor) else "VOLUME"
    return VirtualInstance(
        sop_instance_uid=one.sop_uid,
        transfer_syntax_uid=one.transfer_syntax,
        flavor=cast("Flavor", flavor),
        level=None,
        columns=_number(header.get("TotalPixelMatrixColumns")),
        rows=_number(header.get("TotalPixelMatrixRows")),
        tile_columns=_number(header.get("Columns")),
        tile_rows=_number(header.get("Rows")),
        spacing_um=None,
        photometric=str(header.get("PhotometricInterpretation") or ""),
        encoding="stored",
        header=found.header,
        prefix=b"",
        lengths=spans[:, 1],
        unscanned=frozenset(),
        reader=lambda i: source.read(int(spans[i, 1]), int(spans[i, 0])),
        sop_class_uid=one.sop_class,
        offsets=found.offsets,
    )


def _laid_out(source: SourceFile, one: Whole, pixels_at: int, spans: Any) -> Layout | None:
    """Return the layout that gives exactly the bytes of the file, None if there is none.

    Every fragment counts with its padding: whether its last byte is one, only its maker knows.
    """
    first = int(spans[0, 0]) - 8  # the item of the first frame
    before = source.read(first - one.offset, one.offset)
    for header_end, offsets in _headers(before, pixels_at - one.offset, len(spans)):
        if header_end > HEADER_MOST:
            continue
        try:
            layout = Layout(before[:header_end], spans[:, 1], offsets=offsets)
        except InputError:
            return None
        last = source.read(len(layout.tail), one.offset + one.length - len(layout.tail))
        # fragments follow one another: find_pixels walked from each to the next
        if (layout.head, layout.tail, layout.length) == (before, last, one.length):
            return layout
    return None


def _headers(before: bytes, pixels_at: int, frames: int) -> list[tuple[int, bool]]:
    """Return where the header may end, and whether the layout makes the offsets behind it."""
    found = [(pixels_at, True), (pixels_at, False)]
    extended = pixels_at - 2 * (_EXTENDED.size + 8 * frames)
    if extended > 0 and before[extended : extended + 4] == b"\xe0\x7f\x01\0":
        found.insert(0, (extended, True))
    return found


def _values(value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        return [value] if value else []
    return [str(one) for one in value]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
