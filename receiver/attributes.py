"""What the index keeps of a data set: its DICOM JSON model (PS3.18 annex F), without bulk.

Written once, after an instance was acknowledged; the work list and DICOMweb
answer from it without opening a file.
"""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pydicom
from pydicom.tag import Tag

from common.dicom import dataset, misdeclared, person_name
from common.dicom.testmark import is_test_dataset

#: Patient and study level (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2), and what a list shows of the rest.
_STUDY_LEVEL = """
    00080020 00080030 00080050 00080051 00080090 00081030 00081032 00081080
    00080060 00080080 00080081 00180015 00200060
    00100010 00100020 00100021 00100024 00100030 00100032 00100040 00101000 00101002 00101010
    00101020 00101030 00102160 00104000 0020000D 00200010 00321032 00321060 00324000
"""
STUDY_TAGS = _STUDY_LEVEL.split()

#: Keys beside the tags: tags whose text was decoded by a guess, and the mark 試験.
GUESSED = person_name.GUESSED
TEST = "test"

_SMALL = 4096  # bytes; binary values above are kept without their value
_LARGE = 1 << 18  # bytes; tables of colours and grey values, which a viewer needs
_LOOKUP_TABLES = {
    *(f"002812{part:02X}" for part in (0x01, 0x02, 0x03, 0x04, 0x21, 0x22, 0x23)),
    "00283006",
}


def study_attributes(ds: pydicom.Dataset) -> dict[str, Any]:
    """Return the patient and study level of an instance.

    Parameters
    ----------
    ds : pydicom.Dataset
        Read with ``stop_before_pixels``.

    Returns
    -------
    dict
        DICOM JSON model, ready for ``json.dumps``; the key ``guessed`` lists tags
        whose declared character set cannot be right (CHR-05), ``test`` is true for
        what carries the mark 試験.
    """
    raws = misdeclared.raw_texts(ds)
    model, guessed = _model(_part(ds, STUDY_TAGS), raws, misdeclared.charsets(ds))
    if guessed:
        model[GUESSED] = guessed
    if is_test_dataset(ds):
        model[TEST] = True
    return model


