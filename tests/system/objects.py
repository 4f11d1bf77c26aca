"""What a DICOM file holds, as pydicom reads it, and whether two hold the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Self

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag

PIXELS = 0x7FE00010
PADDING = 0xFFFCFFFC  # data set trailing padding, PS3.10 section 7.2
DEFLATED = {"1.2.840.10008.1.2.1.99"}
NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", *DEFLATED}
BINARY = frozenset(
    ["OB", "OD", "OF", "OL", "OV", "OW", "UN", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"]
)
Elements = dict[str, tuple[str, bytes]]


@dataclass(frozen=True)
class Object:
    """One file: its data set as bytes and as elements."""

    path: Path
    file: bytes
    sop_class: str
    sop_uid: str
    syntax: str

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a file of Part 10 that holds an instance; None of any other."""
        return cls.parse(path, path.read_bytes())

    @classmethod
    def parse(cls, path: Path, file: bytes) -> Self | None:
        """Read the same from the bytes of a file."""
        if file[128:132] != b"DICM":
            return None
        head = dcmread(BytesIO(file), stop_before_pixels=True)
        syntax = head.file_meta.get("TransferSyntaxUID")
        uids = head.get("SOPClassUID"), head.get("SOPInstanceUID")
        if not (syntax and all(uids)):
            return None
        return cls(path, file, str(uids[0]), str(uids[1]), str(syntax))

    @property
    def data(self) -> bytes:
        """The data set: all after group 0002, whose length is told first (PS3.10 7.1)."""
        return self.file[144 + int.from_bytes(self.file[140:144], "little") :]

    @cached_property
    def dataset(self) -> Dataset:
        return dcmread(BytesIO(self.file))

    @property
    def defined(self) -> bool:
        """Whether every sequence and item tells its length."""
        return not any(_undefined(self.dataset))

    @property
    def pixels(self) -> str | None:
        """SHA-256 of the pixels: the native value, or the fragments without their frame."""
        if PIXELS not in self.dataset:
            return None
        value = self.dataset.PixelData
        if self.syntax in NATIVE:
            return hashlib.sha256(value).hexdigest()
        stream = BytesIO(value)
        parse_basic_offsets(stream)
        return hashlib.sha256(b"".join(generate_fragments(stream))).hexdigest()

    @cached_property
    def elements(self) -> Elements:
        """Every element but the pixels by its place: VR and bytes of its value."""
        return dict(_elements(self.dataset, ""))


def differences(one: Object, other: Object) -> list[str]:
    """Places at which two objects do not say the same, pixels included.

    Group lengths and trailing padding say nothing, nor does the padding of a value.
    """
    ours, theirs = _told(one), _told(other)
    places = sorted(p for p in ours.keys() | theirs.keys() if ours.get(p) != theirs.get(p))
    return places + (["pixels"] if one.pixels != other.pixels else [])


def causes(one: Object, other: Object) -> set[str]:
    """Why two objects that say the same are not the same bytes."""
    if one.syntax != other.syntax:
        return {"another transfer syntax"}
    if one.syntax in DEFLATED:
        return {"deflated anew"}
    ours, theirs = one.elements, other.elements
    changed = [p for p in ours.keys() | theirs.keys() if ours.get(p) != theirs.get(p)]
    found = {_kind(place) for place in changed}
    if not (one.defined and other.defined):
        found.add("lengths of sequences")
    return found or {"encoding"}


def _kind(place: str) -> str:
    if place.endswith(f"({PADDING:08X})"):
        return "trailing padding"
    return "group lengths" if place.endswith("0000)") else "padding of values"


def _told(one: Object) -> Elements:
    return {
        place: (vr, value if vr in BINARY else value.rstrip(b" \0"))
        for place, (vr, value) in one.elements.items()
        if _kind(place) == "padding of values"
    }


def _undefined(dataset: Dataset) -> Iterator[bool]:
    yield bool(getattr(dataset, "is_undefined_length_sequence_item", False))
    for tag in dataset.keys():  # noqa: SIM118 - a data set iterates over elements
        if tag == PIXELS:
            continue
        if items := _items(dataset, tag):
            yield dataset[tag].is_undefined_length
            for item in items:
                yield from _undefined(item)


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    found = dataset.get_item(tag)
    assert found is not None
    if found.VR:
        return str(found.VR)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    return list(dataset[tag].value) if _vr(dataset, tag) == "SQ" else []


def _elements(dataset: Dataset, place: str) -> Iterator[tuple[str, tuple[str, bytes]]]:
    for tag in sorted(dataset.keys()):
        if tag == PIXELS:
            continue
        here, vr = f"{place}({tag:08X})", _vr(dataset, tag)
        raw: object = dataset.get_item(tag)
        if vr == "SQ":
            items = _items(dataset, tag)
            yield here, (vr, str(len(items)).encode())
            for number, item in enumerate(items):
                yield from _elements(item, f"{here}[{number}]")
        elif isinstance(raw, RawDataElement):
            yield here, (vr, raw.value or b"")
        else:
            yield here, (vr, _encoded(dataset[tag]))


def _encoded(element: DataElement) -> bytes:
    """The value of an element that pydicom turned into an object while it read."""
    stream = DicomBytesIO()
    stream.is_little_endian = stream.is_implicit_VR = True
    write_data_element(stream, element)
    return stream.getvalue()[8:]
