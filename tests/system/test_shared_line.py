"""Two hospitals: what is urgent overtakes, a cap is kept, dead partners slow nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from common.states import TransferState
from receiver import index, transfers
from sender.outbox import Transfer
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import DEADLINE, SENDER_CODE, Ends, must, until
from tests.system.line import Line
from tests.system.peers import own_identity
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
RATE = 3e6  # bytes a second
BUFFERED = 8_000_000  # bytes of an association that sockets and line may hold
PASSWORD = "kenbikyou-77-Shiken"
WHO = ("--patient-id", "1", "--patient-name", "A^B")


@pytest.fixture
def lines(ends: Ends) -> Iterator[list[Line]]:
    """Lead the sender's two connections over slow lines."""
    with (
        Line(ends.ports["dicom"], RATE) as dicom,
        Line(ends.ports["link"], RATE) as link,
        ends.through(dicom=dicom.port, link=link.port),
    ):
        yield [dicom, link]


def submit(ends: Ends, source: Path, *options: str) -> int:
    words = must("sender", "send", source, *options, "--no-wait", "--data", ends.sender)
    return int(words["job"])


def job(ends: Ends, number: int) -> Transfer | None:
    with ends.outbox() as box:
        return next(iter(box.transfers(number)), None)


def state(ends: Ends, number: int) -> TransferState | None:
    known = job(ends, number)
    return known.state if known is not None else None


def ended_well(ends: Ends, number: int) -> Transfer:
    """Wait for the receipt of what was overtaken: nothing failed, nothing came twice."""
    until(lambda: state(ends, number) is TransferState.RECEIPTED, "the routine one is there")
    done = job(ends, number)
    assert done is not None
    assert (done.attempts, done.error, done.digests_equal) == (0, None, True)
    with ends.index() as known, known.read() as db:
        assert transfers.known(db, done.id).repeats == 0
    return done


@pytest.mark.requirement("UX-04")
def test_an_urgent_study_overtakes(ends: Ends, lines: list[Line], tmp_path: Path) -> None:
    dicom, _ = lines
    write_series(tmp_path / "big", 11, slices=120)
    write_series(tmp_path / "small", 12, slices=3)
    dicom.hold_after(1_000_000)
    with ends.daemon():
        routine = submit(ends, tmp_path / "big")
        assert dicom.holding.wait(DEADLINE)
        urgent = submit(ends, tmp_path / "small", "--priority", "urgent")
        until(lambda: state(ends, urgent) is TransferState.SENDING, "it has begun")
        dicom.go_on()
        until(lambda: state(ends, urgent) is TransferState.RECEIPTED, "the urgent one is there")
        first, second = job(ends, urgent), ended_well(ends, routine)
    assert first is not None
    assert str(first.finished) < str(second.delivered)


@pytest.mark.slow
@pytest.mark.requirement("UX-04")
def test_a_slide_gives_way_between_two_batches(
    ends: Ends, lines: list[Line], tmp_path: Path
) -> None:
    dicom, link = lines
    source = Svs(width=3072, height=3072, tile=256).write(tmp_path / "case.svs")
    write_series(tmp_path / "small", 14, slices=3)
    seen = [0, 0.0]

    def still() -> bool:
        if link.bytes != seen[0]:
            seen[:] = [link.bytes, time.monotonic()]
        return time.monotonic() - seen[1] > 0.7

    link.hold_after(200_000)
    dicom.hold_after(0)
    with reader(ends) as looking, ends.daemon():
        routine = submit(ends, source, *WHO)
        assert link.holding.wait(DEADLINE)
        urgent = submit(ends, tmp_path / "small", "--priority", "urgent")
        until(lambda: state(ends, urgent) is TransferState.SENDING, "it has begun")
        link.go_on()
        assert dicom.holding.wait(DEADLINE)
        until(still, "the slide's batches under way are there")
        assert state(ends, routine) is TransferState.SENDING
        carried = link.bytes
        ask_for_the_last(ends, job(ends, routine), looking)
        assert link.bytes - carried < 200_000, "what a reader waits for, and nothing else"
        assert state(ends, urgent) is TransferState.SENDING
        dicom.go_on()
        until(lambda: state(ends, urgent) is TransferState.RECEIPTED, "the urgent one is there")
        ended_well(ends, routine)


@contextmanager
def reader(ends: Ends) -> Iterator[httpx.Client]:
    """A reader who is signed in."""
    add = ("receiver", "user", "add", "reader", "--password-stdin", "--data", ends.receiver)
    must(*add, stdin=f"{PASSWORD}\n")
    headers = {"X-Todoke": "1", "Origin": ends.viewer, "Accept": "image/jpeg"}
    with httpx.Client(base_url=ends.viewer, headers=headers, trust_env=False) as client:
        signed = {"name": "reader", "password": PASSWORD}
        client.post("/api/sign-in", json=signed).raise_for_status()
        yield client


