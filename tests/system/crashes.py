"""Two ends whose processes fail or end at a chosen point, and what must be true afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from sqlalchemy import select

from common.dicom import dataset
from common.dicom.association import Context, Outgoing, Requestor
from common.dicom.layout import Layout
from common.errors import TodokeError
from common.free_ports import free_ports
from common.states import InstanceState, TransferState
from receiver import index
from sender import sending
from sender.outbox import Transfer
from sender.record_sending import path_of
from sender.slides import SlideCase, open_slide
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, command, first_object, must, start, until
from tests.system.series import write_series

LAN, AET = "127.0.0.1", "CT1"
SETTLE = 100.0  # seconds that a transfer may take with a fault in it, on a busy machine
SITE = Path(__file__).parent / "crashing"


@dataclass(frozen=True)
class Trial:
    """One transfer with a fault at one point.

    Attributes
    ----------
    flow : str
        ``ct`` and ``slide`` from the outbox on; ``modality`` from the device on.
    n : int
        1-based; 0 lets all go well and only counts.
    how : str
        ``kill``, ``kill all`` (the receiver with its supervisor), or the name of an errno.
    what : str
        Kind of point that `n` counts alone: a call and who asked for it.
    reads : bool
        Calls that read are points too.
    """

    flow: str
    process: str
    n: int
    how: str
    what: str = ""
    reads: bool = False


@dataclass
class Outcome:
    """What became of a trial: the points, and the one that the fault fell on."""

    hits: list[tuple[str, str]]
    fired: str | None


@dataclass
class Crashing:
    """A receiver and a sender's daemon that stay up, or are started again."""

    folder: Path
    ends: Ends = field(init=False)
    daemon: subprocess.Popen[str] | None = None
    port: int = 0
    hit: Counter[str] = field(default_factory=Counter)
    known: dict[str, str] = field(default_factory=dict)  # D1 of all that was ever sent, by UID

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._given: tuple[int, Path | None] = 0, None
        self.plans = self.folder / "plans"
        self.plans.mkdir(parents=True)
        path = os.environ.get("PYTHONPATH")
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{SITE}{os.pathsep}{path}" if path else str(SITE),
            "TODOKE_CRASH": str(self.plans),
            "TODOKE_SENDER_SETTLE_SECONDS": "1",
        }
        self.ends = Ends(self.folder)

    def open(self) -> None:
        """Pair both ends and start them."""
        self.ends.pair()
        self.ends.stop_receiver()
        self.port = with_doors(self.ends)
        (partner,) = (self.ends.sender / "partners").glob("*.json")
        self.partner = partner.stem
        self._plan(Trial("", "", 0, ""))
        self.ends.start_receiver(self.env)
        self._start_daemon()

    def close(self) -> None:
        """End both."""
        self.ends.stop_receiver()
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.communicate(timeout=60)

    def _start_daemon(self) -> None:
        line = command("sender", "run", "--data", self.ends.sender, "--json")
        self.daemon = start(line, self.folder / "sender.log", self.env)
        first_object(self.daemon)

    def _plan(self, trial: Trial) -> str:
        number = f"{next(self._numbers):04}"
        plan = {**asdict(trial), "id": number}
        new = self.plans / ".plan"
        new.write_text(json.dumps(plan), "utf-8")
        new.replace(self.plans / "plan")
        return number

    def _keep_up(self) -> None:
        """Start again what ended, as a service manager does."""
        assert self.daemon is not None
        if self.daemon.poll() is not None:
            assert self.daemon.stdout is not None
            self.daemon.stdout.close()
            self._start_daemon()
        receiver = self.ends.running
        if receiver is None or receiver.poll() is not None:
            if receiver is not None:
                self.ends.kill_receiver()
            self.ends.start_receiver(self.env)

    # -- one trial ----------------------------------------------------------

    def run(self, trial: Trial) -> Outcome:
        """Send something with a fault on its way; it has to come whole all the same."""
        source = self.folder / "sources" / f"{trial.flow}-{next(self._numbers)}"
        if trial.flow == "slide":
            path = self._slide(source)
        else:
            path = source
            for one in write_series(source, int(source.name.partition("-")[2]), 3, 48):
                part = dataset.read_part10(one)
                d1 = hashlib.sha256(one.read_bytes()[part.offset :]).hexdigest()
                self.known[part.sop_instance_uid] = d1
        with self.ends.outbox() as box:
            before = {transfer.id for transfer in box.transfers()}
        name = self._plan(trial)
        self._given = 0, None
        if trial.flow == "modality":
            self._from_device(source)
        else:
            self._from_outbox(path)
        until(lambda: self._settled(before), f"{trial} comes to rest", SETTLE)
        fired = self._file(name, "fired")
        assert not self._file(name, "lies"), f"{trial}: {fired}: acknowledged, and denied later"
        self._judge(trial, before, path)
        hits = [line.split(" ", 1) for line in self._file(name, "hits")]
        if fired:
            self.hit[f"{trial.process} {fired[0]}"] += 1
        return Outcome([(process, what) for process, what in hits], fired[0] if fired else None)

    def points(self, flow: str, process: str, *, reads: bool = False) -> Counter[str]:
        """Let all go well; return how many points of each kind a process has."""
        hits = self.run(Trial(flow, "", 0, "", reads=reads)).hits
        return Counter(what for at, what in hits if at == process)

    def _file(self, name: str, kind: str) -> list[str]:
        path = self.plans / f"{name}.{kind}"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def _slide(self, source: Path) -> Path:
        source.mkdir(parents=True)
        return Svs(width=512, height=384, tile=256).write(source / "case.svs")

    def _from_outbox(self, path: Path) -> None:
        options = {"priority": "routine", "purpose": "advice", "request": {}, "slide": {}}
        job = sending.submit(self.ends.sender, self.partner, [path], options)
        self._given = job, path

    def _from_device(self, folder: Path) -> None:
        """Store at the modality door until all is acknowledged; what is, is not sent again."""
        owed = {one.sop_instance_uid: one for one in map(_outgoing, sorted(folder.iterdir()))}

        def stored() -> bool:
            self._keep_up()
            with contextlib.suppress(TodokeError, OSError), _device(self.port) as device:
                for outcome in device.store(list(owed.values())):
                    if outcome.error is None:
                        del owed[outcome.outgoing.sop_instance_uid]
            return not owed

        until(stored, "the device is rid of its study", SETTLE)

    def _settled(self, before: set[str]) -> bool:
        """Whether the new transfer is receipted; a person sends again what was held or refused."""
        self._keep_up()
        job, path = self._given
        with self.ends.outbox() as box:
            new = [transfer for transfer in box.transfers() if transfer.id not in before]
            for one in new:
                if one.state in sending.STOPPED:
                    sending.retry(self.ends.sender, one.id)
            refused = path is not None and not new and box.refused(job)
            # its record comes behind the receipt, and goes to be countersigned
            kept = all(box.records_of(one.id) for one in new)
            kept = kept and not box.uncountersigned(self.partner)
        if refused and path is not None:  # the disk did not let it be read
            self._from_outbox(path)
        return bool(new) and kept and all(one.state is TransferState.RECEIPTED for one in new)

    def _judge(self, trial: Trial, before: set[str], path: Path) -> None:
        """Everything is there, byte for byte, and nothing half under a final name."""
        with self.ends.outbox() as box:
            new = [transfer for transfer in box.transfers() if transfer.id not in before]
            owed = [(one, box.instances(one.id)) for one in new]
            for record in (record for one in new for record in box.records_of(one.id)):
                file = json.loads(path_of(self.ends.sender, record).read_text("utf-8"))
                assert file["record"] == record.statement, trial
                assert record.countersignature is not None, trial
                assert file["countersignature"] == record.countersignature, trial
        if trial.flow == "slide":
            self.known |= _levels(new[0], path)
        uids = {instance.sop_uid for _, instances in owed for instance in instances}
        with self.ends.index() as known, known.read() as db:
            mine = index.instances.c.sop_uid.in_(uids)
            rows = db.execute(select(index.instances).where(mine)).all()
        assert {row.sop_uid for row in rows} == uids, trial
        for row in rows:
            assert row.state == InstanceState.VERIFIED, trial
            data = (self.ends.receiver / "store" / row.path).read_bytes()
            found = hashlib.sha256(data[row.prefix_length :]).hexdigest()
            assert found == row.d1 == self.known[row.sop_uid], trial
        self.judge_names()

    def judge_names(self) -> None:
        """Whatever has a final name in the store is whole, known to the index or not."""
        for path in (self.ends.receiver / "store").rglob("*.dcm"):
            with contextlib.suppress(FileNotFoundError):
                part = dataset.read_part10(path)
                d1 = hashlib.sha256(path.read_bytes()[part.offset :]).hexdigest()
                assert d1 == self.known.get(part.sop_instance_uid), f"half or strange: {path}"

    def judge_store(self) -> None:
        """After a clean start there is a file for each row, and no other but those set aside."""
        self._plan(Trial("", "", 0, ""))  # what was not reached is not to fall on the start
        self.ends.stop_receiver()
        self.ends.start_receiver(self.env)
        with self.ends.index() as known, known.read() as db:
            paths = set(db.execute(select(index.instances.c.path)).scalars())
        store = self.ends.receiver / "store"
        here = {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}
        assert {path for path in here if not path.startswith("aside/")} == paths
        self.judge_names()

    def count(self, room: str, text: str) -> int:
        """Return how often the log of an end has a text."""
        return (self.folder / f"{room}.log").read_text("utf-8").count(text)


