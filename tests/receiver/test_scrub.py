"""What the disk loses after the acknowledgement is found, never shown as sound, and mended."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from common import audit
from common.errors import ImageDamaged, SameUidOtherContent, StoreAway
from common.settings import Receiver
from common.states import InstanceState, TransferState
from receiver import index, repairs, statements
from receiver.changes import Changes
from receiver.facts import KnownFacts
from receiver.index import Index
from receiver.keeper_process import Keeper
from receiver.scrub import Pace, Scrub
from receiver.soundness import Soundness
from receiver.store import LEFT_BEHIND
from receiver.stored import Address, Stored
from receiver.worklist import Worklist
from tests.receiver.filled import NORTH, Filled, client, ct_image

DICOM = {"Accept": "application/dicom"}


@dataclass
class Kept:
    """A filled receiver and what looks after it."""

    filled: Filled
    scrub: Scrub

    def rows(self) -> list[Any]:
        """Every instance of the index."""
        with self.filled.index.read() as db:
            return list(db.execute(select(index.instances).order_by(index.instances.c.id)))

    def path(self, row: Any) -> Path:
        """Where an instance lies."""
        return self.filled.store.path(row.path)

    def states(self) -> list[str]:
        """The states of the instances, in order."""
        return [row.state for row in self.rows()]

    def wanted(self) -> list[str]:
        """The instances that their sender is asked for."""
        with self.filled.index.read() as db:
            found = repairs.wanted(db, NORTH[1])
        return [uid for one in found for uid in one["instances"]]

    def alarms(self) -> list[str]:
        """Causes of the alarms in the audit trail."""
        return [one["cause"] for one in audit.last(self.scrub.trail.path.parent, "alarm", 999)]


@pytest.fixture
def kept(filled: Filled) -> Iterator[Kept]:
    trail = audit.Trail(filled.data / "audit", "scrub")
    yield Kept(filled, Scrub(filled.index, filled.store, trail))
    trail.close()


def flip(path: Path, at: int) -> None:
    """Change one bit of a file, as a disk may."""
    whole = bytearray(path.read_bytes())
    whole[at] ^= 4
    path.write_bytes(whole)


@pytest.mark.requirement("DAT-01")
@pytest.mark.badinput(93, "flipped")
def test_one_byte_in_one_percent_of_files_is_found_without_exception(kept: Kept) -> None:
    kept.filled.ct(count=200)
    chosen = random.Random(4)
    rotten = chosen.sample(kept.rows(), 2)
    first, second = rotten
    flip(kept.path(first), chosen.randrange(first.prefix_length))  # what no digest is over
    flip(kept.path(second), chosen.randrange(second.prefix_length, second.length))
    found = kept.scrub.all()
    assert (found.instances, found.damaged, found.vanished) == (200, 2, 0)
    damaged = [row.sop_uid for row in kept.rows() if row.state == InstanceState.DAMAGED]
    assert sorted(damaged) == sorted(kept.wanted()) == sorted(row.sop_uid for row in rotten)
    assert kept.alarms() == ["image damaged: changed"] * 2
    assert len(list(kept.filled.store.set_aside.iterdir())) == 2, "kept, and served no more"


@pytest.mark.slow
def test_every_flipped_byte_of_a_file_is_found(kept: Kept) -> None:
    kept.filled.ct(count=1)
    [row] = kept.rows()
    path = kept.path(row)
    whole = path.read_bytes()
    seen = repairs.Seen(*(getattr(row, name) for name in repairs.Seen._fields))
    version = row.prefix_length - 20  # the name of the program that wrote it is free
    for at in (*range(version), *range(row.prefix_length, len(whole), 7)):
        flip(path, at)
        with pytest.raises(Exception, match="changed"):
            kept.scrub._check(seen, closing=False)
        path.write_bytes(whole)


@pytest.mark.badinput(93, "vanished")
def test_a_vanished_file_is_asked_for_and_a_whole_disk_is_not(kept: Kept) -> None:
    kept.filled.ct(count=LEFT_BEHIND + 2)
    kept.path(kept.rows()[5]).unlink()
    assert kept.scrub.all().vanished == 1
    for row in kept.rows():
        if row.path is not None:
            kept.path(row).unlink()
    with pytest.raises(StoreAway):
        kept.scrub.all()
    sound = kept.states().count(InstanceState.VERIFIED)
    assert sound > 0, "what cannot be seen just now is not called damaged without end"


@pytest.mark.badinput(93, "truncated")
def test_what_is_cut_or_grown_is_damaged(kept: Kept) -> None:
    kept.filled.ct(count=2)
    cut, grown = kept.rows()
    kept.path(cut).write_bytes(kept.path(cut).read_bytes()[:-1])
    with kept.path(grown).open("ab") as file:
        file.write(b"\0")
    assert kept.scrub.all().damaged == 2


@pytest.mark.requirement("DAT-01")
def test_a_damaged_image_is_never_shown_as_sound(kept: Kept) -> None:
    key = kept.filled.ct(count=3)
    rotten = kept.rows()[1]
    flip(kept.path(rotten), rotten.prefix_length + 900)
    kept.scrub.all()
    with kept.filled.serve() as url, client(url) as asking:
        series = f"/dicomweb/studies/{rotten.study_uid}/series/{rotten.series_uid}"
        one = f"{series}/instances/{rotten.sop_uid}"
        for path in (one, f"{one}/frames/1", f"{one}/rendered", series):
            answer = asking.get(path, headers=DICOM if path in (one, series) else {})
            assert answer.status_code == ImageDamaged.http_status
            assert answer.json()["error"]["number"] == "E-4103"
        other = f"{series}/instances/{kept.rows()[0].sop_uid}"
        assert asking.get(other, headers=DICOM).status_code == 200
        [row] = asking.get("/api/worklist").json()["rows"]
        assert (row["damaged"], row["arrived"], row["expected"]) == (1, 2, 3)
        [shown] = asking.get(f"/api/studies/{key}").json()["series"]
        states = [one["state_ja"] for one in shown["instances"]]
        assert states == ["照合済", "破損", "照合済"]


def _vanish(path: Path, _at: int) -> None:
    path.unlink()


def _cut(path: Path, _at: int) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _grow(path: Path, _at: int) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flip_head(path: Path, at: int) -> None:
    flip(path, at - 60)  # in group 0002


@pytest.mark.requirement("DAT-01")
@pytest.mark.parametrize("damage", [_vanish, _cut, _grow, flip, _flip_head])
def test_what_a_reader_is_refused_is_damaged_from_then_on(
    filled: Filled, damage: Callable[[Path, int], None]
) -> None:
    filled.ct(count=2)
    settings = Receiver(scrub_mb_per_second=0)  # no pass comes to it
    keeper = Keeper(filled.data, settings, threading.Event())
    kept = Kept(filled, keeper.scrub)
    rotten = kept.rows()[0]
    damage(kept.path(rotten), rotten.prefix_length)
    keeper.round(datetime.now(UTC))
    assert kept.states() == [InstanceState.VERIFIED] * 2
    one = f"/dicomweb/studies/{rotten.study_uid}/series/{rotten.series_uid}/instances"
    with filled.serve() as url, client(url) as asking:
        for _ in range(3):
            answer = asking.get(f"{one}/{rotten.sop_uid}/frames/1")
            assert answer.json()["error"]["number"] == ImageDamaged.number
    keeper.round(datetime.now(UTC))
    assert kept.states() == [InstanceState.DAMAGED, InstanceState.VERIFIED]
    assert kept.wanted() == [rotten.sop_uid]
    assert len(kept.alarms()) == 1
    filled.arrive([ct_image("北見", 1)])
    keeper.round(datetime.now(UTC))
    with filled.serve() as url, client(url) as asking:
        assert asking.get(f"{one}/{rotten.sop_uid}/frames/1").status_code == 200
    keeper.trail.close()
    keeper.index.close()


def test_of_what_is_sound_nothing_is_written_when_it_is_read(kept: Kept) -> None:
    kept.filled.ct(count=3)
    sound = Soundness(Stored(kept.filled.index, kept.filled.store.root))
    other = Index.at(kept.filled.data)
    changes = Changes(other)
    changes.seen()
    for row in kept.rows() * 2:
        sound.check(row)
    assert not changes.seen()
    changes.close()
    other.close()


def test_a_reader_of_a_store_that_is_away_makes_nothing_damaged(kept: Kept) -> None:
    kept.filled.ct(count=1)
    away = kept.filled.store.root.rename(kept.filled.data / "away")
    sound = Soundness(Stored(kept.filled.index, kept.filled.store.root))
    with pytest.raises(ImageDamaged):
        sound.check(kept.rows()[0])
    with pytest.raises(StoreAway):
        kept.scrub.suspected()
    away.rename(kept.filled.store.root)
    kept.scrub.suspected()
    assert kept.states() == [InstanceState.VERIFIED]


@pytest.mark.parametrize("lost", ["vanished", "short"])
def test_a_file_that_is_lost_is_no_server_error_before_a_pass_finds_it(
    kept: Kept, lost: str
) -> None:
    kept.filled.ct(count=1)
    [row] = kept.rows()
    path = kept.path(row)
    if lost == "vanished":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    stored = Stored(kept.filled.index, kept.filled.store.root)
    with pytest.raises(ImageDamaged):
        list(stored.whole(row))
    with pytest.raises(ImageDamaged):
        stored.read(row, stored.spans(row, [0]) or [])
    assert stored.find(Address(instance=row.sop_uid))


@pytest.mark.requirement("DAT-01", "DAT-05")
def test_only_what_was_acknowledged_takes_the_place_of_what_was_damaged(kept: Kept) -> None:
    key = kept.filled.ct(count=2)
    rotten = kept.rows()[0]
    whole = kept.path(rotten).read_bytes()
    flip(kept.path(rotten), len(whole) - 20)
    kept.scrub.all()
    with pytest.raises(SameUidOtherContent):
        kept.filled.arrive([ct_image("北見", 1, StudyDescription="another")])
    assert kept.states()[0] == InstanceState.DAMAGED
    kept.filled.arrive([ct_image("北見", 1)])
    again = kept.rows()[0]
    assert (again.id, again.state) == (rotten.id, InstanceState.STORED)
    assert kept.wanted() == []
    kept.scrub.again()  # read back before it counts
    assert kept.scrub.found.mended == 1
    again = kept.rows()[0]
    assert kept.path(again).read_bytes() == whole
    with kept.filled.index.read() as db:
        assert repairs.listed(db) == []
    known = KnownFacts(kept.filled.store.root)
    row = Worklist(kept.filled.index, known).study(key)
    assert (row["damaged"], row["arrived"]) == (0, 2)


def test_what_was_not_receipted_is_stored_again_and_not_verified(kept: Kept) -> None:
    """There is no receipt in this index: verified is what a receipt says, nothing else."""
    kept.filled.ct(count=1)
    [rotten] = kept.rows()
    flip(kept.path(rotten), rotten.prefix_length)
    kept.scrub.all()
    kept.filled.arrive([ct_image("北見", 1)])
    kept.scrub.again()
    assert kept.states() == [InstanceState.STORED]
    with kept.filled.index.read() as db:
        assert statements.read(db, rotten.transfer, "receipt") is None


def test_what_comes_again_damaged_is_asked_for_a_few_times_then_people_are(kept: Kept) -> None:
    kept.filled.ct(count=1)
    for _ in range(repairs.MOST_TRIES + 2):
        [row] = kept.rows()
        flip(kept.path(row), row.prefix_length + 3)
        kept.scrub.again() if row.state == InstanceState.STORED else kept.scrub.all()
        kept.filled.arrive([ct_image("北見", 1)])
    with kept.filled.index.read() as db:
        [listed] = repairs.listed(db)
        transfer = db.execute(select(index.transfers)).one()
    assert kept.wanted() == []
    assert listed["refused"]["number"] == "E-4022"
    assert transfer.state == TransferState.QUERY
    kept.scrub.again()  # what came last is sound: the inquiry has an answer
    with kept.filled.index.read() as db:
        assert db.execute(select(index.transfers.c.state)).scalar() == TransferState.RECEIPTED


def test_a_product_without_a_link_cannot_be_asked(kept: Kept) -> None:
    with kept.filled.index.write() as db:
        db.execute(update(index.partners).values(kind="dicom"))
    kept.filled.ct(count=1)
    [row] = kept.rows()
    kept.path(row).unlink()
    kept.scrub.all()
    assert kept.wanted() == []
    with kept.filled.index.read() as db:
        [listed] = repairs.listed(db)
    assert "no link" in listed["refused"]["en"]


def test_of_a_slide_level_only_the_frames_that_changed_are_sent_again(kept: Kept) -> None:
    slide = kept.filled.slide()
    slide.lay_out(1)
    slide.send(1)
    row = slide._row(1)
    path = kept.path(row)
    whole = path.read_bytes()
    with kept.filled.index.write() as db:  # as its receipt leaves it
        import hashlib

        values = {"state": InstanceState.VERIFIED, "path": row.path.replace(".part", ".dcm")}
        values["d1"] = hashlib.sha256(whole[row.prefix_length :]).hexdigest()
        same = index.instances.c.id == row.id
        db.execute(update(index.instances).where(same).values(**values))
    path.rename(path.with_suffix(".dcm"))
    assert kept.scrub.all().damaged == 0
    at = whole.index(slide.tiles[1][2])
    flip(path.with_suffix(".dcm"), at + 9)
    kept.scrub.all()
    row = slide._row(1)
    assert (row.state, row.path is None) == (InstanceState.DAMAGED, False)
    stored = Stored(kept.filled.index, kept.filled.store.root)
    assert stored.missing(row, [0, 1, 3]) == [], "the others are what they were"
    with pytest.raises(ImageDamaged):
        stored.missing(row, [2])
    slide.send(1, [2])
    kept.scrub.again()
    assert slide._row(1).state == InstanceState.STORED
    assert path.with_suffix(".dcm").read_bytes() == whole


def test_a_level_that_is_lost_whole_is_laid_out_anew(kept: Kept) -> None:
    slide = kept.filled.slide()
    slide.lay_out(0)
    slide.send(0)
    path = kept.path(slide._row(0))
    whole = path.read_bytes()
    path.unlink()
    assert kept.scrub.all().vanished == 1
    assert slide._row(0).state == InstanceState.EXPECTED, "it was arriving: all of it is missing"
    slide.lay_out(0)
    slide.send(0)
    assert kept.path(slide._row(0)).read_bytes() == whole


def test_a_pass_goes_on_where_it_was_and_keeps_its_rate(kept: Kept) -> None:
    kept.filled.ct(count=130)
    now, waited = [0.0], [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds
        waited[0] += seconds

    kept.scrub.pace = Pace(1 << 20, wait, clock=lambda: now[0])
    assert kept.scrub.some()
    after_one = kept.scrub.found.instances
    other = Scrub(kept.filled.index, kept.filled.store, kept.scrub.trail)  # after a restart
    while other.some():
        pass
    assert after_one + other.found.instances == 130
    size = kept.scrub.found.bytes / (1 << 20)
    assert waited[0] == pytest.approx(size, rel=0.05)


def test_reading_gives_way_to_arrivals_but_not_for_ever() -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(1 << 30, wait, busy=lambda: True, clock=lambda: now[0])
    pace(1)
    assert now[0] == pytest.approx(Pace.MOST, abs=0.2)


def test_the_audit_names_no_patient(kept: Kept) -> None:
    kept.filled.ct(count=1)
    kept.path(kept.rows()[0]).unlink()
    kept.scrub.all()
    text = kept.scrub.trail.path.read_text()
    assert "TAKAHASHI" not in text
    assert "0012345" not in text
    assert json.loads(text.splitlines()[-1])["institution"] == NORTH[1]
