"""Philips TIFF: whole JPEG tiles, sparse, and a description in XML.

Levels are padded to whole tiles; their true size is that of the first divided by a
whole factor, which their pixel spacing tells (as OpenSlide reads them).  Tiles of
no length were not scanned.  The description also holds label and macro as base64,
and codes and names that never leave this room.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import jpeg, levels, safe_xml, scale
from sender.slides.case import SlideCase
from sender.slides.header import Picture, Scanner, build, instance_uid, plain
from sender.slides.slide import Flavor, Slide, SourceFile, VirtualInstance
from sender.slides.tiff import Page

VENDOR = "philips"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

_DEEPEST, _MOST_ELEMENTS = 64, 200_000
_LONGEST_VALUE = 12 << 20  # characters: a label in base64
_LARGEST_PICTURE = 1 << 26  # pixels
_WANTED = frozenset(
    {
        "DICOM_MANUFACTURER",
        "DICOM_DEVICE_SERIAL_NUMBER",
        "DICOM_SOFTWARE_VERSIONS",
        "DICOM_ACQUISITION_DATETIME",
        "DICOM_DERIVATION_DESCRIPTION",
        "DICOM_PIXEL_SPACING",
        "PIM_DP_IMAGE_TYPE",
        "PIM_DP_IMAGE_DATA",
    }
)


def claims(pages: tuple[Page, ...]) -> bool:
    """Tell whether the directories are those of a Philips file."""
    first = pages[0]
    return first.software.startswith("Philips") and "<DataObject" in first.description[:4096]


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    words = read(pages[0].description)
    main = [one for one in words.images if one.values.get("PIM_DP_IMAGE_TYPE") == "WSI"]
    if len(main) != 1:
        raise SlideUnsupported(cause=f"{len(main)} scans in one file")
    case = case.marked(main[0].values.get("DICOM_DERIVATION_DESCRIPTION", ""))
    found = levels.pyramid(*_levels(pages, main[0]))
    scanner = _scanner(words, main[0], found[0], case)
    omitted: list[str] = []
    made: list[VirtualInstance] = []
    asked_for: tuple[tuple[str, Flavor, bool], ...] = (
        ("MACROIMAGE", "OVERVIEW", case.send_macro),
        ("LABELIMAGE", "LABEL", case.send_label),
    )
    for kind, flavor, asked in asked_for:
        for one in words.images:
            if one.values.get("PIM_DP_IMAGE_TYPE") != kind:
                continue
            if not asked:
                omitted.append(f"{flavor}: by setting")
                break
            try:
                made.append(_picture(one, flavor, case, scanner, len(made) + 1))
            except (SlideUnreadable, SlideUnsupported) as failure:  # the tissue still travels
                omitted.append(f"{flavor}: {failure.facts['cause']}")
            break
    omitted += [f"directory {page.number}: not known" for page in pages if not page.tiled]
    made += levels.instances(source, [(page,) for page in found], case, scanner, len(made))
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(made),
        sources=(source,),
        omitted=tuple(omitted),
        test=case.test,
        icc=bool(found[0].icc),
    )


def _levels(pages: tuple[Page, ...], main: Scanned) -> tuple[Page, list[Page]]:
    """Return the levels in their true sizes, tiles of mere padding left away."""
    tiled = [page for page in pages if page.tiled]
    if not tiled or tiled[0] is not pages[0]:
        raise SlideUnsupported(cause="a first directory that is not the largest level")
    if len(main.spacings) != len(tiled):
        raise SlideUnreadable(cause=f"{len(main.spacings)} pixel sizes of {len(tiled)} levels")
    base, first = tiled[0], main.spacings[0]
    kept = [base]
    for page, spacing in zip(tiled[1:], main.spacings[1:], strict=True):
        factor = round((spacing[0] / first[0] + spacing[1] / first[1]) / 2)
        width, length = base.width // max(factor, 1), base.length // max(factor, 1)
        if width < 1 or length < 1 or width > page.width or length > page.length:
            raise SlideUnreadable(cause="a level that is smaller than its pixel size says")
        kept.append(_clipped(page, width, length))
    return base, kept


def _clipped(page: Page, width: int, length: int) -> Page:
    across = -(-page.width // page.tile_width)
    rows = np.arange(-(-length // page.tile_length))[:, None]
    columns = np.arange(-(-width // page.tile_width))[None, :]
    places = (rows * across + columns).ravel()
    return replace(
        page,
        width=width,
        length=length,
        offsets=page.offsets[places],
        counts=page.counts[places],
    )


def _picture(
    one: Scanned, flavor: Flavor, case: SlideCase, scanner: Scanner, number: int
) -> VirtualInstance:
    """Make an instance of a picture in the description: a whole JPEG stream, sent as it is."""
    try:
        frame = base64.b64decode(one.values.get("PIM_DP_IMAGE_DATA", ""), validate=False)
    except ValueError as failure:  # its binascii.Error too
        raise SlideUnreadable(cause="base64 that is broken") from failure
    code = jpeg.look(frame)
    end = frame.rfind(jpeg.EOI)
    if code.tables != {0xDB, 0xC4} or end < code.data_at:
        raise SlideUnreadable(cause="a JPEG stream without its tables or its end")
    if code.columns * code.rows > _LARGEST_PICTURE:
        raise SlideUnsupported(cause=f"{code.columns} x {code.rows} pixels in one picture")
    rgb = jpeg.says_rgb(code, otherwise=False)
    frame = jpeg.SOI + jpeg.colour_marker(code, rgb=rgb) + frame[2 : end + 2]
    picture = Picture(
        flavor=flavor,
        level=None,
        number=number,
        columns=code.columns,
        rows=code.rows,
        tile_columns=code.columns,
        tile_rows=code.rows,
        frames=1,
        photometric=jpeg.photometric(rgb=rgb),
        encoding="stored",
        lossy_bytes=len(frame),
    )
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, flavor, None),
        transfer_syntax_uid=JPEG_BASELINE,
        flavor=flavor,
        level=None,
        columns=code.columns,
        rows=code.rows,
        tile_columns=code.columns,
        tile_rows=code.rows,
        spacing_um=None,
        photometric=picture.photometric,
        encoding="stored",
        header=build(case, scanner, picture),
        prefix=b"",
        lengths=np.array([len(frame)], np.int64),
        unscanned=frozenset(),
        reader=lambda _: frame,
    )


def _scanner(words: Description, main: Scanned, base: Page, case: SlideCase) -> Scanner:
    along, down = (1000 * value for value in main.spacings[0])
    stated = (along, down) if scale.plausible(along) and scale.plausible(down) else None
    spacing, down, given = scale.known(stated, case, "DICOM_PIXEL_SPACING")
    values = words.root | main.values
    power = re.search(r"-levels=(\d{1,3}),", values.get("DICOM_DERIVATION_DESCRIPTION", ""))
    moment = re.match(r"\d{14}", values.get("DICOM_ACQUISITION_DATETIME", ""))
    return Scanner(
        manufacturer=plain(values.get("DICOM_MANUFACTURER", "")) or "Philips",
        model="",
        serial=plain(values.get("DICOM_DEVICE_SERIAL_NUMBER", "")),
        software=plain(base.software),
        acquired=moment[0] if moment else "",
        objective_power=power[1] if power and 0 < int(power[1]) <= 200 else "",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=base.icc,
        spacing_down_um=down,
        spacing_given=given,
    )


@dataclass(slots=True)
class Scanned:
    """One DPScannedImage: the scan, its label or its macro.

    Attributes
    ----------
    spacings : list of (float, float)
        Pixel size of each level along a row and a column in mm.
    """

    values: dict[str, str] = field(default_factory=dict)
    spacings: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Description:
    """What the XML says, as far as it is wanted."""

    root: dict[str, str] = field(default_factory=dict)
    images: list[Scanned] = field(default_factory=list)


def read(text: str) -> Description:
    """Read the description; no entity and no document type is taken.

    Raises
    ------
    SlideUnreadable
    """
    reading = _Reading()
    safe_xml.parse(re.sub(r"^\s*<\?xml[^>]*\?>", "", text), reading, "XML")
    return reading.found


class _Reading:
    def __init__(self) -> None:
        self.found = Description()
        self._elements = 0
        self._depth = 0
        self._objects: list[str] = []
        self._name = ""
        self._parts: list[str] = []
        self._long = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._depth > _DEEPEST or self._elements > _MOST_ELEMENTS:
            raise SlideUnreadable(cause="XML that is too large")
        self._name, self._parts, self._long = "", [], 0
        if name == "DataObject":
            self._objects.append(attributes.get("ObjectType", ""))
            if self._objects[-1] == "DPScannedImage":
                self.found.images.append(Scanned())
        elif name == "Attribute" and attributes.get("Name") in _WANTED:
            self._name = attributes["Name"]

    def text(self, words: str) -> None:
        if self._name:
            self._long += len(words)
            if self._long > _LONGEST_VALUE:
                raise SlideUnreadable(cause="a picture in XML that is too large")
            self._parts.append(words)

    def end(self, name: str) -> None:
        self._depth -= 1
        if self._name:
            self._value(self._name, "".join(self._parts).strip())
        self._name = ""
        if name == "DataObject":
            self._objects.pop()

    def _value(self, name: str, value: str) -> None:
        inside = self._objects[-1] if self._objects else ""
        if inside == "DPUfsImport":
            self.found.root.setdefault(name, value)
        elif inside == "DPScannedImage":
            self.found.images[-1].values.setdefault(name, value)
        elif inside == "PixelDataRepresentation" and name == "DICOM_PIXEL_SPACING":
            self.found.images[-1].spacings.append(_pair(value))


def _pair(value: str) -> tuple[float, float]:
    """Return mm along a row and a column; the file says rows first (PS3.3 10.7.1.3)."""
    try:
        down, along = (float(part) for part in value.replace('"', " ").split())
    except ValueError:
        raise SlideUnreadable(cause="a pixel size that is no pair of numbers") from None
    if not (0 < along < 1e3 and 0 < down < 1e3):
        raise SlideUnreadable(cause="a pixel size that is none")
    return along, down
