"""The receiver's two doors under power cuts: C-STORE, and frames over the link."""

from __future__ import annotations

import array
import contextlib
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from common.states import InstanceState, TransferState
from receiver import index, statements
from receiver.index import Index
from receiver.startup import mend
from receiver.store import Store
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must
from tests.system.powercut.disk import Disk
from tests.system.powercut.ends import OUTBOX, CutEnds
from tests.system.powercut.hearing import UNDER_WAY, Ack, Heard, Taken, cut_at_random
from tests.system.powercut.pushing import (
    SLICES,
    owe_slides,
    push_slides,
    store_as_partner,
    write_studies,
)
from tests.system.powercut.verdict import Verdict, database_fault

MOST_STORED, MOST_BATCHES = 12, 8  # answers between two cuts
BATCHES = 40  # that one slide is at least
INDEX = "index.sqlite"
RECEIVED = {InstanceState.STORED, InstanceState.VERIFIED}


@dataclass
class Run:
    """One run of a service under cuts.

    Attributes
    ----------
    completed : int
        Cuts after which everything is taken to its end with restarted processes.
    env : dict, optional
        Environment of the service.
    until_red : bool
        Look no further than the first cut that shows something lost.
    """

    disk: Disk
    paired: Ends
    folder: Path
    seed: int
    instants: int
    completed: int = 0
    env: dict[str, str] | None = None
    until_red: bool = False
    draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)

    def ends(self, *on_disk: str) -> CutEnds:
        """Return the two ends, those named with their data on the disk.

        Both have where they are to go on after a cut, so that neither knows what the
        other said after it.  Otherwise one has the disk for itself, because a sync of
        the other's would make good what it leaves out.
        """
        return CutEnds.of(self.paired, self.folder, self.disk.inner, *on_disk)

    def receivers_ends(self) -> CutEnds:
        """Return the two ends for a door of the receiver."""
        return self.ends(*(("sender", "receiver") if self.completed else ("receiver",)))

    def looked_at(self, taken: Sequence[Taken], verdict: Verdict) -> Iterator[tuple[int, Taken]]:
        """Yield the cuts with their numbers, to be counted in a verdict."""
        for number, one in enumerate(taken):
            if not (self.until_red and verdict.red):
                yield number, one

    def to_complete(self, taken: list[Any]) -> set[int]:
        """Draw the cuts after which all is taken to its end."""
        return set(self.draw.sample(range(len(taken)), min(self.completed, len(taken))))


def dicom_door(run: Run) -> Verdict:
    """Cut while an own requestor stores, and while a real sender sends studies of its own."""
    ends = run.receivers_ends()
    ends.set_up(run.disk)
    pushed, sent = run.folder / "pushed", run.folder / "sent"
    sources = write_studies(pushed, run.draw, run.instants * MOST_STORED + UNDER_WAY)
    write_studies(sent, run.draw, run.instants * SLICES)
    must("sender", "send", sent, "--no-wait", "--data", ends.sender)
    heard = Heard()

    with ends.receiving(run.env), ends.sending():
        pushing = heard.during(lambda: store_as_partner(ends.sender, sources, heard))
        taken = cut_at_random(run.disk, heard, run.draw, run.instants, MOST_STORED)
        heard.end()
    pushing.join()
    return _after(run, ends, "DICOM", taken, pushed)


def frames_door(run: Run) -> Verdict:
    """Cut while the sender's own code pushes slides over the link, and tells what it hears."""
    ends = run.receivers_ends()
    slide = Svs(width=2048, height=1536, tile=64).write(run.folder / "case.svs")
    heard = Heard()
    with ends.outbox() as box:
        slides = 1 + 2 * run.instants * MOST_BATCHES // BATCHES
        owe_slides(ends.sender, box, [slide] * slides)
        ends.set_up(run.disk)
        with ends.receiving(run.env):
            pushing = heard.during(lambda: push_slides(ends.sender, box, heard))
            taken = cut_at_random(run.disk, heard, run.draw, run.instants, MOST_BATCHES)
            heard.end()
        pushing.join()
    return _after(run, ends, "frames", taken, None)


def _after(run: Run, ends: CutEnds, door: str, taken: list[Taken], pushed: Path | None) -> Verdict:
    """Look at what each cut left; take some to the end."""
    verdict = Verdict("todoke", door)
    run.disk.off()
    complete = run.to_complete(taken)
    for number, one in run.looked_at(taken, verdict):
        with run.disk.after(one.cut):
            faults = map(database_fault, (ends.receiver / INDEX, ends.sender / OUTBOX))
            said = list(one.acks)
            if unsound := list(filter(None, faults)):
                lost = [f"{len(said)} with the database"]
                verdict.add(one.cut.kind, len(said), lost, unsound)
                continue
            if run.completed:
                said += _said_to_the_sender(ends)
            if number in complete:
                lost, unsound = _complete(ends, said, pushed, verdict)
            else:
                with contextlib.closing(Index.at(ends.receiver)) as known:
                    mend(known, Store(ends.receiver / "store"))
                lost, unsound = _look(ends.receiver, said)
            verdict.add(one.cut.kind, len(said), lost, unsound)
    return verdict


