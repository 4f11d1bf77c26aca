"""Tiled pages become a pyramid of virtual instances: one room for every TIFF format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from common.errors import SlideUnsupported
from sender.slides import coding, tiles
from sender.slides.case import SlideCase
from sender.slides.header import Picture, Scanner, build, instance_uid
from sender.slides.slide import SourceFile, VirtualInstance
from sender.slides.tiff import Page


def shrunk(base: Page, page: Page) -> bool:
    """Tell whether a page has the shape of the base, give or take a rounded pixel."""
    least, most = base.width / (page.width + 1), base.width / max(page.width - 1, 0.5)
    return base.length / most - 1 <= page.length <= base.length / least + 1


def pyramid(base: Page, pages: Iterable[Page]) -> list[Page]:
    """Return the levels, largest first, each checked against the first.

    Raises
    ------
    SlideUnsupported
        They make no pyramid.
    """
    levels = sorted(pages, key=lambda page: -page.width)
    if levels[0] is not base:
        raise SlideUnsupported(cause="a first directory that is not the largest level")
    for page in levels:
        tiles.check(page)
    for above, page in pairwise(levels):
        if page.width >= above.width:
            raise SlideUnsupported(cause="two levels of one size")
        if not shrunk(base, page):
            raise SlideUnsupported(cause="a level of another shape")
    return levels


def instance(
    source: SourceFile,
    planes: Sequence[Page],
    level: int,
    case: SlideCase,
    scanner: Scanner,
    number: int,
    *,
    believe_stream: bool = False,
) -> VirtualInstance:
    """Make the virtual instance of one level, see :func:`sender.slides.tiles.of_planes`.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    page = planes[0]
    again = coding.of_case(case)
    made = tiles.of_planes(source, planes, again, believe_stream=believe_stream)
    picture = Picture(
        flavor="VOLUME",
        level=level,
        number=number,
        columns=page.width,
        rows=page.length,
        tile_columns=made.columns,
        tile_rows=made.rows,
        frames=len(made.lengths),
        photometric=made.photometric,
        encoding=made.encoding,
        lossy_bytes=made.lossy_bytes,
        lossy_method=made.lossy_method,
        planes=len(planes),
        recoded=made.recoded,
    )
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, "VOLUME", level),
        transfer_syntax_uid=made.transfer_syntax_uid,
        flavor="VOLUME",
        level=level,
        columns=page.width,
        rows=page.length,
        tile_columns=made.columns,
        tile_rows=made.rows,
        spacing_um=scanner.spacing(page.width, page.length)[0],
        photometric=made.photometric,
        encoding=made.encoding,
        header=build(case, scanner, picture),
        prefix=made.prefix,
        lengths=made.lengths,
        unscanned=made.unscanned,
        reader=made.reader,
        recoded=made.recoded,
    )


def instances(
    source: SourceFile,
    levels: Sequence[Sequence[Page]],
    case: SlideCase,
    scanner: Scanner,
    before: int = 0,
    *,
    believe_stream: bool = False,
) -> list[VirtualInstance]:
    """Make the instances of a pyramid, smallest first.

    Parameters
    ----------
    levels : sequence of sequence of Page
        Largest first; the focal planes of each.
    before : int
        How many instances stand before the first.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    made: list[VirtualInstance] = []
    for level in range(len(levels) - 1, -1, -1):
        number = before + len(made) + 1
        made.append(
            instance(
                source, levels[level], level, case, scanner, number, believe_stream=believe_stream
            )
        )
    return made
