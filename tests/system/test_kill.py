"""A transfer that is killed in the middle goes on where it was, and nothing is sent twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from common.dicom import dataset, uids
from common.dicom.layout import Layout
from common.states import InstanceState, TransferState
from receiver import index, transfers
from sender.outbox import Transfer
from sender.slides import SlideCase, open_slide
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, until
from tests.system.line import Line
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
WINDOW = 32  # instances, see common.dicom.requestor
RATE = 2e7  # bytes a second
UNDER_WAY = 1_300_000  # bytes of a slide that may not be acknowledged yet


@dataclass(frozen=True)
class Lines:
    """The sender's two connections; each holds when the seeded share has gone through."""

    dicom: Line
    link: Line


@pytest.fixture(scope="module")
def lines(ends: Ends) -> Iterator[Lines]:
    """Lead the sender's two connections over lines of our own."""
    with (
        Line(ends.ports["dicom"], RATE) as dicom,
        Line(ends.ports["link"], RATE) as link,
        ends.through(dicom=dicom.port, link=link.port),
    ):
        yield Lines(dicom, link)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of some megabytes; every transfer gives it UIDs of its own."""
    folder = Path(tmp_path_factory.mktemp("slide"))
    return Svs(width=4096, height=3072, tile=256).write(folder / "case.svs")


def _newest(ends: Ends) -> Transfer:
    with ends.outbox() as box:
        return max(box.transfers(), key=lambda t: t.created)


def _share(ends: Ends, known: set[str]) -> tuple[str, float]:
    """Return id and acknowledged share of the transfer that is not known yet."""
    with ends.outbox() as box:
        for name, (held, total, *_) in box.progress().items():
            if name not in known:
                return name, held / total
    return "", 0.0


def _kill_in_the_middle(
    ends: Ends, line: Line, sent: int, least: float, source: Path, side: str
) -> str:
    """Kill one side when `sent` bytes went through and the share `least` is acknowledged."""
    with ends.outbox() as box:
        known = {transfer.id for transfer in box.transfers()}
    line.hold_after(sent)
    sending = ends.send(source)
    assert line.holding.wait(50)
    until(lambda: _share(ends, known)[1] >= least, "what went through is acknowledged")
    if side == "sender":
        sending.kill()
        sending.wait()
        name, at_kill = _share(ends, known)
        line.go_on()
        with ends.daemon():
            until(lambda: _newest(ends).finished is not None, "the transfer ends")
    else:
        ends.kill_receiver()
        name, at_kill = _share(ends, known)
        line.go_on()
        ends.start_receiver()
        said, _ = sending.communicate(timeout=50)
        assert sending.returncode == 0, said
        assert [t["state"] for t in json.loads(said)["transfers"]] == ["receipted"]
    if sending.stdout is not None:
        sending.stdout.close()
    assert 0.1 <= at_kill <= 0.9, f"killed at {at_kill:.0%}"
    return name


def _agreement(ends: Ends, name: str, digest: Callable[[str], str], most_repeats: int) -> None:
    """Outbox and index agree, one file an instance, D1 equal, repeats within one window."""
    with ends.outbox() as box:
        transfer, owed = box.transfer(name), box.instances(name)
    assert transfer.state is TransferState.RECEIPTED
    assert transfer.digests_equal
    with ends.index() as known, known.read() as db:
        row = transfers.known(db, name)
        rows = transfers.instances_of(db, name)
        paths = db.execute(select(index.instances.c.path)).scalars().all()
    assert row.state == TransferState.RECEIPTED
    assert row.repeats <= most_repeats
    assert {r.sop_uid for r in rows} == {i.sop_uid for i in owed}
    assert {r.state for r in rows} == {InstanceState.VERIFIED}
    store = ends.receiver / "store"
    for stored in rows:
        data = (store / stored.path).read_bytes()[stored.prefix_length :]
        assert hashlib.sha256(data).hexdigest() == stored.d1 == digest(stored.sop_uid)
    here = {p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file()}
    assert here == set(paths), "a file for each row and no other"


@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.requirement("UX-06", "DAT-05", "DIR-07")
def test_ct_series_survives_a_kill(
    ends: Ends, lines: Lines, tmp_path: Path, seed: int, side: str
) -> None:
    files = write_series(tmp_path / "ct", seed)
    digests = {}
    for path in files:
        part = dataset.read_part10(path)
        digests[part.sop_instance_uid] = hashlib.sha256(path.read_bytes()[part.offset :])
    share = random.Random(seed).uniform(0.2, 0.85)
    sent = int(share * sum(path.stat().st_size for path in files))
    least = share - 2 / len(files)  # the instance at which the line holds, and one on its way
    name = _kill_in_the_middle(ends, lines.dicom, sent, least, tmp_path / "ct", side)
    _agreement(ends, name, lambda uid: digests[uid].hexdigest(), WINDOW)


@pytest.mark.parametrize("side", ["sender", "receiver"])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.requirement("UX-06", "DIR-11", "WSI-10")
def test_slide_survives_a_kill(ends: Ends, lines: Lines, slide: Path, seed: int, side: str) -> None:
    total = slide.stat().st_size
    share = random.Random(seed).uniform(0.15, 0.85 - UNDER_WAY / total)
    sent = int(share * total) + UNDER_WAY  # of which so much may be in batches that are not whole
    name = _kill_in_the_middle(ends, lines.link, sent, 0.1, slide, side)
    with ends.outbox() as box:
        case = SlideCase.from_json(json.loads(str(box.transfer(name).slide)))
    with contextlib.closing(open_slide(slide, case)) as source:
        levels = {level.sop_instance_uid: level for level in source.instances}

        def digest(uid: str) -> str:
            level = levels[uid]
            layout = Layout(level.header, level.lengths)
            return hashlib.sha256(b"".join(layout.stream(level.frame))).hexdigest()

        # what is held is in the bitmap, acknowledged or not: no frame comes twice
        _agreement(ends, name, digest, most_repeats=0)


def test_uids_are_new_each_time() -> None:
    """The tests above count on it: a UID that came again would be a repeat."""
    assert len({uids.new_uid() for _ in range(100)}) == 100