def _complete(
    ends: CutEnds, said: list[Ack], pushed: Path | None, verdict: Verdict
) -> tuple[list[str], list[str]]:
    """Start both ends again as they were, and wait for every receipt; look before and after."""
    before: list[str] = []
    try:
        with ends.receiving():
            before, unsound = _look(ends.receiver, said)
            with ends.sending():
                unfinished = ends.all_receipted()
                if pushed is not None:
                    must("sender", "send", pushed, "--data", ends.sender)
    except AssertionError as failure:
        unsound, unfinished = [], [str(failure)]
    verdict.completed += not unfinished
    verdict.unfinished += unfinished
    lost, more = _look(ends.receiver, said)
    return before or lost, unsound + more


def _look(data: Path, said: list[Ack]) -> tuple[list[str], list[str]]:
    """Return what is lost and what is unsound."""
    with contextlib.closing(Index.at(data)) as known:
        after = _After(known, Store(data / "store"))
        lost = [f"{ack.what} {ack.uid} {ack.frame}" for ack in said if not after.holds(ack)]
        return lost, after.faults()


def _said_to_the_sender(ends: CutEnds) -> list[Ack]:
    """Return what the sender, cut at the same instant, had been told: instances and receipts."""
    with ends.outbox() as box:
        transfers = box.transfers()
        acks = [
            Ack("receipt", t.id, digest=box.statement(t.id, "receipt") or "")
            for t in transfers
            if t.state is TransferState.RECEIPTED
        ]
        for transfer in transfers:
            if transfer.kind == "dicom":
                held = [i for i in box.instances(transfer.id) if i.acked]
                acks += [Ack("instance", i.sop_uid, digest=i.d1 or "") for i in held]
    return acks


class _After:
    """What a receiver's disk holds after a cut."""

    def __init__(self, known: Index, store: Store) -> None:
        self.known, self.store = known, store
        with known.read() as db:
            rows = db.execute(select(index.instances)).all()
            self.frames = {
                (row.instance, row.frame): bytes(row.digest).hex()
                for row in db.execute(select(index.frames))
            }
        self.rows = {str(row.sop_uid): row for row in rows}
        self._whole: dict[str, bytes] = {}

    def holds(self, ack: Ack) -> bool:
        """Whether what was acknowledged is there as it was sent."""
        looks: dict[str, Callable[[Ack], bool]] = {
            "instance": self._instance,
            "frame": self._frame,
            "level": lambda ack: bool(self._data(ack.uid)),
            "receipt": self._receipt,
        }
        return looks[ack.what](ack)

    def _data(self, uid: str) -> bytes:
        """Return the data set of an instance as it lies on the disk."""
        row = self.rows.get(uid)
        if row is None or row.path is None:
            return b""
        if uid not in self._whole:
            path = self.store.where(row.path)
            self._whole[uid] = path.read_bytes()[row.prefix_length :] if path.exists() else b""
        return self._whole[uid]

    def _instance(self, ack: Ack) -> bool:
        row = self.rows.get(ack.uid)
        return row is not None and row.state in RECEIVED and self._sha256(ack.uid) == ack.digest

    def _sha256(self, uid: str) -> str:
        return hashlib.sha256(self._data(uid)).hexdigest()

    def _frame(self, ack: Ack) -> bool:
        row = self.rows.get(ack.uid)
        if row is None or self.frames.get((row.id, ack.frame)) != ack.digest:
            return False
        return _frame_digest(row, self._data(ack.uid), ack.frame) == ack.digest

    def _receipt(self, ack: Ack) -> bool:
        with self.known.read() as db:
            kept = statements.read(db, ack.uid, "receipt")
        return kept is not None and ack.digest in {"", kept}

    def faults(self) -> list[str]:
        """Return what the index says and the disk does not, or the other way round."""
        numbers = {row.id: row for row in self.rows.values()}
        found = [
            f"row of {uid}: {row.state}, other bytes"
            for uid, row in self.rows.items()
            if row.state in RECEIVED and row.d1 and self._sha256(uid) != row.d1
        ]
        found += [
            f"row of frame {frame} of {numbers[number].sop_uid}: other bytes"
            for (number, frame), digest in self.frames.items()
            if _frame_digest(numbers[number], self._data(numbers[number].sop_uid), frame) != digest
        ]
        named = {str(row.path) for row in self.rows.values()}
        here = {self.store.relative(path) for path in self.store.root.rglob("*.dcm")}
        return found + [f"file without a row: {path}" for path in sorted(here - named)]


def _frame_digest(row: Row[Any], data: bytes, frame: int) -> str:
    table = array.array("Q")
    table.frombytes(bytes(row.frame_table))
    offset, length = table[2 * frame], table[2 * frame + 1]
    return hashlib.sha256(data[offset : offset + length]).hexdigest()