def instance_attributes(ds: pydicom.Dataset, tags: Iterable[str] | None = None) -> bytes:
    """Return zlib of the instance's DICOM JSON model in UTF-8.

    Sequences stay; binary values above 4 KB (tables: 256 KB) stay as elements
    without value, so that their presence is known.  Elements that cannot be read
    as their VR says are left out: the file keeps them.

    Parameters
    ----------
    ds : pydicom.Dataset
        Read with ``stop_before_pixels``; its ``file_meta`` is used if it has one.
    tags : iterable of str, optional
        All that is needed of it, as eight hexadecimal digits.
    """
    raws, charset = misdeclared.raw_texts(ds), misdeclared.charsets(ds)
    if tags is not None:
        kept = set(tags)
        ds = _part(ds, kept)
        raws = {tag: raw for tag, raw in raws.items() if tag in kept}
    model, _ = _model(ds, raws, charset)
    model["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}  # of the JSON itself, F.1.2
    return zlib.compress(encoded(model), 6)


def of_file(
    path: Path, tags: Iterable[str] | None = None, oddities: set[str] | None = None
) -> bytes | None:
    """Return :func:`instance_attributes` of a stored file, whatever its bytes are.

    No more of it is read than a header may have (`common.dicom.budget.HEADER_LIMIT`).

    Parameters
    ----------
    tags : iterable of str, optional
        All that is needed of it, as eight hexadecimal digits.
    oddities : set of str, optional
        As of :func:`common.dicom.budget.walk`.

    Returns
    -------
    bytes or None
        :data:`UNREADABLE` where the bytes are no data set; None where the file could
        not be read at all, so that nothing is known of it.
    """
    try:
        header, _ = dataset.open_header(path, oddities)
        return instance_attributes(header, tags)
    except OSError:
        return None
    except Exception as failure:  # pydicom raises anything on hostile bytes
        return None if isinstance(failure.__cause__, OSError) else UNREADABLE


def _part(ds: pydicom.Dataset, tags: Iterable[str]) -> pydicom.Dataset:
    wanted = pydicom.Dataset()
    for tag in map(Tag, tags):
        if tag in ds:
            with contextlib.suppress(Exception):  # not as its VR says: the file keeps it
                wanted[tag] = ds[tag]
    return wanted


def read_instance(stored: bytes | None) -> dict[str, Any]:
    """Return the model that :func:`instance_attributes` packed; empty for None."""
    return cast("dict[str, Any]", json.loads(zlib.decompress(stored))) if stored else {}


def encoded(model: Any) -> bytes:
    """Return JSON in UTF-8, without characters escaped and without NaN."""
    return json.dumps(model, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


#: Kept of a file that cannot be read: it says little, but it is not tried for ever.
UNREADABLE = zlib.compress(encoded({"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}))


def told_attributes(model: dict[str, Any]) -> dict[str, Any]:
    """Return what a partner told of a study as far as it has the form of PS3.18 annex F.

    Lists are made of it for everybody, so nothing else of it is kept.
    """
    told: dict[str, Any] = {
        tag: {"vr": element["vr"], "Value": element["Value"]}
        for tag, element in model.items()
        if tag in STUDY_TAGS and _well_formed(element)
    }
    guessed = model.get(GUESSED)
    if isinstance(guessed, list) and (kept := [tag for tag in told if tag in guessed]):
        told[GUESSED] = kept
    return told


def marked(study: Mapping[str, Any]) -> dict[str, Any]:
    """Return private elements that name what of a study is 推定, a guess at a character set.

    Parameters
    ----------
    study : mapping
        The study's attributes as the index keeps them.

    Returns
    -------
    dict
        DICOM JSON of (0009,0010) ``TODOKE`` and (0009,1001), the tags of the guessed
        elements (PS3.5 7.8.1); empty where nothing was guessed.
    """
    guessed = [tag for tag in study.get(GUESSED, ()) if isinstance(tag, str)]
    if not guessed:
        return {}
    return {
        "00090010": {"vr": "LO", "Value": ["TODOKE"]},
        "00091001": {"vr": "AT", "Value": guessed},
    }


def _well_formed(element: Any) -> bool:
    if not isinstance(element, dict) or not isinstance(element.get("vr"), str):
        return False
    values = element.get("Value")
    kinds: Any = {"PN": dict, "SQ": dict}.get(element["vr"], str | int | float)
    return isinstance(values, list) and all(isinstance(one, kinds) for one in values)


def first(model: dict[str, Any], tag: str) -> Any:
    """Return the first value of a tag (eight hexadecimal digits), None without.

    The model of a study may be a partner's own: what has not the form of PS3.18
    annex F is as good as absent.
    """
    element = model.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _model(
    ds: pydicom.Dataset, raws: dict[str, bytes], charset: list[str]
) -> tuple[dict[str, Any], list[str]]:
    model = _elements(ds)
    for tag in [tag for tag in model if tag.startswith("7FE0") or tag.endswith("0000")]:
        del model[tag]
    _clean(model)
    return model, misdeclared.mend(model, raws, charset)


def _elements(ds: pydicom.Dataset) -> dict[str, Any]:
    """Return the model of all elements that can be read, whatever the others hold.

    Not pydicom's own leaving out: it makes every thread's reading strict meanwhile, and
    drops a whole sequence, or a name, for one byte that is wrong.
    """
    found: dict[str, Any] = {}
    for tag in ds.keys():  # noqa: SIM118 - a data set yields its elements
        with contextlib.suppress(Exception):  # pydicom raises anything on hostile bytes
            element = ds[tag]
            if element.VR == "SQ":
                model = {"vr": "SQ", "Value": [_elements(item) for item in element.value]}
            else:
                model = element.to_json_dict(lambda _element: "", _LARGE)
            found[f"{tag:08X}"] = model
    return found


def _clean(model: dict[str, Any]) -> None:
    """Drop bulk and make every number one that JSON has (PS3.18 F.2.2), in place."""
    for tag, element in model.items():
        if element.get("vr") == "SQ":
            for item in element.get("Value") or []:
                _clean(item)
            continue
        limit = _LARGE if tag in _LOOKUP_TABLES else _SMALL
        inline = element.get("InlineBinary", "")
        if element.pop("BulkDataURI", None) is not None or len(inline) * 3 // 4 > limit:
            element.pop("InlineBinary", None)
        if "Value" in element:
            element["Value"] = [_finite(value) for value in element["Value"]]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
