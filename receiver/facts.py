"""What lists and pages say of an instance, read once from its stored attributes."""

from __future__ import annotations

import array
import base64
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from common.dicom import burned_in
from receiver import attributes, descriptions, index

KEPT = 50_000  # instances; about 300 bytes each
_instances = index.instances

_READ = """
    00080008 00080016 00080060 00080070 0008103E 00081090 00082111 00110010 00180015 00200011
    00209161 00209162 00209228 00209311 00280002 00280004 00280006 00280010 00280011 00280030
    00280101 00280301 00282000 00282110 00282112 00400512 00480006 00480007 00480011 00480105
    00480303 52009229 52009230
"""
#: All that :func:`read` looks at.
TAGS = _READ.split()

# as a sender of todoke puts it in DerivationDescription
ENCODED_AGAIN, ENCODED_WITH_LOSS = "encoded again", "encoded again with loss"

#: What a row of the index must hold here; never the blobs.
LIGHT = (
    _instances.c.id,
    _instances.c.key,
    _instances.c.institution,
    _instances.c.transfer,
    _instances.c.study_uid,
    _instances.c.series_uid,
    _instances.c.sop_uid,
    _instances.c.sop_class,
    _instances.c.transfer_syntax,
    _instances.c.state,
    _instances.c.number,
    _instances.c.path,
    _instances.c.prefix_length,
    _instances.c.length,
    _instances.c.pixel_offset,
    _instances.c.frames,
    _instances.c.stored_at,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one instance; None where its attributes do not say.

    Attributes
    ----------
    spacing_um : float or None
        Distance between pixel centres along a row, in micrometres (slides).
    concatenation : str or None
        UID that the parts of one level share (PS3.3 section C.7.6.16.2.2.4).
    part, first_frame : int or None
        Of a part: its number, and the frames of the level before its first.
    sparse : bool
        Each frame says where it lies, and places without a tile have none.
    places : str or None
        Of a sparse one: base64 of uint32 LE, the number of each frame's place, row by row;
        None where a frame lies on no grid, or does not say where.
    container : str or None
        What the glass is called, of an image of a slide (0040,0512).
    planes : int or None
        Focal planes (0048,0303).
    ratio : float or None
        Of the last coding with loss (0028,2112).
    reencoded, recoded : bool
        A slide's tiles were coded again by the sender, and with loss.
    burned : str or None
        Text that may name the patient stands in the pixels: an id of
        `common.dicom.burned_in`.
    """

    modality: str | None = None
    series_number: int | None = None
    series_description: str | None = None
    body_part: str | None = None
    rows: int | None = None
    columns: int | None = None
    total_rows: int | None = None
    total_columns: int | None = None
    flavor: str | None = None
    spacing_um: float | None = None
    objective_power: float | None = None
    icc: bool = False
    lossy: bool | None = None
    focus: str | None = None
    photometric: str | None = None
    samples: int | None = None
    bits: int | None = None
    planar: int | None = None
    ratio: float | None = None
    scanner: str | None = None
    reencoded: bool = False
    recoded: bool = False
    test: bool = False
    concatenation: str | None = None
    part: int | None = None
    first_frame: int | None = None
    sparse: bool = False
    places: str | None = None
    burned: str | None = None
    container: str | None = None
    planes: int | None = None

    @property
    def slide(self) -> bool:
        """Whether this is an image of a slide microscope."""
        return self.total_columns is not None


NOTHING = Facts()


class KnownFacts:
    """Facts by instance, kept in memory: a file never changes once it is stored.

    Parameters
    ----------
    store : Path
        Folder that the paths of the index are relative to.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self._known: OrderedDict[str, Facts] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, db: Connection, rows: Iterable[Row[Any]]) -> dict[int, Facts]:
        """Return the facts of each row (of :data:`LIGHT`) by its id."""
        keys = {row.id: row.key for row in rows}
        with self._lock:
            found = {number: self._known[key] for number, key in keys.items() if key in self._known}
        for some in descriptions.pieces([number for number in keys if number not in found]):
            stored = descriptions.packed(db, self.store, some, TAGS)
            for number in some:
                if (one := stored.get(number)) is None:
                    found[number] = NOTHING
                    continue
                found[number] = read(attributes.read_instance(one))
                self._keep(keys[number], found[number])
        return found

    def of_numbers(self, db: Connection, numbers: Iterable[int]) -> dict[int, Facts]:
        """Return the facts of instances by their ids."""
        rows: list[Any] = []
        for some in descriptions.pieces(list(numbers)):
            query = select(_instances.c.id, _instances.c.key)
            rows += db.execute(query.where(_instances.c.id.in_(some)))
        return self.of(db, rows)

    def _keep(self, key: str, facts: Facts) -> None:
        with self._lock:
            self._known[key] = facts
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


