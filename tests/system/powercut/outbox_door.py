"""The sender under power cuts: devices of the house, verbs, and what it says was delivered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import select

from common.dicom import dataset
from common.dicom.association import Requestor
from common.errors import NotDicom
from common.states import InstanceState, TransferState
from receiver import index, statements
from sender.outbox import Outbox
from sender.partners import find_partner
from tests.common.dicom.association.rig import CT_CONTEXT
from tests.system.ends import command, must, start, until
from tests.system.powercut.ends import LONG, OUTBOX, CutEnds
from tests.system.powercut.hearing import UNDER_WAY, Ack, Heard, Taken, cut_at_random
from tests.system.powercut.pushing import SLICES, Source, store, write_studies
from tests.system.powercut.receiver_doors import Run
from tests.system.powercut.verdict import Verdict, database_fault
from tests.system.series import write_series

LAN, DEVICE = "127.0.0.1", "CT1"
MOST = 5  # answers between two cuts
LATEST = 0.4  # seconds after them: studies come to rest, and receipts come
SETTLE = "1"  # seconds
#: What `sender send --no-wait` does, without a start of Python each time.
_SUBMITTING = """
import sys
from pathlib import Path
from sender import sending
for line in sys.stdin:
    data, partner, study = line.rstrip().split("\t")
    print(sending.submit(Path(data), partner, [Path(study)], {}), flush=True)
