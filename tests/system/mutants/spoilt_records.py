"""Ends that lie in their evidence: each speaks the whole protocol, and signs all it says.

Read by sitecustomize.py, in the processes of an end that is bad on purpose.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.clocks import Clock
    from common.proof.identity import Node
    from common.proof.record import Record
    from common.proof.record_file import Kept
    from receiver.evidence import Evidence, Own
    from receiver.receipts import Receipts
    from sender.outbox import Outbox, Transfer
    from sender.record_making import Maker
    from sender.record_sending import Recorder

Leaves = list[dict[str, Any]]

_beside: Any = importlib.import_module("sitecustomize")  # of this folder, in these processes
CHOSEN, fault, flip = _beside.CHOSEN, _beside.fault, _beside.flip


# -- a receiver that signs for what it does not keep --------------------------


def _flipped_pixel(paths: list[Path]) -> None:
    flip(paths[0], paths[0].stat().st_size - 1)


def _flipped_header(paths: list[Path]) -> None:
    patient_id = b"\x10\x00\x20\x00LO"
    flip(paths[0], paths[0].read_bytes().index(patient_id) + 8)


def _swapped_files(paths: list[Path]) -> None:
    from common.dicom import dataset

    one, other = (path.read_bytes() for path in paths[:2])
    at, by = (dataset.read_part10(path).offset for path in paths[:2])
    paths[0].write_bytes(one[:at] + other[by:])
    paths[1].write_bytes(other[:by] + one[at:])


def _dropped_tile(paths: list[Path]) -> None:
    uid, start, length = CHOSEN["tile"]
    (path,) = (path for path in paths if uid.encode() in path.read_bytes()[:1024])
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(length))


def _nothing(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


STORED: dict[str, Callable[[list[Path]], None]] = {
    "stores-a-flipped-pixel": _flipped_pixel,
    "stores-a-flipped-header": _flipped_header,
    "stores-two-swapped": _swapped_files,
    "drops-a-tile": _dropped_tile,
    "says-yes-and-stores-nothing": _nothing,
}


def _swapped(leaves: Leaves) -> Leaves:
    one, other, *rest = leaves
    return [{**one, "uid": other["uid"]}, {**other, "uid": one["uid"]}, *rest]


#: What a liar makes of the images, in its own signed statement.
LEAVES: dict[str, Callable[[Leaves], Leaves]] = {
    "another-order": lambda leaves: leaves[::-1],
    "one-less": lambda leaves: leaves[:-1],
    "two-swapped": _swapped,
    "one-altered": lambda leaves: [{**leaves[0], "d1": "cd" * 32}, *leaves[1:]],
    "none-of-them": lambda _leaves: [],
}


def _other(node: Node) -> Node:
    """Return an end that signs with the keys of another hospital."""
    from common.proof.identity import Node
    from common.proof.role import Role

    other = Node.load(Path(os.environ["TODOKE_OTHER"]), Role.REQUESTER)
    return replace(
        node, signing_key=other.signing_key, signing_certificate=other.signing_certificate
    )


def spoil_receiver() -> None:
    """Let the web process lie in what it stores and what it countersigns."""
    from receiver.evidence import Evidence
    from receiver.receipts import Receipts

    receipt, countersign = Receipts._countersign, Evidence._countersign

    def receipting(self: Receipts, known: Any, answered: str, rows: Any, found: Any) -> str:
        signed = receipt(self, known, answered, rows, found)
        for name, spoil in STORED.items():
            if fault(name, CHOSEN.get(name)):
                places = (self.store.where(row.path) for row in rows)
                spoil([at if at.exists() else at.with_suffix(".dcm") for at in places])
        return signed

    def countersigning(self: Evidence, said: Record, name: str, own: Own) -> str:
        for what, change in LEAVES.items():
            if fault(f"countersigns-{what}"):
                own = replace(own, leaves=change(list(own.leaves or [])))
        if fault("replays-a-countersignature"):
            return str(CHOSEN["countersignature"])
        lying = fault("countersigns-with-another-key")
        signer = replace(self, node=_other(self.node)) if lying else self
        CHOSEN["countersignature"] = countersign(signer, said, name, own)
        return str(CHOSEN["countersignature"])

    Receipts._countersign = receipting  # type: ignore[method-assign]
    Evidence._countersign = countersigning  # type: ignore[method-assign]


# -- a sender that records what was not ---------------------------------------


class _Spoilt(list[dict[str, Any]]):
    """Leaves that are others; the digests and roles beside them are what they were."""

    def __init__(self, leaves: Leaves, of: Any) -> None:
        super().__init__(leaves)
        self.digests, self.roles = of.digests, of.roles


def spoil_sender() -> None:
    """Let the verb that sends lie in the record that it makes and keeps."""
    from sender import record_making
    from sender.record_making import Maker

    leaves, make = record_making.leaves, Maker.make

    def changed(outbox: Outbox, transfer: Transfer) -> Any:
        found = leaves(outbox, transfer)
        for what, change in LEAVES.items():
            if fault(f"records-{what}"):
                return _Spoilt(change(list(found)), found)
        return found

    def making(self: Maker, transfer: Transfer, when: str, clock: Clock | None) -> bool:
        lying = fault("signs-with-another-key")
        return make(replace(self, node=_other(self.node)) if lying else self, transfer, when, clock)

    record_making.leaves = changed
    Maker.make = making  # type: ignore[method-assign]
    _spoil_what_is_kept()


def _spoil_what_is_kept() -> None:
    from common.proof import record_file
    from common.proof.jws import payload
    from sender.record_sending import Recorder

    build, work = record_file.build, Recorder.work

    def building(kept: Kept, view: str = "inside", uids: Sequence[str] = ()) -> dict[str, Any]:
        made = build(kept, view, uids)
        if fault("edits-its-record"):
            head, _, signature = made["record"].split(".")
            words = {**payload(made["record"]), "purpose": "advice"}
            said = base64.urlsafe_b64encode(json.dumps(words).encode()).rstrip(b"=").decode()
            made["record"] = f"{head}.{said}.{signature}"
        return made

    def working(self: Recorder) -> int:
        done = work(self)
        if fault("deletes-a-record") and "deleted" not in CHOSEN:
            CHOSEN["deleted"] = True
            _delete(self.outbox, self.partner.key)
        return done

    record_file.build = building
    Recorder.work = working  # type: ignore[method-assign]


def _delete(outbox: Outbox, partner: str) -> None:
    from sender.record_sending import path_of

    row = outbox.records(partner)[-2]
    path_of(outbox.path.parent, row).unlink()
    with outbox._write() as db:
        db.execute("DELETE FROM records WHERE partner=? AND number=?", (partner, row.number))
        # or its transfer would be seen to lack one, and get a new one
        db.execute("UPDATE transfers SET finished='' WHERE id=?", (row.transfer,))