def ask_for_the_last(ends: Ends, slide: Transfer | None, client: httpx.Client) -> None:
    """Ask for the last frame of a slide's largest level, once, and see it come."""
    assert slide is not None
    with ends.index() as known, known.read() as db:
        of_slide = index.instances.c.transfer == slide.id
        row = db.execute(
            select(index.instances).where(of_slide).order_by(index.instances.c.frames.desc())
        ).first()
    assert row is not None
    where = f"studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"
    path = f"/dicomweb/at/{SENDER_CODE}/{where}/frames/{row.frames}"
    assert client.get(path).headers.get("X-Todoke") == "not-here-yet"

    def held() -> bool:  # asked of the index: the reader asks once
        with ends.index() as known, known.read() as db:
            return row.frames - 1 in transfers.held_frames(db, row.id)

    until(held, "the frame that the reader waits for")
    assert client.get(path).status_code == 200


@pytest.mark.requirement("UX-04", "WSI-10")
def test_an_urgent_slide_overtakes_a_series_at_full_rate(
    ends: Ends, lines: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted is bytes: of the series only what was under way goes on beside it."""
    monkeypatch.setenv("TODOKE_SENDER_COMPRESSION", "off")
    dicom, _ = lines
    write_series(tmp_path / "big", 15, slices=120, side=256)
    total = sum(path.stat().st_size for path in (tmp_path / "big").iterdir())
    source = Svs(width=1024, height=1024, tile=256).write(tmp_path / "urgent.svs")
    dicom.hold_after(1_000_000)
    with ends.daemon():
        routine = submit(ends, tmp_path / "big")
        assert dicom.holding.wait(DEADLINE)
        urgent = submit(ends, source, *WHO, "--priority", "urgent")
        until(lambda: state(ends, urgent) is TransferState.SENDING, "it has begun")
        carried = dicom.bytes
        dicom.go_on()
        until(lambda: state(ends, urgent) is TransferState.RECEIPTED, "the slide is there")
        beside = dicom.bytes - carried
        first, second = job(ends, urgent), ended_well(ends, routine)
    assert first is not None
    assert str(first.finished) < str(second.delivered)
    assert beside < min(BUFFERED, total / 2), "one instance, and what sockets held"


@pytest.mark.requirement("NET-14")
@pytest.mark.parametrize("kind", ["ct", "slide"])
def test_a_cap_is_kept(
    ends: Ends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TODOKE_SENDER_COMPRESSION", "off")  # the bytes below are those sent
    source = tmp_path / "ct"
    if kind == "slide":
        source = Svs(width=1024, height=1024, tile=256).write(tmp_path / "case.svs")
    else:
        write_series(source, 14, slices=4, side=256)
    (path,) = (ends.sender / "partners").glob("*.json")
    set_line = ("sender", "partner", "limit", path.stem, "--data", ends.sender)
    must(*set_line, "--limit", "2")
    try:
        began = time.monotonic()
        said = must("sender", "send", source, *WHO, "--data", ends.sender)
        took = time.monotonic() - began
    finally:
        must(*set_line, "--limit", "none")
    (told,) = said["transfers"]
    assert (told["state"], told["digests_equal"]) == ("receipted", True)
    assert took >= told["bytes"] * 8 / 2e6 * 0.98


@pytest.mark.slow
def test_dead_partners_slow_nobody(ends: Ends, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", 13, slices=5)
    (alive,) = (path.stem for path in (ends.sender / "partners").glob("*.json"))
    ca = own_identity(tmp_path).ca
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:  # no one takes up the call
        with closing(socket.create_server(("127.0.0.1", 0))) as gone:
            ports = {"silent": silent.getsockname()[1], "gone": gone.getsockname()[1]}
        for name, port in ports.items():
            must(
                *("sender", "partner", "add", name, "--address", f"127.0.0.1:{port}"),
                *("--aet", "DEAD", "--ca", ca, "--data", ends.sender),
            )
        try:
            with ends.daemon():
                dead = [submit(ends, tmp_path / "ct", "--to", name) for name in ports]
                until(lambda: state(ends, dead[0]) is TransferState.SENDING, "it is being tried")
                number = submit(ends, tmp_path / "ct", "--to", alive)
                until(lambda: state(ends, number) is TransferState.RECEIPTED, "the living has it")
                first = job(ends, dead[0])
                assert first is not None
                assert (first.attempts, first.state) == (0, TransferState.SENDING)
        finally:
            for name in ports:
                for path in (ends.sender / "partners").glob(f"{name}.*"):
                    path.unlink()