"""


def outbox_door(run: Run) -> Verdict:
    """Cut while a device stores, people type `sender send`, and the daemon delivers.

    The receiver's data lie on the same disk, so that it never knows more than the
    sender had said when the power went.
    """
    ends = run.ends("sender", "receiver")
    _open_modality_door(ends)
    ends.set_up(run.disk)
    sources = write_studies(run.folder / "device", run.draw, run.instants * MOST + UNDER_WAY)
    typed = run.folder / "typed"
    write_studies(typed, run.draw, run.instants * SLICES)
    heard = Heard()
    env = {**(run.env or os.environ), "TODOKE_SENDER_SETTLE_SECONDS": SETTLE}
    studies, verbs = sorted(typed.iterdir()), list[subprocess.Popen[str]]()
    others = _small_studies(run, len(sources) // SLICES + 1)
    with ends.receiving(), ends.sending(env) as words, _submitting(ends, heard, env) as submit:
        port = int(words["modality"]["port"])

        def push() -> None:
            _store_as_device(port, sources, run.draw, heard, lambda: submit(next(others)))

        pushing = [
            heard.during(push),
            heard.during(lambda: _type(ends, studies, heard, env, verbs)),
        ]
        taken = cut_at_random(run.disk, heard, run.draw, run.instants, MOST, LATEST)
        heard.end()
    for verb in verbs:
        verb.kill()
    for one in pushing:
        one.join()
    return _after(run, ends, taken)


def _small_studies(run: Run, count: int) -> Iterator[Path]:
    """Write studies of one small image each, and give them one by one."""
    folders = [run.folder / "submitted" / f"{number:03}" for number in range(count)]
    for folder in folders:
        write_series(folder, run.draw.getrandbits(32), slices=1, side=32)
    return iter(folders)


def _open_modality_door(ends: CutEnds) -> None:
    settings = ends.sender / "sender.toml"
    text = settings.read_text("utf-8")
    for key, value in (("modality_bind", LAN), ("modality_port", 0)):
        (line,) = (one for one in text.splitlines() if one.startswith(f"{key} ="))
        text = text.replace(line, f"{key} = {json.dumps(value)}")
    settings.write_text(text, "utf-8")
    must("sender", "modality", "add", DEVICE, "--address", LAN, "--data", ends.sender)
    (partner,) = (ends.sender / "partners").glob("*.json")
    rule = f'[[rule]]\nfrom = "modality:{DEVICE}"\nmodality = ["CT"]\nto = "{partner.stem}"\n'
    (ends.sender / "rules.toml").write_text(rule, "utf-8")


@contextlib.contextmanager
def _submitting(
    ends: CutEnds, heard: Heard, env: dict[str, str]
) -> Iterator[Callable[[Path], None]]:
    """Run a process that puts studies into the outbox; gives what tells it to, and waits."""
    partner = find_partner(ends.sender).key
    with subprocess.Popen(
        [sys.executable, "-c", _SUBMITTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, answers = process.stdin, process.stdout

        def submit(study: Path) -> None:
            told.write(f"{ends.sender}\t{partner}\t{study}\n")
            told.flush()
            heard.note(Ack("job", answers.readline().strip(), digest=str(study)))

        yield submit
        process.kill()


def _store_as_device(
    port: int,
    sources: Sequence[Source],
    draw: random.Random,
    heard: Heard,
    between: Callable[[], None],
) -> None:
    """Hand over a study an association, as a device does; something else between two."""
    gone = 0
    for first in range(0, len(sources), SLICES):
        if heard.stop.is_set():
            return
        with contextlib.closing(
            Requestor.open(
                (LAN, port),
                tls=None,
                server_hostname=None,
                calling_aet=DEVICE,
                called_aet="TODOKE",
                contexts=[CT_CONTEXT],
                window=draw.choice([1, 8]),
            )
        ) as association:
            gone = store(association, iter(sources[first : first + SLICES]), heard, gone)
        if not heard.stop.is_set():
            between()


def _type(
    ends: CutEnds,
    studies: Sequence[Path],
    heard: Heard,
    env: dict[str, str],
    typed: list[subprocess.Popen[str]],
) -> None:
    """Run `sender send` again and again, each time until the receipt is there."""
    for study in studies:
        if heard.stop.is_set():
            return
        line = command("sender", "send", study, "--data", ends.sender, "--json")
        typed.append(start(line, ends.folder / "typed.log", env))
        answer, _ = typed[-1].communicate()
        if not answer and heard.stop.is_set():
            return  # killed while it waited
        said = json.loads(answer)
        assert [one["state"] for one in said["transfers"]] == ["receipted"], said
        heard.note(
            Ack("job", str(said["job"]), digest=str(study)),
            *(Ack("receipt", one["id"]) for one in said["transfers"]),
        )


def _after(run: Run, ends: CutEnds, taken: list[Taken]) -> Verdict:
    """Look at what each cut left; take some to the end."""
    verdict = Verdict("todoke", "outbox")
    run.disk.off()
    complete = run.to_complete(taken)
    for number, one in run.looked_at(taken, verdict):
        with run.disk.after(one.cut):
            fault = database_fault(ends.sender / OUTBOX)
            lost = [f"{len(one.acks)} with the outbox"] if fault else []
            unsound = [fault] if fault else []
            if not fault:
                with ends.outbox() as box:
                    after = _After(ends.sender, box, _Receiver(ends))
                    lost = [f"{ack.what} {ack.uid}" for ack in one.acks if not after.holds(ack)]
                    unsound = after.faults()
                if number in complete:
                    _complete(ends, one, verdict)
            verdict.add(one.cut.kind, len(one.acks), lost, unsound)
    return verdict


def _complete(ends: CutEnds, one: Taken, verdict: Verdict) -> None:
    """Start the sender again, and wait until all that it had taken is receipted."""
    settle = {**os.environ, "TODOKE_SENDER_SETTLE_SECONDS": SETTLE}
    try:
        with ends.receiving(), ends.sending(settle):
            until(lambda: _all_owed(ends), "every study has come to rest", LONG)
            unfinished = ends.all_receipted()
            with ends.outbox() as box:
                jobs = {str(job.id) for job in box.jobs()}
                sent = {i.sop_uid for t in box.transfers() for i in box.instances(t.id)}
    except AssertionError as failure:
        unfinished = [str(failure)]
    else:
        there = {"instance": sent, "job": jobs}
        unfinished += [
            f"{ack.what} {ack.uid} not sent"
            for ack in one.acks
            if ack.what in there and ack.uid not in there[ack.what]
        ]
    verdict.completed += not unfinished
    verdict.unfinished += unfinished


def _all_owed(ends: CutEnds) -> bool:
    """Whether every study of a device has come to rest, and stands in the outbox."""
    spool = ends.sender / "spool"
    if any((spool / "arriving").iterdir()):
        return False
    with ends.outbox() as box:  # a study is taken first, and owed a moment later
        owed = {path for job in box.jobs() for path in job.paths}
    return {str(taken.absolute()) for taken in (spool / "taken").iterdir()} <= owed


class _Receiver:
    """What the receiver holds after the same cut: what a sender may claim."""

    def __init__(self, ends: CutEnds) -> None:
        rows = index.instances
        kept = rows.c.state.in_([InstanceState.STORED, InstanceState.VERIFIED])
        with ends.index() as known, known.read() as db:
            self.held = set(db.execute(select(rows.c.sop_uid).where(kept)).scalars())
            names = db.execute(select(index.transfers.c.id)).scalars().all()
            self.receipts = {name: statements.read(db, name, "receipt") for name in names}


class _After:
    """What a sender's disk holds after a cut."""

    def __init__(self, data: Path, box: Outbox, known: _Receiver) -> None:
        self.box, self.known = box, known
        self.transfers = {transfer.id: transfer for transfer in box.transfers()}
        self.jobs = {str(job.id): job.paths for job in box.jobs()}
        spool = data / "spool"
        files = [path for name in ("arriving", "taken") for path in (spool / name).rglob("*.dcm")]
        self.spooled = {_uid_and_digest(path) for path in files}

    def holds(self, ack: Ack) -> bool:
        """Whether what was acknowledged is there as it was given."""
        if ack.what == "instance":
            return (ack.uid, ack.digest) in self.spooled
        if ack.what == "job":
            return self.jobs.get(ack.uid) == [ack.digest]
        transfer = self.transfers.get(ack.uid)
        return transfer is not None and transfer.state is TransferState.RECEIPTED

    def faults(self) -> list[str]:
        """Return what the sender says of the receiver and is not so, and files that are half."""
        found = [f"{name} in the spool is no instance" for uid, name in self.spooled if not uid]
        for transfer in self.transfers.values():
            claimed = {i.sop_uid for i in self.box.instances(transfer.id) if i.acked}
            if unheld := claimed - self.known.held:
                found.append(f"{len(unheld)} claimed of {transfer.id}")
            receipt = self.box.statement(transfer.id, "receipt")
            if receipt is not None and receipt != self.known.receipts.get(transfer.id):
                found.append(f"receipt of {transfer.id}")
        return found


def _uid_and_digest(path: Path) -> tuple[str, str]:
    """Return what a file of the spool holds; no UID where it is no whole instance."""
    try:
        part = dataset.read_part10(path)
    except NotDicom:
        return "", path.name
    return part.sop_instance_uid, hashlib.sha256(path.read_bytes()[part.offset :]).hexdigest()
