"""The record as a file: what an auditor is handed, whole (院内用) or without a patient (提出用)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import durable
from common.proof import merkle, record
from common.proof.leaves import Leaves

TYPE = "todoke-record"
VERSION = 1
VIEWS = ("inside", "outside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an end keeps of one record; both ends keep the same shape.

    Attributes
    ----------
    record, countersignature : str, str or None
        Compact JWS.
    sender, receiver : str, str or None
        Signing certificates (PEM) as they were pinned when the record was made: a key
        that is changed later does not touch it (EVD-07).
    leaves : sequence of dict or None
        Of every instance, in the order of the closing; None where this end does not know them.
    subject : dict or None
        ``key`` (hex), ``patient``, ``study`` and ``said``; only where it is known.
    count : int
        Instances that the record names.
    timestamp : str or None
        Base64 of an RFC 3161 token over the root.
    """

    record: str
    countersignature: str | None
    sender: str
    receiver: str | None
    leaves: Sequence[dict[str, Any]] | None
    count: int
    subject: dict[str, Any] | None = None
    timestamp: str | None = None
    anchors: list[dict[str, Any]] = field(default_factory=list)


def build(kept: Kept, view: str = "inside", uids: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON object of a record file.

    Parameters
    ----------
    view : {'inside', 'outside'}
        Outside names no patient and no UID, but for those of `uids`.
    uids : sequence of str
        Instances that are shown with their proof, and by that without the others.
    """
    inside, known = view == "inside", kept.leaves
    return {
        "type": TYPE,
        "version": VERSION,
        "view": view,
        "record": kept.record,
        "countersignature": kept.countersignature,
        "certificates": {"sender": kept.sender, "receiver": kept.receiver},
        "instances": known if inside and known is not None else {"count": kept.count},
        "proofs": record.proofs(known or [], uids),
        "subject": kept.subject if inside else None,
        "anchors": kept.anchors,
        "timestamp": kept.timestamp,
    }


def anchor_entry(
    anchor: str, countersignature: str | None, names: Sequence[str], place: int
) -> dict[str, Any]:
    """Return an anchor as a record file has it: with the proof that this record is in it.

    Parameters
    ----------
    names : sequence of str
        SHA-256 of each record of the day, by number.
    """
    leaves = [bytes.fromhex(one) for one in names]
    return {
        "anchor": anchor,
        "countersignature": countersignature,
        "place": place,
        "count": len(leaves),
        "path": merkle.proof(leaves, place),
    }


def save(path: Path, made: Mapping[str, Any]) -> None:
    """Write a record file, whole or not at all."""
    durable.save(path, text(made), private=made["view"] == "inside")


def text(made: Mapping[str, Any]) -> bytearray:
    """Return what :func:`build` made as the JSON of a file."""
    words = json.JSONEncoder(ensure_ascii=False, indent=1, sort_keys=True)
    leaves = made["instances"]
    if isinstance(leaves, Leaves):
        made = {**made, "instances": _Passing(leaves)}
    whole = bytearray()
    for part in words.iterencode(made):  # hundreds of thousands, which dumps would hold at once
        whole += part.encode()
    return whole


class _Passing(list[Any]):
    """A list to the encoder, which only goes through it; its items are never all there."""

    def __init__(self, of: Sequence[Any]) -> None:
        super().__init__()
        self._of = of

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._of)


def read(path: Path) -> dict[str, Any] | None:
    """Return a record file as it was written; None for one that cannot be read."""
    try:
        words = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return words if isinstance(words, dict) else None


class Folder(Mapping[int, dict[str, Any] | None]):
    """The record files of a folder by number, each read when asked for: years lie there.

    None for one that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        found = sorted(folder.glob("*.json"))
        self._paths = {int(path.stem): path for path in found if path.stem.isdecimal()}

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[int]:
        return iter(self._paths)

    def __getitem__(self, number: int) -> dict[str, Any] | None:
        return read(self._paths[number])
