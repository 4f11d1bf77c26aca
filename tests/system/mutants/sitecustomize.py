"""Makes an end bad on purpose, in the way that the file TODOKE_FAULT names just now.

A folder with this file first on PYTHONPATH makes every process of an end started
with it read that file anew for each transfer, so one running receiver can show
every fault in turn.  What lies in evidence records is in spoilt_records.py.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from receiver.arrivals import Answer, Arrival, Arrivals
    from receiver.frames import Frames, Level
    from receiver.receipts import Receipts

CHOSEN: dict[str, Any] = {}  # per fault: the one instance or frame that it falls on


def fault(name: str, what: object = None) -> bool:
    """Whether a fault is on, and falls on this one: the first that it is asked about."""
    now = Path(os.environ["TODOKE_FAULT"]).read_text("utf-8")
    return now == name and CHOSEN.setdefault(name, what) == what


def flip(path: Path, at: int) -> None:
    """Turn one bit of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def spoil_arrivals() -> None:
    from receiver.arrivals import Arrival, Arrivals

    filled, spill, finish = Arrival.filled, Arrival._spill, Arrivals.finish

    def filling(self: Arrival, count: int) -> None:
        if not self.length and fault("flips-before-hashing", self.sop_instance_uid):
            self._held()[self._used + count - 1] ^= 1
        filled(self, count)

    def spilling(self: Arrival, *, whole: bool = False) -> None:
        spill(self, whole=whole)
        if fault("flips-on-the-way-to-disk", self.sop_instance_uid):
            flip(self.path, len(self.prefix) + self.length - 1)

    def finishing(self: Arrivals, arrival: Arrival, answer: Answer) -> None:
        if fault("acknowledges-and-drops", arrival.sop_instance_uid):
            arrival.abandon()
            answer(None)
        else:
            finish(self, arrival, answer)

    Arrival.filled = filling  # type: ignore[method-assign]
    Arrival._spill = spilling  # type: ignore[method-assign]
    Arrivals.finish = finishing  # type: ignore[method-assign]


def spoil_frames() -> None:
    from common import link
    from receiver.frames import Frames

    take = Frames.take

    def taking(
        self: Frames, transfer: str, study: str, levels: dict[int, Level], batch: list[link.Frame]
    ) -> int:
        repeats = take(self, transfer, study, levels, batch)
        for frame in batch:
            level = levels[frame.instance]
            if level.layout.frames > 4 and fault("flips-a-tile", (level.sop_uid, frame.frame)):
                middle = level.layout.offset(frame.frame) + len(level.prefix) + 100
                flip(self.store.path(level.path), level.prefix_length + middle)
            if level.layout.frames > 4 and fault("drops-a-tile", (level.sop_uid, frame.frame)):
                start = level.prefix_length + level.layout.offset(frame.frame)
                CHOSEN["tile"] = level.sop_uid, start, level.layout.frame_length(frame.frame)
        return repeats

    Frames.take = taking  # type: ignore[method-assign]


def spoil_receipts() -> None:
    from receiver.receipts import Receipts

    countersign, conclude = Receipts._countersign, Receipts._conclude

    def countersigning(self: Receipts, known: Any, answered: str, rows: Any, found: Any) -> str:
        if fault("countersigns-others"):
            found = [replace(found[0], d1="0" * 64), *found[1:]]
        return countersign(self, known, answered, rows, found)

    def concluding(self: Receipts, *verified: Any) -> str:
        if fault("replays-a-receipt"):
            return str(CHOSEN["receipt"])
        CHOSEN["receipt"] = conclude(self, *verified)
        return str(CHOSEN["receipt"])

    Receipts._countersign = countersigning  # type: ignore[method-assign]
    Receipts._conclude = concluding  # type: ignore[assignment, method-assign]


def lies() -> Any:
    """What is beside this file: it is on the path of these processes alone."""
    return importlib.import_module("spoilt_records")


if "TODOKE_FAULT" in os.environ:
    if "receiver.dicom_process" in sys.orig_argv:
        spoil_arrivals()
    if "receiver.web_process" in sys.orig_argv:
        spoil_frames()
        spoil_receipts()
        lies().spoil_receiver()
    if {"common.command", "sender"} <= set(sys.orig_argv):
        lies().spoil_sender()