def read(model: dict[str, Any]) -> Facts:
    """Return the facts of a DICOM JSON model."""
    image_type = model.get("00080008", {}).get("Value") or []
    measures = _inside(model, "52009229", "00289110") or model
    spacing = _number(_value(measures, "00280030", -1))
    path = _inside(model, "00480105") or {}
    sparse = _text(model, "00209311") == "TILED_SPARSE"
    return Facts(
        modality=_text(model, "00080060"),
        series_number=_whole(model, "00200011"),
        series_description=_text(model, "0008103E"),
        body_part=_text(model, "00180015"),
        rows=_whole(model, "00280010"),
        columns=_whole(model, "00280011"),
        total_rows=_whole(model, "00480007"),
        total_columns=_whole(model, "00480006"),
        flavor=str(image_type[2]) if len(image_type) > 2 else None,
        spacing_um=None if spacing is None else spacing * 1000,
        objective_power=_number(_value(path, "00480112")),
        icc="00282000" in path or "00282000" in model,
        lossy={"00": False, "01": True}.get(_text(model, "00282110") or ""),
        focus=_text(model, "00480011"),
        photometric=_text(model, "00280004"),
        samples=_whole(model, "00280002"),
        bits=_whole(model, "00280101"),
        planar=_whole(model, "00280006"),
        ratio=_number(_value(model, "00282112", -1)),
        scanner=" ".join(filter(None, (_text(model, "00080070"), _text(model, "00081090"))))
        or None,
        reencoded=ENCODED_AGAIN in (_text(model, "00082111") or ""),
        recoded=ENCODED_WITH_LOSS in (_text(model, "00082111") or ""),
        test=_text(model, "00110010") == "TODOKE 1.0",
        concatenation=_text(model, "00209161"),
        part=_whole(model, "00209162"),
        first_frame=_whole(model, "00209228"),
        sparse=sparse,
        places=_places(model) if sparse else None,
        burned=burned_in.finding(_text(model, "00080016") or "", _text(model, "00280301")),
        container=_text(model, "00400512"),
        planes=_whole(model, "00480303"),
    )


def _places(model: dict[str, Any]) -> str | None:
    """Return the place of each frame of a sparse level (PS3.3 section C.8.12.6.1)."""
    width, height, across = (_whole(model, t) or 0 for t in ("00280011", "00280010", "00480006"))
    if min(width, height, across) < 1:
        return None
    columns = -(-across // width)
    found = array.array("I")
    for item in model.get("52009230", {}).get("Value") or []:
        at = _inside(item, "0048021A") or {}
        right, down = _whole(at, "0048021E") or 0, _whole(at, "0048021F") or 0
        if right < 1 or down < 1 or (right - 1) % width or (down - 1) % height:
            return None  # overlapping tiles, or none of this maker's: never shown askew
        number = (down - 1) // height * columns + (right - 1) // width
        if right > across or number >= 1 << 32:
            return None
        found.append(number)
    if len(found) != (_whole(model, "00280008") or 1):
        return (
            None  # frames that say nothing of their place would be taken for glass without tissue
        )
    if sys.byteorder == "big":
        found.byteswap()
    return base64.b64encode(found.tobytes()).decode("ascii")


def _inside(model: dict[str, Any], *tags: str) -> dict[str, Any] | None:
    """Return the first item of nested sequences."""
    inner: dict[str, Any] | None = model
    for tag in tags:
        inner = _value(inner or {}, tag)
    return inner if isinstance(inner, dict) else None


def _value(model: dict[str, Any], tag: str, at: int = 0) -> Any:
    values = model.get(tag, {}).get("Value") or [None]
    return values[at]


def _text(model: dict[str, Any], tag: str) -> str | None:
    value = _value(model, tag)
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _whole(model: dict[str, Any], tag: str) -> int | None:
    value = _number(_value(model, tag))
    return int(value) if value is not None and abs(value) < 1 << 53 else None
