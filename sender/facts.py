"""What the rules of direct transmission look at in one instance, read along with its identity.

Thousands of slices of a series say the same: facts are equal and hashable, so that each
kind is judged once (:mod:`sender.judging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Attributes whose values count, by tag: asked of :func:`common.dicom.elements.scan`.
VALUES = {
    0x00080008: "ImageType",
    0x00080064: "ConversionType",
    0x00080070: "Manufacturer",
    0x00181016: "SecondaryCaptureDeviceManufacturer",
    0x00181022: "VideoImageFormatAcquired",
    0x00282112: "LossyImageCompressionRatio",
    0x00282114: "LossyImageCompressionMethod",
}
#: Attributes of which it counts that they are there, with a value.
PRESENT = {
    0x00180020: "ScanningSequence",
    0x00180050: "SliceThickness",
    0x00180060: "KVP",
    0x00180080: "RepetitionTime",
    0x00180081: "EchoTime",
    0x00180087: "MagneticFieldStrength",
    0x00200037: "ImageOrientationPatient",
    0x00200052: "FrameOfReferenceUID",
    0x00280030: "PixelSpacing",
    0x00281052: "RescaleIntercept",
    0x00281053: "RescaleSlope",
}
_SOC_SIZ, _COD = b"\xff\x4f\xff\x51", 0x52  # ISO/IEC 15444-1 table A.2
_LONGEST = 256  # bytes of a value that are looked at


@dataclass(frozen=True, slots=True)
class Facts:
    """What one instance declares of itself.

    Attributes
    ----------
    sop_class, transfer_syntax, modality : str
    image_type : tuple of str
        Values of (0008,0008), empty where it has none.
    conversion : str
        (0008,0064), empty where it has none.
    manufacturers : tuple of str
        (0008,0070) and (0018,1016).
    video_format : str
        (0018,1022).
    burned_in : str
        (0028,0301).
    lossy : str
        (0028,2110): ``01``, ``00`` or empty.
    ratio : float
        The largest of (0028,2112), 0 where there is none that is a number.
    method : str
        (0028,2114).
    samples, bits : int
        Samples per Pixel and Bits Stored, 0 where they are not said.
    has : frozenset of str
        Keywords of :data:`PRESENT` that have a value.
    pixels : bool
        It has rows of pixels.
    exif : bool
        Its JPEG codestream holds what a camera writes.
    irreversible : bool
        Its JPEG 2000 codestream says that it was made with loss, whatever else is said.
    recoded : bool
        A slide's level that is coded again with loss here, by the site's setting.
    """

    sop_class: str
    transfer_syntax: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    conversion: str = ""
    manufacturers: tuple[str, ...] = ()
    video_format: str = ""
    burned_in: str = ""
    lossy: str = ""
    ratio: float = 0.0
    method: str = ""
    samples: int = 0
    bits: int = 0
    has: frozenset[str] = frozenset()
    pixels: bool = True
    exif: bool = False
    irreversible: bool = False
    recoded: bool = False


def of_values(
    values: Mapping[str, Any],
    raw: Mapping[int, bytes],
    transfer_syntax: str,
    *,
    exif: bool = False,
    irreversible: bool = False,
) -> Facts:
    """Return the facts of one instance.

    Parameters
    ----------
    values : mapping
        Whole numbers and text by keyword, as :class:`common.dicom.elements.Elements` has them.
    raw : mapping
        Values as they lie in the file, by tag: those of :data:`VALUES` and :data:`PRESENT`.
    """
    said = {name: _text(raw[tag]) for tag, name in VALUES.items() if tag in raw}
    kinds = said.get("ImageType", "")
    makers = said.get("Manufacturer", ""), said.get("SecondaryCaptureDeviceManufacturer", "")
    return Facts(
        sop_class=str(values.get("SOPClassUID") or ""),
        transfer_syntax=transfer_syntax,
        modality=str(values.get("Modality") or ""),
        image_type=tuple(one.strip().upper() for one in kinds.split("\\")) if kinds else (),
        conversion=said.get("ConversionType", "").upper(),
        manufacturers=tuple(one for one in makers if one),
        video_format=said.get("VideoImageFormatAcquired", ""),
        burned_in=str(values.get("BurnedInAnnotation") or "").strip().upper(),
        lossy=str(values.get("LossyImageCompression") or ""),
        ratio=_largest(said.get("LossyImageCompressionRatio", "")),
        method=said.get("LossyImageCompressionMethod", ""),
        samples=_number(values.get("SamplesPerPixel")),
        bits=_number(values.get("BitsStored")),
        has=frozenset(name for tag, name in PRESENT.items() if raw.get(tag, b"").strip(b" \0")),
        pixels=bool(_number(values.get("Rows"))),
        exif=exif,
        irreversible=irreversible,
    )


def loses(codestream: bytes) -> bool:
    """Whether a JPEG 2000 or HTJ2K codestream was made by the irreversible transformation.

    The coding style in its main header says so: 9-7 irreversible filter (ISO/IEC 15444-1
    A.6.1 and table A.20; the same in 15444-15).  A 5-3 stream that was cut short loses
    too, and does not say it.

    Parameters
    ----------
    codestream : bytes
        Begins before the codestream; its first kilobytes.
    """
    at = codestream.find(_SOC_SIZ) + 2
    while 2 <= at <= len(codestream) - 14 and codestream[at] == 0xFF:
        if codestream[at + 1] == _COD:
            return codestream[at + 13] == 0
        at += 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
    return False


def _text(raw: bytes) -> str:
    return bytes(raw[:_LONGEST]).decode("ascii", "replace").strip(" \0")


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _largest(text: str) -> float:
    found = [0.0]
    for one in text.split("\\"):
        try:
            found.append(float(one))
        except ValueError:
            continue
    return max(found)
