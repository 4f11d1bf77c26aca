"""OME-TIFF of bright field: RGB of 8 bits, levels in SubIFDs, focal planes one by one.

Fluorescence, several channels, other depths and time series are refused in words:
a pathologist would take a picture made of them for the stained slide.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import levels, omexml, scale
from sender.slides.case import SlideCase
from sender.slides.generic import upright
from sender.slides.header import Scanner, plain
from sender.slides.omexml import Image, Ome
from sender.slides.slide import Slide, SourceFile
from sender.slides.tiff import Page

VENDOR = "ome-tiff"

_ROOT = re.compile(r"<(?:[\w.-]+:)?OME[\s/>]")
_MOST_PLANES = 256


def claims(pages: tuple[Page, ...]) -> bool:
    """Tell whether the first description is OME-XML."""
    return bool(_ROOT.search(pages[0].description[:4096]))


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    ome = omexml.read(pages[0].description)
    if ome.binary_only:
        raise SlideUnsupported(cause="OME-TIFF whose description lies in another file")
    image, refused = _slide(ome)
    case = case.marked(pages[0].description)
    planes = _planes(ome, image, pages, path)
    for page in planes:
        upright(page)
        if (page.width, page.length) != image.size[:2]:
            raise SlideUnreadable(cause="OME-XML and TIFF of different sizes")
    found = _pyramid(planes)
    made = levels.instances(
        source, found, case, _scanner(ome, image, planes, case), believe_stream=True
    )
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(made),
        sources=(source,),
        omitted=tuple(refused),
        test=case.test,
        icc=bool(planes[0].icc),
    )


def _slide(ome: Ome) -> tuple[Image, list[str]]:
    """Return the largest image that is a slide, and why each other one is left out."""
    if not ome.images:
        raise SlideUnreadable(cause="OME-XML without an image")
    slide: Image | None = None
    refused = {i: _refusal(image) for i, image in enumerate(ome.images)}
    for i, image in enumerate(ome.images):
        if not refused[i] and (slide is None or _area(image) > _area(slide)):
            slide = image
    if slide is None:
        raise SlideUnsupported(cause=refused[0])
    left_out = [
        f"image {i}: {refused[i] or 'not known'}"
        for i, image in enumerate(ome.images)
        if image is not slide
    ]
    return slide, left_out


def _area(image: Image) -> int:
    return image.size[0] * image.size[1]


def _refusal(image: Image) -> str:
    _, _, planes, components, times = image.size
    if image.kind != "uint8":
        return f"samples of type {image.kind[:16]}, not bright field"
    if image.samples != [3] or components != 3:
        return f"{len(image.samples)} channels of {components} components, not bright field in RGB"
    if times != 1:
        return f"a time series of {times}"
    if not 1 <= planes <= _MOST_PLANES:
        return f"{planes} focal planes"
    if planes > 1 and not image.micrometres[2]:
        return "focal planes without their distance (PhysicalSizeZ)"
    return ""


def _planes(ome: Ome, image: Image, pages: tuple[Page, ...], path: Path) -> list[Page]:
    """Return the directory of each focal plane, from the glass up."""
    depth = image.size[2]
    places: dict[int, int] = {}
    for data in image.data:
        if data.elsewhere and data.elsewhere != ome.uuid and data.name != path.name:
            raise SlideUnsupported(cause="OME-TIFF in several files")
        z, c, t = data.first
        if c or t:
            raise SlideUnreadable(cause="OME-XML that names planes which are not there")
        count = data.planes
        if count is None:  # OME-TIFF specification: all, where no directory is named
            count = depth if data.ifd is None else 1
        for i in range(min(count, _MOST_PLANES + 1)):
            if z + i in places or z + i >= depth:
                raise SlideUnreadable(cause="OME-XML that names a plane twice or beyond the end")
            places[z + i] = (data.ifd or 0) + i
    if len(places) != depth or max(places.values()) >= len(pages):
        raise SlideUnreadable(cause="OME-XML that names planes which are not there")
    if len(set(places.values())) != depth:
        raise SlideUnreadable(cause="OME-XML that names one directory for two planes")
    return [pages[places[z]] for z in range(depth)]


def _pyramid(planes: list[Page]) -> list[list[Page]]:
    """Return levels, largest first, each as its focal planes."""
    stacks = [levels.pyramid(page, (page, *page.children)) for page in planes]
    if len({len(stack) for stack in stacks}) != 1:
        raise SlideUnsupported(cause="focal planes with different levels")
    return [list(level) for level in zip(*stacks, strict=True)]


def _scanner(ome: Ome, image: Image, planes: list[Page], case: SlideCase) -> Scanner:
    base = planes[0]
    x, y, between = image.micrometres
    stated = scale.of_resolution(base)
    if x and y and scale.plausible(x) and scale.plausible(y):
        stated = (x, y)
    spacing, down, given = scale.known(stated, case, "PhysicalSizeX, PhysicalSizeY")
    maker, model, serial = ome.microscopes.get(image.instrument, ("", "", ""))
    power = ome.objectives.get(image.objective, "")
    return Scanner(
        manufacturer=plain(maker),
        model=plain(model),
        serial=plain(serial),
        software=plain(ome.creator),
        acquired="",
        objective_power=power if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", power) else "",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=base.icc,
        spacing_down_um=down,
        plane_step_um=between if len(planes) > 1 else None,
        spacing_given=given,
    )
