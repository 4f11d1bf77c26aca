"""The OME-XML of a TIFF, read without trust.

No entity and no document type is taken, so nothing can be expanded or fetched;
depth and number of elements are bounded.  Only what a slide needs is kept.
(OME Data Model 2016-06; OME-TIFF specification 6.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from common.errors import SlideUnreadable
from sender.slides import safe_xml

DEEPEST = 64
MOST_ELEMENTS = 200_000

# PhysicalSizeXUnit in micrometres; "pixel" and "reference frame" are no lengths
_MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "Å": 1e-4,
    "in": 25_400.0,
}


@dataclass(frozen=True, slots=True)
class TiffData:
    """Which directories hold which planes.

    Attributes
    ----------
    ifd, planes : int or None
        First directory and how many; None where the file does not say.
    elsewhere : str
        UUID of the file that holds them, "" for this one.
    """

    ifd: int | None
    planes: int | None
    first: tuple[int, int, int]  # Z, C, T
    elsewhere: str
    name: str


@dataclass(slots=True)
class Image:
    """One image of the file.

    Attributes
    ----------
    size : tuple of int
        X, Y, Z, C, T.
    micrometres : tuple of float or None
        Pixel size along X, Y and Z.
    samples : list of int
        Samples per pixel of each channel.
    """

    name: str
    acquired: str = ""
    instrument: str = ""
    objective: str = ""
    size: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    kind: str = ""
    micrometres: tuple[float | None, float | None, float | None] = (None, None, None)
    samples: list[int] = field(default_factory=list)
    data: list[TiffData] = field(default_factory=list)


@dataclass(slots=True)
class Ome:
    """What a file says of itself."""

    uuid: str = ""
    creator: str = ""
    binary_only: bool = False
    images: list[Image] = field(default_factory=list)
    microscopes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    objectives: dict[str, str] = field(default_factory=dict)  # nominal magnification


def read(text: str) -> Ome:
    """Read OME-XML.

    Raises
    ------
    SlideUnreadable
        It is not well formed, or holds what no such file needs.
    """
    reading = _Reading()
    # declared or not, the text was decoded before
    safe_xml.parse(text, reading, "OME-XML", " ")
    return reading.ome


class _Reading:
    def __init__(self) -> None:
        self.ome = Ome()
        self._path: list[str] = []
        self._elements = 0
        self._instrument = ""
        self._uuid: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._path) == DEEPEST or self._elements > MOST_ELEMENTS:
            raise SlideUnreadable(cause="OME-XML that is too large")
        self._path.append(name.rpartition(" ")[2])
        known = getattr(self, f"_on_{self._path[-1].lower()}", None)
        if known is not None:
            known(attributes)

    def end(self, _name: str) -> None:
        if self._path.pop() == "UUID" and self._uuid is not None:
            data = self.ome.images[-1].data
            last = data[-1]
            data[-1] = TiffData(
                last.ifd, last.planes, last.first, "".join(self._uuid).strip(), last.name
            )
            self._uuid = None

    def text(self, words: str) -> None:
        if self._uuid is not None and len(self._uuid) < 64:
            self._uuid.append(words)

    def _inside(self, *path: str) -> bool:
        return tuple(self._path[-1 - len(path) : -1]) == path

    def _on_ome(self, attributes: dict[str, str]) -> None:
        self.ome.uuid = attributes.get("UUID", "")
        self.ome.creator = attributes.get("Creator", "")

    def _on_binaryonly(self, _attributes: dict[str, str]) -> None:
        self.ome.binary_only = True

    def _on_instrument(self, attributes: dict[str, str]) -> None:
        self._instrument = attributes.get("ID", "")

    def _on_microscope(self, attributes: dict[str, str]) -> None:
        words = tuple(attributes.get(k, "") for k in ("Manufacturer", "Model", "SerialNumber"))
        self.ome.microscopes[self._instrument] = (words[0], words[1], words[2])

    def _on_objective(self, attributes: dict[str, str]) -> None:
        power = attributes.get("NominalMagnification", "")
        self.ome.objectives[attributes.get("ID", "")] = power

    def _on_image(self, attributes: dict[str, str]) -> None:
        if self._inside("OME"):
            self.ome.images.append(Image(attributes.get("Name", "")))

    def _image(self) -> Image:
        if "Image" not in self._path or not self.ome.images:
            raise SlideUnreadable(cause="OME-XML with pixels outside an image")
        return self.ome.images[-1]

    def _on_instrumentref(self, attributes: dict[str, str]) -> None:
        if self._inside("Image"):
            self._image().instrument = attributes.get("ID", "")

    def _on_objectivesettings(self, attributes: dict[str, str]) -> None:
        if self._inside("Image"):
            self._image().objective = attributes.get("ID", "")

    def _on_pixels(self, attributes: dict[str, str]) -> None:
        image = self._image()
        x, y, z, c, t = (_whole(attributes, f"Size{axis}") for axis in "XYZCT")
        image.size = (x, y, z, c, t)
        image.kind = attributes.get("Type", "")
        along = [_length(attributes, f"PhysicalSize{axis}") for axis in "XYZ"]
        image.micrometres = (along[0], along[1], along[2])

    def _on_channel(self, attributes: dict[str, str]) -> None:
        if self._inside("Pixels"):
            self._image().samples.append(_whole(attributes, "SamplesPerPixel", 1))

    def _on_tiffdata(self, attributes: dict[str, str]) -> None:
        first = tuple(_whole(attributes, f"First{axis}", 0) for axis in "ZCT")
        ifd = _whole(attributes, "IFD") if "IFD" in attributes else None
        planes = _whole(attributes, "PlaneCount") if "PlaneCount" in attributes else None
        data = TiffData(ifd, planes, (first[0], first[1], first[2]), "", "")
        self._image().data.append(data)

    def _on_uuid(self, attributes: dict[str, str]) -> None:
        if self._inside("TiffData"):
            data = self._image().data
            last, name = data[-1], attributes.get("FileName", "")
            data[-1] = TiffData(last.ifd, last.planes, last.first, "", name)
            self._uuid = []


def _whole(attributes: dict[str, str], name: str, missing: int = -1) -> int:
    text = attributes.get(name)
    if text is None and missing >= 0:
        return missing
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SlideUnreadable(cause=f"OME-XML whose {name} is no number")
    return int(text)


def _length(attributes: dict[str, str], name: str) -> float | None:
    """Return a size in micrometres; None where it is missing or no length."""
    unit = _MICROMETRES.get(attributes.get(f"{name}Unit", "µm"))
    try:
        value = float(attributes.get(name, ""))
    except ValueError:
        return None
    return value * unit if unit is not None and 0 < value < 1e9 else None
