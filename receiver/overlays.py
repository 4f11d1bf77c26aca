"""Overlay planes (PS3.3 C.9.2): bits of groups 6000 to 601E, apart from the pixels.

What the index keeps of a data set has no large binary values (:mod:`receiver.attributes`), so
metadata names such bits by an address, and a viewer fetches them when it draws the image.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from receiver import attributes

#: Overlay Data; groups are even, 6000 to 601E (PS3.5 7.6).
_DATA = re.compile("60[01][02468ACE]3000")
#: In the JSON that the index keeps: a quote inside a text would have a backslash before it.
_WITHOUT_VALUE = re.compile(rb'"60[01][02468ACE]3000":\{"vr":"O[BW]"\}')


def is_data(tag: str) -> bool:
    """Whether a tag, eight hexadecimal digits, is that of Overlay Data."""
    return _DATA.fullmatch(tag) is not None


def told(model: bytes, place: str) -> bytes:
    """Return a data set's JSON with an address for Overlay Data that was left out of it.

    Parameters
    ----------
    model : bytes
        JSON as :func:`receiver.attributes.instance_attributes` packs it.
    place : str
        URI of the instance.
    """
    if _WITHOUT_VALUE.search(model) is None:
        return model
    elements = json.loads(model)
    for tag, element in elements.items():
        if is_data(tag) and element.keys() == {"vr"}:
            element["BulkDataURI"] = f"{place}/bulkdata/{tag}"
    return attributes.encoded(elements)


def bits(path: Path, tag: str) -> bytes:
    """Return Overlay Data of a file: a bit for each pixel, the first in the lowest bit.

    Runs in a process apart (:mod:`receiver.decoder`).

    Parameters
    ----------
    tag : str
        Eight hexadecimal digits.

    Raises
    ------
    ValueError
        There is none, or its words are not little-endian.
    """
    from common.dicom import dataset

    ds, _ = dataset.open_header(path)
    if ds.file_meta.TransferSyntaxUID == dataset.EXPLICIT_BE:
        raise ValueError("Explicit VR Big Endian")
    element = ds.get(int(tag, 16))
    if element is None or not isinstance(element.value, bytes):
        raise ValueError("no overlay data")
    return element.value
