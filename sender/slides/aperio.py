"""Aperio SVS: a TIFF whose tiles are abbreviated JPEG or JPEG 2000 codestreams.

Tiled directories are the levels of the pyramid.  Striped ones are the
thumbnail (the second directory) and, by the first word of the second line of
their description, label and macro.  The description of the first holds
``|key = value`` pairs.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.errors import SlideUnsupported
from sender.slides import associated, levels, scale
from sender.slides.case import SlideCase
from sender.slides.header import Scanner, plain
from sender.slides.slide import Flavor, Slide, SourceFile, VirtualInstance
from sender.slides.tiff import Page

VENDOR = "aperio"


def claims(pages: tuple[Page, ...]) -> bool:
    """Tell whether the directories are those of an Aperio file."""
    return pages[0].description.startswith("Aperio") and pages[0].tiled


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances of an Aperio file.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    pyramid = levels.pyramid(pages[0], (page for page in pages if page.tiled))
    keys = _keys(pages[0].description)
    scanner = _scanner(keys, pyramid[0], case)
    case = case.marked(pages[0].description)
    found, omitted = _associated(pages, case)
    instances: list[VirtualInstance] = []
    for flavor, page in found:
        number = len(instances) + 1
        try:
            made = associated.instance(source, page, flavor, case, scanner, number)
        except SlideUnsupported as failure:  # the tissue still travels
            omitted.append(f"{flavor}: {failure.facts['cause']}")
        else:
            instances.append(made)
    instances += levels.instances(
        source, [(page,) for page in pyramid], case, scanner, len(instances)
    )
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(instances),
        sources=(source,),
        omitted=tuple(omitted),
        test=case.test,
        icc=bool(pyramid[0].icc),
    )


def _associated(
    pages: tuple[Page, ...], case: SlideCase
) -> tuple[list[tuple[Flavor, Page]], list[str]]:
    found: dict[Flavor, Page] = {}
    omitted: list[str] = []
    for page in pages[1:]:
        if page.tiled:
            continue
        lines = page.description.splitlines()
        word = lines[1].split(" ")[0].lower() if len(lines) > 1 else ""
        flavor: Flavor
        if word == "label":
            flavor = "LABEL"
        elif word == "macro":
            flavor = "OVERVIEW"
        elif page.number == 1 and _same_shape(page, pages[0]):
            flavor = "THUMBNAIL"
        elif page.number == 1:  # it shows more than was scanned
            omitted.append("THUMBNAIL: of another shape than the scan, the label may be in it")
            continue
        else:
            omitted.append(f"directory {page.number}: not known")
            continue
        if (flavor == "LABEL" and not case.send_label) or (
            flavor == "OVERVIEW" and not case.send_macro
        ):
            omitted.append(f"{flavor}: by setting")
        elif flavor in found:
            omitted.append(f"directory {page.number}: a second {flavor}")
        else:
            found[flavor] = page
    order: tuple[Flavor, ...] = ("THUMBNAIL", "OVERVIEW", "LABEL")
    return [(flavor, found[flavor]) for flavor in order if flavor in found], omitted


def _same_shape(page: Page, base: Page) -> bool:
    """Whether a picture can be the whole scan made smaller, give or take a rounded pixel."""
    across, down = page.width / base.width, page.length / base.length
    return abs(across - down) * max(base.width, base.length) <= 1.5


def _keys(description: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in description.split("|")[1:]:
        name, equals, value = pair.partition("=")
        if equals:
            keys.setdefault(name.strip(), value.strip())
    return keys


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1e-3 <= value <= 1e3 else None


def _scanner(keys: dict[str, str], base: Page, case: SlideCase) -> Scanner:
    mpp = _positive(keys.get("MPP", ""))
    spacing, _, given = scale.known((mpp, mpp) if mpp else None, case, "MPP")
    power = keys.get("AppMag", "")
    version = re.match(r"Aperio[^\r\n|;]*?\b(v[\w.]+)", base.description)
    return Scanner(
        manufacturer="Aperio",
        model=plain(keys.get("ScannerType", "")) or "ScanScope",
        serial=plain(keys.get("ScanScope ID", "")) or "UNKNOWN",
        software=plain(version.group(1)) if version else "UNKNOWN",
        acquired=_acquired(keys),
        objective_power=power if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", power) else "",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=base.icc,
        spacing_given=given,
    )


def _acquired(keys: dict[str, str]) -> str:
    day = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d(?:\d\d)?)", keys.get("Date", ""))
    if not day or not (1 <= int(day[1]) <= 12 and 1 <= int(day[2]) <= 31):
        return ""
    year = day[3] if len(day[3]) == 4 else f"20{day[3]}"
    clock = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", keys.get("Time", ""))
    zone = re.fullmatch(r"GMT([+-](?:0\d|1[0-4])):?([0-5]\d)", keys.get("Time Zone", ""))
    time = "".join(clock.groups()) if clock else "000000"
    return f"{year}{day[1]}{day[2]}{time}" + ("".join(zone.groups()) if zone else "")
