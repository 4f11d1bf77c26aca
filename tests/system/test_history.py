"""History check: whatever broke, every acknowledgement stands, and no more is there than was sent.

A history is drawn from a seed: who sends what, what is killed, cut or filled, and in which
order.  How far the processes are at each of these moments is the machine's; the checks hold
for every one of them.  While the receiver lies dead, what it had acknowledged is looked for
on its disk; at the end everything is compared with everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from common import link
from common.dicom import dataset
from common.dicom.layout import Layout
from common.proof import jws
from common.states import InstanceState
from receiver import index, statements
from sender.outbox import Outbox, Transfer
from sender.sending import at_rest
from sender.slides import SlideCase, open_slide
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import until
from tests.system.hospital import Hospital, SenderEnd, of_file
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
MUTANTS = Path(__file__).parent / "mutants"
PATIENCE = 240.0  # seconds until everything owed is receipted, on a machine with other work
SWEEP, ROUNDS = range(1, 22), 2

Expected = dict[tuple[str, str], str]  # D1 by institution and SOP Instance UID


class History:
    """One run: draws what happens next, does it, and keeps what it did."""

    def __init__(self, seed: int, hospital: Hospital, folder: Path) -> None:
        self.seed, self.hospital, self.folder = seed, hospital, folder
        self.draw = random.Random(seed)
        self.begun = time.monotonic()
        self.lines: list[str] = []
        self.expected: Expected = {}
        self.series = 0
        self.kinds: dict[str, tuple[int, Callable[[], str]]] = {
            "send": (4, self.send),
            "slide": (1, self.slide),
            "again": (1, self.again),  # the same instances: nothing more may be there
            "foreign": (2, self.foreign),
            "cut": (2, self.cut),
            "stall": (1, self.stall),
            "kill receiver": (2, self.kill_receiver),
            "stop receiver": (1, self.stop_receiver),
            "kill a process": (1, self.kill_process),
            "kill sender": (2, self.kill_sender),
            "fill the disk": (1, self.fill),
            "make room": (1, self.make_room),
        }

    def note(self, what: str) -> None:
        self.lines.append(f"{time.monotonic() - self.begun:7.2f}  {what}")

    def run(self, rounds: int) -> None:
        """Let everything happen so many times, in an order that is drawn, after two jobs."""
        kinds = ["send", "send"]
        for _ in range(rounds):
            bag = [name for name, (count, _) in self.kinds.items() for _ in range(count)]
            self.draw.shuffle(bag)
            kinds += bag
        for kind in kinds:
            pause = self.draw.randrange(1 << 12, 1 << 19), self.draw.uniform(0.1, 0.8)
            self.note(f"{kind}: {self.kinds[kind][1]()}")
            self.hospital.wait_for_traffic(*pause)
            if self.hospital.receiver_back():
                self.note("the receiver had ended, and is started")

    # -- what is sent ---------------------------------------------------------

    def _files(self) -> Path:
        self.series += 1
        folder = self.folder / f"series{self.series}"
        slices, side = self.draw.randrange(2, 14), self.draw.choice([16, 64, 180])
        write_series(folder, self.draw.randrange(1 << 30), slices, side)
        return folder

    def _sender(self) -> SenderEnd:
        return self.draw.choice(self.hospital.senders)

    def send(self) -> str:
        sender, folder = self._sender(), self._files()
        self._expect(sender.code, folder)
        sender.submit(folder)
        return f"{folder.name} from {sender.data.name}"

    def _expect(self, code: str, folder: Path) -> None:
        for path in folder.iterdir():
            part = dataset.read_part10(path)
            self.expected[code, part.sop_instance_uid] = of_file(path, part.offset)

    def slide(self) -> str:
        sender = self._sender()
        path = self.folder / f"slide{len(self.lines)}.svs"
        Svs(width=900, height=700, tile=128, label=False, macro=False).write(path)
        sender.submit(path)
        return f"{path.name} from {sender.data.name}"

    def again(self) -> str:
        jobs = [(one, path) for one in self.hospital.senders for path in one.accepted.values()]
        sender, path = self.draw.choice(jobs)
        sender.submit(path)
        return f"{path.name} from {sender.data.name}"

    def foreign(self) -> str:
        folder, foreign = self._files(), self.hospital.foreign
        if not foreign.send(sorted(folder.iterdir())):
            return "still at it"
        self._expect(foreign.code, folder)
        return folder.name

    # -- what breaks ----------------------------------------------------------

    def cut(self) -> str:
        at = self.draw.randrange(3)
        if at == 2:
            self.hospital.foreign.way.cut()
            return "foreign"
        self.hospital.senders[at].ways.cut()
        return self.hospital.senders[at].data.name

    def stall(self) -> str:
        sender, count = self._sender(), self.draw.randrange(1, 1 << 16)
        line = self.draw.choice([sender.ways.dicom, sender.ways.link])
        line.hold_after(count)
        self.hospital.wait_for_traffic(2 * count, 0.5)
        line.go_on()
        return f"{sender.data.name} after {count} bytes"

    def kill_receiver(self) -> str:
        self.hospital.ends.kill_receiver()
        return self._restarted()

    def stop_receiver(self) -> str:
        self.hospital.ends.stop_receiver()
        return self._restarted()

    def _restarted(self) -> str:
        stand = self._acknowledged()
        self._on_disk(stand)
        self.hospital.ends.start_receiver()
        return f"{len(stand)} acknowledgements stand"

    def kill_process(self) -> str:
        module = self.draw.choice(["dicom_process", "web_process", "describe_process"])
        return f"{module}, {self.hospital.kill_door(module)}"

    def kill_sender(self) -> str:
        sender = self._sender()
        sender.end()
        sender.start()
        return sender.data.name

    def fill(self) -> str:
        how = self.draw.choice(["low", "full"])
        return how if self.hospital.fill(how) else "no disk of its own here"

    def make_room(self) -> str:
        self.hospital.make_room()
        return "done"

    # -- what must be true ----------------------------------------------------

    def _acknowledged(self) -> list[tuple[str, str]]:
        """What the receiver has said success for, as far as its senders have noted it."""
        foreign = self.hospital.foreign
        found = [(foreign.code, uid) for uid in list(foreign.acknowledged)]
        for sender in self.hospital.senders:
            with sender.outbox() as box:
                for transfer in box.transfers():
                    if transfer.kind == "dicom":
                        owed = box.instances(transfer.id)
                        found += [(sender.code, one.sop_uid) for one in owed if one.acked]
        return found

    def _on_disk(self, wanted: list[tuple[str, str]]) -> None:
        """Every one of these has one row and a file with the bytes that were sent."""
        rows = {(row.institution, row.sop_uid): row for row in self._rows()}
        lost = [key for key in wanted if key not in rows or rows[key].path is None]
        assert not lost, f"acknowledged and not there: {lost}"
        other = [key for key in set(wanted) if self._d1(rows[key]) != self.expected[key]]
        assert not other, f"acknowledged and not what was sent: {other}"

    def _d1(self, row: Row[Any]) -> str:
        return of_file(self.hospital.ends.receiver / "store" / row.path, row.prefix_length)

    def _rows(self) -> list[Row[Any]]:
        with self.hospital.ends.index() as known, known.read() as db:
            return list(db.execute(select(index.instances)))

    def settle(self) -> None:
        """Take the faults away, wait until nothing is owed, compare everything."""
        self.note("everything is mended")
        self.hospital.heal()
        self.hospital.foreign.again()
        for sender in self.hospital.senders:
            with sender.outbox() as box:
                until(lambda box=box: _rests(box), f"{sender.data.name} owes nothing", PATIENCE)  # type: ignore[misc]
                self._receipted(sender, box)
        self.note("nothing is owed any more")
        if self.draw.random() < 0.5:  # what a restart sweeps, and what is swept without one
            self.hospital.ends.stop_receiver()
            self.hospital.ends.start_receiver()
            self.note("the receiver was restarted")
        self._agreement()

    def _receipted(self, sender: SenderEnd, box: Outbox) -> None:
        """Every job that was accepted ended in a receipt that holds."""
        (words,) = (
            json.loads(p.read_text("utf-8")) for p in (sender.data / "partners").glob("*.json")
        )
        assert {job.id for job in box.jobs()} == sender.accepted.keys()
        for transfer in box.transfers():
            assert transfer.state == "receipted", (
                f"{transfer.id}: {transfer.state} {transfer.error}"
            )
            assert transfer.digests_equal, transfer.id
            if transfer.kind == "slide":
                self._expect_slide(sender, box, transfer)
            signed = box.statement(transfer.id, "receipt")
            receipt = link.read_receipt(jws.verify(str(signed), words["signing_certificate"]))
            told = {(sender.code, one.uid) for one in receipt.instances}
            assert told == {(sender.code, one.sop_uid) for one in box.instances(transfer.id)}
            assert all(self.expected[sender.code, i.uid] == i.d1 for i in receipt.instances
                       if transfer.kind == "dicom")  # fmt: skip
            with self.hospital.ends.index() as known, known.read() as db:
                assert statements.read(db, transfer.id, "receipt") == signed
        for job, path in sender.accepted.items():
            sent = sum(box.count(one.id) for one in box.transfers(job))
            assert path.suffix or sent == len(list(path.iterdir())), f"job {job} is not whole"
            assert box.refused(job) == []

    def _expect_slide(self, sender: SenderEnd, box: Outbox, transfer: Transfer) -> None:
        case = SlideCase.from_json(json.loads(str(transfer.slide)))
        path = Path(box.instances(transfer.id)[0].path)
        with contextlib.closing(open_slide(path, case)) as slide:
            for level in slide.instances:
                whole = self.folder / "level"
                with whole.open("wb") as file:
                    for piece in Layout(level.header, level.lengths).stream(level.frame):
                        file.write(piece)
                self.expected[sender.code, level.sop_instance_uid] = of_file(whole, 0)

    def _agreement(self) -> None:
        """One row and one file each, byte-identical, and not one that nobody sent."""
        rows = self._rows()
        keys = [(row.institution, row.sop_uid) for row in rows]
        assert len(keys) == len(set(keys)), "one instance twice"
        assert set(keys) == self.expected.keys(), (
            f"missing {self.expected.keys() - set(keys)}, sent by nobody "
            f"{set(keys) - self.expected.keys()}"
        )
        self._on_disk(keys)
        for row in rows:
            verified = row.institution != self.hospital.foreign.code
            state = InstanceState.VERIFIED if verified else InstanceState.STORED
            assert row.state == state, f"{row.sop_uid}: {row.state}"
        store = self.hospital.ends.receiver / "store"
        here = [Path(at, name) for at, _, names in os.walk(store) for name in names]
        known = {str(row.path) for row in rows}
        found = sorted(path.relative_to(store).as_posix() for path in here)
        assert found == sorted(known), "a file for each row and no other"


def _rests(box: Outbox) -> bool:
    return all(job.scanned for job in box.jobs()) and all(map(at_rest, box.transfers()))


@contextlib.contextmanager
def _told(history: History) -> Iterator[None]:
    """Say how to have the same history again, where one fails."""
    try:
        yield
    except Exception as failure:
        lines = "\n".join(history.lines)
        logs = "\n".join(
            f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-3000:]}"
            for log in history.hospital.ends.folder.glob("*.log")
        )
        pytest.fail(f"seed {history.seed}: {failure!r}\n{lines}\n{logs}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", SWEEP)
@pytest.mark.requirement("UX-06", "DAT-05", "DIR-07", "DIR-11")
def test_every_acknowledgement_stands(tmp_path: Path, seed: int) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (tmp_path / "ends").mkdir()
    with Hospital(tmp_path / "ends") as hospital:
        history = History(seed, hospital, sources)
        with _told(history):
            history.run(ROUNDS)
            history.settle()
        print(f"seed {seed}: {len(history.expected)} instances\n" + "\n".join(history.lines))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("acknowledges-and-drops", "acknowledged and not there"),
        ("flips-on-the-way-to-disk", "acknowledged and not what was sent"),
    ],
)
def test_a_broken_promise_is_seen(tmp_path: Path, fault: str, seen: str) -> None:
    """A receiver that is bad on purpose: what would pass it would prove nothing."""
    (tmp_path / "ends").mkdir()
    (tmp_path / "fault").write_text(fault)
    paths = os.pathsep.join([str(MUTANTS), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": paths, "TODOKE_FAULT": str(tmp_path / "fault")}
    with Hospital(tmp_path / "ends") as hospital:
        history = History(0, hospital, tmp_path)
        hospital.ends.stop_receiver()
        hospital.ends.start_receiver(env)
        history.foreign()
        hospital.foreign.join()
        with pytest.raises(AssertionError, match=seen):
            history.kill_receiver()
