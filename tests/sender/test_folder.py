"""A watched folder by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common.settings import Sender
from sender.doors.folder import FolderDoor
from sender.outbox import Outbox


class Watched:
    """A folder, its door and a clock that stands still until it is told."""

    def __init__(self, folder: Path, outbox: Outbox) -> None:
        self.folder = folder
        self.outbox = outbox
        self.now = 100.0
        folder.mkdir(exist_ok=True)
        self.door = self.opened()

    def opened(self) -> FolderDoor:
        settings = Sender(watch=(str(self.folder),), settle_seconds=10)
        return FolderDoor(self.outbox, settings, clock=lambda: self.now)

    def taken(self, later: float = 0.0) -> list[str]:
        """Look `later` seconds on; return the names that a job was made of."""
        self.now += later
        jobs = self.door.look()
        return [Path(path).name for job in jobs for path in self.outbox.job(job).paths]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with closing(Outbox(tmp_path / "data")) as outbox:
        yield Watched(tmp_path / "w", outbox)


def test_a_unit_is_taken_when_nothing_in_it_changed_for_the_time_set(watched: Watched) -> None:
    case = watched.folder / "case"
    case.mkdir()
    (case / "1").write_bytes(b"one")
    assert watched.taken() == []
    assert watched.taken(9.9) == []
    (case / "2").write_bytes(b"two")
    assert watched.taken(5) == [], "another file came: it waits anew"
    assert watched.taken(9.9) == []
    assert watched.taken(0.2) == ["1", "2"]
    assert watched.taken(100) == []


def test_what_was_taken_is_known_after_a_restart_and_taken_again_when_changed(
    watched: Watched,
) -> None:
    one = watched.folder / "one"
    one.write_bytes(b"one")
    watched.taken()
    assert watched.taken(10) == ["one"]
    watched.door = watched.opened()
    watched.taken()
    assert watched.taken(10) == []
    one.write_bytes(b"other and longer")
    watched.taken()
    assert watched.taken(10) == ["one"]


def test_a_unit_that_cannot_be_read_stops_no_other(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (watched.folder / name).mkdir()
        (watched.folder / name / name).write_bytes(b"x")
    listed = Path.rglob

    def denied(self: Path, pattern: str) -> Iterator[Path]:
        if self.name == "a":
            raise PermissionError(13, "Permission denied")
        yield from listed(self, pattern)

    monkeypatch.setattr(Path, "rglob", denied)
    watched.taken()
    assert watched.taken(10) == ["b"]
    monkeypatch.undo()
    watched.taken()
    assert watched.taken(10) == ["a"]


def test_a_folder_that_is_away_comes_back(watched: Watched, tmp_path: Path) -> None:
    watched.folder.rename(tmp_path / "away")
    assert watched.taken() == []
    (tmp_path / "away").rename(watched.folder)
    (watched.folder / "one").write_bytes(b"one")
    watched.taken()
    assert watched.taken(10) == ["one"]
