"""Label, macro and thumbnail: small pictures in strips, each made one frame.

JPEG strips are joined without decoding where restart markers allow; all else is
decoded and coded again without loss as reversible JPEG 2000, the one lossless
syntax that OpenSlide, wsidicom and the browser's codecs all read.
"""

from __future__ import annotations

import numpy as np

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import encoded, jpeg, segments
from sender.slides.case import SlideCase
from sender.slides.coding import JPEG_BASELINE
from sender.slides.header import Picture, Scanner, build, instance_uid
from sender.slides.segments import LARGEST, Pixels
from sender.slides.slide import Encoding, Flavor, SourceFile, VirtualInstance
from sender.slides.tiff import Page

_MOST_BYTES = 1 << 28


def instance(
    source: SourceFile,
    page: Page,
    flavor: Flavor,
    case: SlideCase,
    scanner: Scanner,
    number: int,
) -> VirtualInstance:
    """Make the virtual instance of a label, macro or thumbnail; its frame is kept in memory.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    frame, encoding, colours = _frame(source, page)
    joined = encoding == "joined"
    picture = Picture(
        flavor=flavor,
        level=None,
        number=number,
        columns=page.width,
        rows=page.length,
        tile_columns=page.width,
        tile_rows=page.length,
        frames=1,
        photometric=colours,
        encoding=encoding,
        lossy_bytes=int(page.counts.sum()) if page.compression == segments.JPEG else None,
    )
    known = flavor == "THUMBNAIL"
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, flavor, None),
        transfer_syntax_uid=JPEG_BASELINE if joined else encoded.TRANSFER_SYNTAX,
        flavor=flavor,
        level=None,
        columns=page.width,
        rows=page.length,
        tile_columns=page.width,
        tile_rows=page.length,
        spacing_um=scanner.spacing(page.width, page.length)[0] if known else None,
        photometric=colours,
        encoding=encoding,
        header=build(case, scanner, picture),
        prefix=b"",
        lengths=np.array([len(frame)], dtype=np.int64),
        unscanned=frozenset(),
        reader=lambda _: frame,
    )


def _frame(source: SourceFile, page: Page) -> tuple[bytes, Encoding, str]:
    if max(page.width, page.length) > 0xFFFF or page.width * page.length > LARGEST:
        raise SlideUnsupported(cause=f"{page.width} x {page.length} pixels in one picture")
    if page.bits != (8, 8, 8) or page.planar != 1 or page.photometric not in {2, 6}:
        raise SlideUnsupported(cause=f"samples of {page.bits} bits, colours {page.photometric}")
    if int(page.counts.sum()) > _MOST_BYTES:
        raise SlideUnsupported(cause=f"{int(page.counts.sum())} bytes in one picture")
    if not page.counts.all():
        raise SlideUnreadable(cause="a strip is missing")
    strips = [
        source.read(int(count), int(offset))
        for count, offset in zip(page.counts, page.offsets, strict=True)
    ]
    rgb = page.photometric == 2
    if page.compression == segments.JPEG:
        jpeg.check_tables(page.jpeg_tables)
        joined = jpeg.join(strips, page.jpeg_tables, page.length, rgb=rgb)
        if joined is not None and jpeg.look(joined).columns == page.width:
            return joined, "joined", jpeg.photometric(rgb=rgb)
    return encoded.encode(_decoded(strips, page)), "reencoded", "RGB"


def _decoded(strips: list[bytes], page: Page) -> Pixels:
    pixels = np.empty((page.length, page.width, 3), dtype=np.uint8)
    for i, strip in enumerate(strips):
        part = pixels[i * page.tile_length : (i + 1) * page.tile_length]
        part[:] = segments.decode(strip, page, len(part), f"strip {i}")
    return pixels
