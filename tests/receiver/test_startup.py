"""What a power cut leaves behind, and what is made of it before a door opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from common.errors import DiskFull
from common.states import InstanceState
from receiver import index
from receiver.index import Index
from receiver.startup import mend
from receiver.store import Store

CODE = "0119876543"


class Cut:
    """A receiver's index and store, as a cut may leave them."""

    def __init__(self, folder: Path) -> None:
        self.index = Index.at(folder)
        self.store = Store(folder / "store")
        self.folder = self.store.series_folder(CODE, "1.2.3")
        partner = {"code": CODE, "name": "x", "kind": "todoke", "aet": "TDK", "added_at": "-"}
        with self.index.write() as db:
            db.execute(insert(index.partners).values(**partner))

    def file(self, name: str, folder: Path | None = None) -> Path:
        path = (folder or self.folder) / name
        path.write_bytes(name.encode())
        return path

    def row(self, uid: str, path: Path | None, state: InstanceState) -> None:
        """An instance that the index knows."""
        values = {
            "key": path.stem if path else uid,  # a file is named by the key of its row
            "institution": CODE,
            "study_uid": "1.2",
            "series_uid": "1.2.3",
            "sop_uid": uid,
            "sop_class": "1.2",
            "transfer_syntax": "1.2",
            "state": state,
            "path": self.store.relative(path) if path else None,
        }
        with self.index.write() as db:
            db.execute(insert(index.instances).values(**values))

    def paths(self) -> dict[str, str | None]:
        """What the index says of each instance's place."""
        with self.index.read() as db:
            columns = index.instances.c.sop_uid, index.instances.c.path
            return {uid: path for uid, path in db.execute(select(*columns))}

    def here(self) -> set[str]:
        """Every file of the store."""
        found = (path for path in self.store.root.rglob("*") if path.is_file())
        return {self.store.relative(path) for path in found}


@pytest.fixture
def cut(tmp_path: Path) -> Iterator[Cut]:
    made = Cut(tmp_path)
    yield made
    made.index.close()


@pytest.mark.requirement("DAT-08")
def test_a_level_renamed_before_its_row_gets_its_row(cut: Cut) -> None:
    final = cut.file("a.dcm")
    cut.row("1", cut.folder / "a.part", InstanceState.RECEIVED)
    mend(cut.index, cut.store)
    assert cut.paths() == {"1": cut.store.relative(final)}
    assert final.read_bytes() == b"a.dcm"
    mend(cut.index, cut.store)
    assert cut.here() == {cut.store.relative(final)}


@pytest.mark.requirement("DAT-08")
def test_what_was_acknowledged_stays_and_what_was_not_goes(cut: Cut) -> None:
    stored, arriving = cut.file("b.dcm"), cut.file("c.part")
    cut.row("1", stored, InstanceState.STORED)
    cut.row("2", arriving, InstanceState.RECEIVED)
    cut.row("3", None, InstanceState.EXPECTED)
    aside = cut.file("d.dcm", cut.store.set_aside)
    cut.file("e.part", cut.store.incoming)  # cut off in an association
    cut.file("f.dcm")  # renamed, and the cut came before the row
    cut.file("c.dcm")  # of a level that is still arriving
    mend(cut.index, cut.store)
    assert cut.here() == {cut.store.relative(p) for p in (stored, arriving, aside)}
    assert cut.paths()["2"] == cut.store.relative(arriving)


def test_a_file_that_is_lost_altogether_keeps_its_row(cut: Cut) -> None:
    """It is found when it is read back; nobody may take its place unseen."""
    cut.row("1", cut.folder / "gone.dcm", InstanceState.STORED)
    mend(cut.index, cut.store)
    assert cut.paths() == {"1": cut.store.relative(cut.folder / "gone.dcm")}


def test_no_name_is_made_of_what_a_peer_says(cut: Cut) -> None:
    folders = {cut.store.series_folder(CODE, uid) for uid in ("../../x", "/etc", "a\0b", "1.2.3")}
    assert len(folders) == 4
    assert all(folder.parent.parent == cut.store.root for folder in folders)
    assert cut.store.series_folder("0110000000", "1.2.3") != cut.folder


def test_keeping_aside_loses_nothing(cut: Cut) -> None:
    first, second = (cut.store.keep_aside(cut.file("g.dcm")) for _ in range(2))
    assert first != second
    assert {first.read_bytes(), second.read_bytes()} == {b"g.dcm"}
    assert cut.store.sweep(()) == 0


def test_space_runs_out_before_the_disk_is_full(tmp_path: Path) -> None:
    store = Store(tmp_path, low_water=0)
    store.space.check()
    with pytest.raises(DiskFull):
        store.space.check(1 << 60)
    with pytest.raises(DiskFull):
        Store(tmp_path, low_water=1 << 60).space.check()
