"""Tiled pyramidal TIFF and BigTIFF of no scanner in particular (TIFF 6.0; TIFF/EP for SubIFDs).

The largest tiled directory is the slide; smaller ones of its shape, beside it or
among its SubIFDs, are its levels.  A file without tiles is cut into tiles.
"""

from __future__ import annotations

from pathlib import Path

from common.errors import SlideUnsupported, TodokeError
from sender.slides import levels, scale, tiles
from sender.slides.case import SlideCase
from sender.slides.header import Scanner, plain
from sender.slides.slide import Slide, SourceFile
from sender.slides.tiff import Page

VENDOR = "generic-tiff"


def claims(pages: tuple[Page, ...]) -> bool:
    """Claim every TIFF: this format is asked last."""
    return bool(pages)


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    base = max(pages, key=lambda page: (page.tiled, page.width * page.length))
    case = case.marked(pages[0].description)
    tiles.check(base)
    upright(base)
    found, omitted = _levels(base, pages)
    spacing, down, given = scale.known(scale.of_resolution(base), case, "XResolution, YResolution")
    scanner = Scanner(
        manufacturer=plain(base.make),
        model=plain(base.model),
        serial="",
        software=plain(base.software),
        acquired="",  # DateTime is that of the last conversion as often as not
        objective_power="",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=base.icc,
        spacing_down_um=down,
        spacing_given=given,
    )
    made = levels.instances(source, [(page,) for page in found], case, scanner, believe_stream=True)
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(made),
        sources=(source,),
        omitted=tuple(omitted),
        test=case.test,
        icc=bool(base.icc),
    )


def upright(page: Page) -> None:
    """Refuse a picture that lies on its side or is mirrored: DICOM has no word for it here.

    Raises
    ------
    SlideUnsupported
    """
    if page.orientation != 1:
        raise SlideUnsupported(
            cause=f"a picture turned or mirrored (Orientation {page.orientation})"
        )


def _levels(base: Page, pages: tuple[Page, ...]) -> tuple[list[Page], list[str]]:
    found, omitted = [base], []
    others = [page for page in pages if page is not base]
    named = [(f"directory {page.number}", page) for page in others]
    named += [
        (f"SubIFD {i} of directory {page.number}", page) for i, page in enumerate(base.children)
    ]
    for name, page in sorted(named, key=lambda pair: -pair[1].width):
        try:
            tiles.check(page)
        except TodokeError as failure:
            omitted.append(f"{name}: {failure.facts['cause']}")
            continue
        if page.tiled != base.tiled or not levels.shrunk(base, page):
            omitted.append(f"{name}: no level, not known")
        elif page.width >= found[-1].width:
            omitted.append(f"{name}: a second level of its size")
        else:
            found.append(page)
    return found, omitted
