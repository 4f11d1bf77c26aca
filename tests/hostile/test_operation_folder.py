"""What may lie in a watched folder (99): taken when settled and regular, else left in words."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sender import ingest
from sender.outbox import Job, Outbox
from tests.sender.test_folder import Watched
from tests.system.series import write_series

pytestmark = pytest.mark.timeout(300)
NOBODY = 65534


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[Watched]:
    """A watched folder with a sound image in it, which every test must see taken.

    Not below pytest's own folder, which another user may not enter.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with contextlib.closing(Outbox(folder / "data")) as outbox, caplog.at_level(logging.INFO):
        made = Watched(folder / "w", outbox)
        (sound,) = write_series(folder / "made", 990, slices=1)
        shutil.copy(sound, made.folder / "sound.dcm")
        yield made
        assert "TAKAHASHI" not in caplog.text
    shutil.rmtree(folder)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody without rights for a while, where we are root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def settled(watched: Watched) -> list[str]:
    """Return what is taken once everything lies still; the sound image is among it."""
    watched.taken()
    names = watched.taken(10)
    assert "sound.dcm" in names
    names.remove("sound.dcm")
    return names


def read(watched: Watched) -> tuple[int, dict[str, str]]:
    """Read every job; return how many images it holds, and what is refused with which number."""
    images = 0
    refused: dict[str, str] = {}
    for job in watched.outbox.jobs(unscanned=True):
        found = ingest.scan(job)
        watched.outbox.scanned(job, found.transfers, found.refused, found.files)
        images += sum(len(instances) for _, instances in found.transfers)
        refused |= {Path(row["path"]).name: row["number"] for row in watched.outbox.refused(job.id)}
    return images, refused


@pytest.mark.badinput(99, "growing file")
def test_a_file_that_grows_waits(watched: Watched) -> None:
    growing = watched.folder / "growing.dcm"
    whole = (watched.folder / "sound.dcm").read_bytes()
    growing.write_bytes(whole[:100])
    assert settled(watched) == ["growing.dcm"], "it lay still for the time set"
    growing.write_bytes(whole[:1000])
    for cut in (2000, 3000, 4000):
        assert watched.taken(9) == []
        growing.write_bytes(whole[:cut])
    assert watched.taken(9) == []
    assert watched.taken(10) == ["growing.dcm"]
    assert read(watched)[1] == {"growing.dcm": "E-2014"}, "cut as it is, it is no image"
    growing.write_bytes(whole)


@pytest.mark.badinput(99, "symlink")
@pytest.mark.badinput(99, "symlink loop")
def test_links_are_not_followed(watched: Watched) -> None:
    secret = watched.folder.parent / "secret"
    secret.mkdir()
    shutil.copy(watched.folder / "sound.dcm", secret / "other.dcm")
    (watched.folder / "file.dcm").symlink_to(secret / "other.dcm")
    (watched.folder / "folder").symlink_to(secret)
    (watched.folder / "loop").symlink_to(watched.folder)
    (watched.folder / "self").symlink_to("self")
    deep = watched.folder / "unit"
    deep.mkdir()
    (deep / "up").symlink_to("..")
    (deep / "gone").symlink_to("nowhere")
    assert settled(watched) == []
    assert read(watched) == (1, {})


@pytest.mark.badinput(99, "FIFO")
@pytest.mark.badinput(99, "device")
def test_pipes_sockets_and_devices_are_not_opened(watched: Watched) -> None:
    """Whoever opened a pipe would hang."""
    strange = [watched.folder / "pipe.dcm", watched.folder / "unit" / "pipe.dcm"]
    strange[1].parent.mkdir()
    for path in strange:
        os.mkfifo(path)
    if os.geteuid() == 0:
        os.mknod(watched.folder / "zero.dcm", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(watched.folder / "socket.dcm"))
        assert settled(watched) == []
    assert read(watched) == (1, {})
    job = watched.outbox.submit("x", [*strange, Path("/dev/zero")], {})
    images, refused = read(watched)
    assert images == 0
    assert refused == {"pipe.dcm": "E-2002", "zero": "E-2002"}, job


@pytest.mark.badinput(99, "255-byte name")
def test_the_longest_names_are_taken(watched: Watched) -> None:
    long = watched.folder / ("k" * 255)
    deep = watched.folder / ("d" * 250) / ("e" * 250) / ("漢" * 85)
    deep.parent.mkdir(parents=True)
    for number, path in enumerate((long, deep)):
        (made,) = write_series(watched.folder.parent / f"long{number}", 991 + number, slices=1)
        shutil.copy(made, path)
    watched.taken()
    assert sorted(watched.taken(10)) == sorted(["sound.dcm", long.name, deep.name])
    assert read(watched) == (3, {})


@pytest.mark.badinput(99, "name that is not UTF-8")
def test_a_name_that_is_no_text_is_refused_and_stops_nothing(watched: Watched) -> None:
    """Shift_JIS from an older share; the outbox keeps text."""
    name = os.fsdecode("検査.dcm".encode("shift_jis"))
    unit = watched.folder / "unit"
    unit.mkdir()
    for place in (watched.folder, unit):
        shutil.copy(watched.folder / "sound.dcm", place / name)
    watched.taken()
    assert sorted(watched.taken(10)) == sorted(["sound.dcm", name, name])
    images, refused = read(watched)
    assert images == 1
    assert set(refused.values()) == {"E-2041"}
    assert watched.taken(100) == [], "it is told once"
    watched.door = watched.opened()
    watched.taken()
    assert watched.taken(10) == [], "after a restart too"


@pytest.mark.badinput(99, "no permission")
def test_what_may_not_be_read_stops_no_other(watched: Watched) -> None:
    for name in ("closed.dcm", "closed"):
        path = watched.folder / name
        if name == "closed":
            path.mkdir()
        shutil.copy(watched.folder / "sound.dcm", path / "in.dcm" if path.is_dir() else path)
        path.chmod(0)
    job = Job(1, "x", [str(watched.folder)], {}, "", False, 0)
    with as_nobody():
        found = ingest.scan(job)
    assert sum(len(instances) for _, instances in found.transfers) == 1
    refused = {Path(path).name: error.number for path, error in found.refused}
    assert refused == {"closed.dcm": "E-4000", "closed": "E-2002"}
    for path in (watched.folder / "closed", watched.folder / "closed.dcm"):
        path.chmod(0o700)


@pytest.mark.badinput(99, "deleted while reading")
def test_what_is_gone_when_it_is_read_is_said_to_be(watched: Watched) -> None:
    unit = watched.folder / "unit"
    unit.mkdir()
    for name in ("stays.dcm", "goes.dcm"):
        (made,) = write_series(watched.folder.parent / name, 995 + len(name), slices=1)
        shutil.copy(made, unit / name)
    assert sorted(settled(watched)) == ["goes.dcm", "stays.dcm"]
    (unit / "goes.dcm").unlink()
    images, refused = read(watched)
    assert images == 2
    assert refused == {"goes.dcm": "E-4000"}
    assert watched.taken(100) == []


@pytest.mark.badinput(99, "100k files")
@pytest.mark.parametrize(
    "count",
    [2_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_flood_of_files_is_one_job_and_none_is_left_out(watched: Watched, count: int) -> None:
    flood = watched.folder / "flood"
    flood.mkdir()
    for number in range(count):
        (flood / f"{number:06}").write_bytes(b"no image")
    assert len(settled(watched)) == count
    images, refused = read(watched)
    assert images == 1
    assert len(refused) == count
    assert set(refused.values()) == {"E-2002"}
