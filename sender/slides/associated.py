"""Label, macro and thumbnail: small pictures in strips, each made one frame.

JPEG strips are joined without decoding where restart markers allow; all else is
decoded and coded again without loss as reversible JPEG 2000, the one lossless
syntax that OpenSlide, wsidicom and the browser's codecs all read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported, TodokeError
from sender.slides import jpeg
from sender.slides.case import SlideCase
from sender.slides.header import Picture, Scanner, build, instance_uid
from sender.slides.slide import Encoding, Flavor, SourceFile, VirtualInstance
from sender.slides.tiff import Page

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"

_MOST_BYTES = 1 << 28
_LARGEST = 1 << 26  # pixels decoded at once: 8192 x 8192
_JPEG, _LZW, _DEFLATE = 7, 5, frozenset({8, 32946})


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
        lossy_bytes=int(page.counts.sum()) if page.compression == _JPEG else None,
    )
    known = flavor == "THUMBNAIL"
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, flavor, None),
        transfer_syntax_uid=JPEG_BASELINE if joined else JPEG_2000_LOSSLESS,
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
    if max(page.width, page.length) > 0xFFFF or page.width * page.length > _LARGEST:
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
    if page.compression == _JPEG:
        jpeg.check_tables(page.jpeg_tables)
        joined = jpeg.join(strips, page.jpeg_tables, page.length, rgb=rgb)
        if joined is not None and jpeg.look(joined).columns == page.width:
            return joined, "joined", jpeg.photometric(rgb=rgb)
    return _encoded(_decoded(strips, page)), "reencoded", "RGB"


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    import imagecodecs

    # without colour transform: what stands in the stream is what the header says, RGB
    stream = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="j2k", reversible=True, mct=False, numthreads=1
    )
    return bytes(stream)


def _decoded(strips: list[bytes], page: Page) -> npt.NDArray[np.uint8]:
    pixels = np.empty((page.length, page.width, 3), dtype=np.uint8)
    for i, strip in enumerate(strips):
        part = pixels[i * page.tile_length : (i + 1) * page.tile_length]
        try:
            part[:] = _strip(strip, page, part.shape)
        except TodokeError:
            raise
        except Exception as failure:  # each codec of imagecodecs has an error of its own
            raise SlideUnreadable(cause=f"strip {i}: {type(failure).__name__}") from failure
    return pixels


def _strip(strip: bytes, page: Page, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    import imagecodecs

    if page.compression == _JPEG:
        code = jpeg.look(strip)
        if (code.rows, code.columns) != shape[:2]:
            raise SlideUnreadable(cause="a JPEG strip of another size")
        space = "RGB" if page.photometric == 2 else "YCBCR"
        pixels = imagecodecs.jpeg8_decode(
            strip, tables=page.jpeg_tables or None, colorspace=space, outcolorspace="RGB"
        )
        return np.asarray(pixels)
    size = shape[0] * shape[1] * shape[2]
    if page.compression == 1:
        raw: bytes | bytearray = strip
    elif page.compression == _LZW:
        raw = imagecodecs.lzw_decode(strip, out=size)
    elif page.compression in _DEFLATE:
        raw = imagecodecs.zlib_decode(strip, out=size)
    else:
        raise SlideUnsupported(cause=f"compression {page.compression}")
    if len(raw) != size or page.photometric != 2:
        raise SlideUnreadable(cause="a strip of another size")
    pixels = np.frombuffer(raw, np.uint8).reshape(shape)
    if page.predictor == 2:
        return np.asarray(imagecodecs.delta_decode(pixels, axis=1))
    if page.predictor != 1:
        raise SlideUnsupported(cause=f"predictor {page.predictor}")
    return pixels