def with_doors(ends: Ends, *watched: Path) -> int:
    """Give the sender a modality door and watched folders; return the port."""
    (port,) = free_ports(1)
    settings = ends.sender / "sender.toml"
    text = settings.read_text("utf-8")
    values = {"modality_bind": LAN, "modality_port": port, "watch": [str(one) for one in watched]}
    for key, value in values.items():
        (line,) = (one for one in text.splitlines() if one.startswith(f"{key} ="))
        text = text.replace(line, f"{key} = {json.dumps(value)}")
    settings.write_text(text, "utf-8")
    must("sender", "modality", "add", AET, "--address", LAN, "--data", ends.sender)
    (partner,) = (ends.sender / "partners").glob("*.json")
    (ends.sender / "rules.toml").write_text(f'[[rule]]\nto = "{partner.stem}"\n', "utf-8")
    return port


def hand_over(port: int, folder: Path) -> set[int]:
    """Store a folder at a modality door as a device does; return the statuses."""
    owed = [_outgoing(path) for path in sorted(folder.iterdir())]
    with _device(port) as device:
        return {outcome.status for outcome in device.store(owed)}


def _device(port: int) -> Requestor:
    return Requestor.open(
        (LAN, port), tls=None, server_hostname=None, calling_aet=AET, called_aet="ANY-SCP",
        contexts=[Context(CTImageStorage, ExplicitVRLittleEndian)],
    )  # fmt: skip


def _outgoing(path: Path) -> Outgoing:
    part, data = dataset.read_part10(path), path.read_bytes()
    values = part.sop_class_uid, part.sop_instance_uid, part.transfer_syntax_uid
    return Outgoing(*values, len(data) - part.offset, lambda: _Bytes(data[part.offset :]))


class _Bytes:
    """A data set in memory, as an association reads it."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, places: Sequence[memoryview]) -> None:
        for place in places:
            self.file.readinto(place)

    def close(self) -> None:
        self.file.close()


def _levels(transfer: Transfer, path: Path) -> dict[str, str]:
    """Return D1 of each level of a slide, made here from the vendor's file."""
    case = SlideCase.from_json(json.loads(str(transfer.slide)))
    with contextlib.closing(open_slide(path, case)) as slide:
        found = {}
        for level in slide.instances:
            whole = hashlib.sha256()
            for piece in Layout(level.header, level.lengths).stream(level.frame):
                whole.update(piece)
            found[level.sop_instance_uid] = whole.hexdigest()
        return found
