"""What is begun while a job is read: found by its delivery, or given up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from common.errors import PeerUnreachable, SourceChanged
from sender import ingest, slide_instances
from sender.ahead import FRESH, Ahead
from sender.links.http import LinkClient
from sender.outbox import Outbox, Transfer
from sender.partners import Partner
from sender.slides import Slide
from tests.sender.slides.vendor_files import Svs

SLIDE = {"slide": {"patient_id": "TODOKE-TEST-1", "patient_name": "SHIKEN^TARO"}}


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


class Line:
    """In place of the connections: how many were made, which are open, and how they fail."""

    def __init__(self) -> None:
        self.made = self.closed = 0
        self.failure: Exception | None = None

    def __call__(self, _partner: Partner) -> LinkClient:
        self.made += 1
        if self.failure is not None:
            raise self.failure
        return cast(LinkClient, SimpleNamespace(close=self._close))

    def _close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def ahead(
    tmp_path: Path, clock: Clock, line: Line, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ahead]:
    known = {"here": SimpleNamespace(key="here", kind="todoke")}
    known |= {"plain": SimpleNamespace(key="plain", kind="dicom")}
    monkeypatch.setattr("sender.ahead.find_partner", lambda _data, key: known[key])
    made = Ahead(tmp_path, "bcp195", line, lambda: frozenset({"busy"}), clock)
    yield made
    made.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with contextlib.closing(Outbox(tmp_path)) as box:
        yield box


def wait_for(made: Future[LinkClient]) -> None:
    made.exception(10)


def read(ahead: Ahead, outbox: Outbox, path: Path) -> Transfer:
    """Read a job of one slide, as the engine does."""
    job = outbox.job(outbox.submit("here", [path], dict(SLIDE)))
    found = ingest.scan(job, keep=ahead.keep)
    outbox.scanned(job, found.transfers, found.refused, found.files)
    (transfer,) = outbox.transfers(job.id)
    return transfer


def closed(slide: Slide) -> bool:
    return all(source.fd < 0 for source in slide.sources)


@pytest.fixture
def svs(tmp_path: Path) -> Path:
    made = Svs(width=300, height=200, tile=128, factors=(1, 2), label=False, macro=False)
    return made.write(tmp_path / "a.svs")


def test_a_slide_is_opened_once(ahead: Ahead, outbox: Outbox, svs: Path) -> None:
    transfer = read(ahead, outbox, svs)
    with contextlib.closing(ahead.take("here", transfer.slide, images=False)) as ready:
        kept = ready.take_slide()
        assert kept is not None
        assert not closed(kept)
        with slide_instances.opened(transfer, outbox.instances(transfer.id), kept) as slide:
            assert slide is kept
            assert slide.instances[-1].read(0)
    assert closed(kept)
    assert ahead.take("here", transfer.slide, images=False).slide is None


def test_what_changed_since_it_was_read_is_not_sent(
    ahead: Ahead, outbox: Outbox, svs: Path
) -> None:
    transfer = read(ahead, outbox, svs)
    kept = ahead.take("here", transfer.slide, images=False).take_slide()
    assert kept is not None
    other = svs.with_name("other")
    other.write_bytes(svs.read_bytes())  # equal bytes in another file: nobody has looked at it
    other.replace(svs)
    with (
        pytest.raises(SourceChanged),
        slide_instances.opened(transfer, outbox.instances(transfer.id), kept),
    ):
        pass
    assert closed(kept)


def test_of_another_patient_since_it_is_opened_anew(
    ahead: Ahead, outbox: Outbox, svs: Path
) -> None:
    """Its header was made for the patient that it was read for (DAT-04)."""
    transfer = read(ahead, outbox, svs)
    other = str(transfer.slide).replace("TODOKE-TEST-1", "TODOKE-TEST-2")
    assert other != transfer.slide
    assert ahead.take("here", other, images=False).slide is None


def test_of_several_slides_one_stays_open_and_not_for_long(
    ahead: Ahead, outbox: Outbox, svs: Path, clock: Clock
) -> None:
    first, second = read(ahead, outbox, svs), read(ahead, outbox, svs)
    assert ahead.take("here", second.slide, images=False).slide is None
    clock.now += FRESH
    ahead.look()
    assert ahead.take("here", first.slide, images=False).slide is None
    third = read(ahead, outbox, svs)
    with contextlib.closing(ahead.take("here", third.slide, images=False)) as ready:
        kept = ready.slide
    assert kept is not None
    assert closed(kept), "what a delivery does not take is closed with it"


def test_the_link_is_dialled_once_and_given_up_where_nobody_takes_it(
    ahead: Ahead, line: Line, clock: Clock
) -> None:
    ahead.link("here")
    ahead.link("here")
    taken = ahead.take("here", None, images=False).take_connection()
    assert taken is not None
    wait_for(taken)
    assert (line.made, line.closed) == (1, 0)
    ahead.link("here")
    ready = ahead.take("here", None, images=False)
    assert ready.connecting is not None
    wait_for(ready.connecting)
    ready.close()
    assert (line.made, line.closed) == (2, 1)
    clock.now += FRESH
    ahead.link("here")
    clock.now += FRESH
    ahead.look()
    assert ahead.take("here", None, images=False).connecting is None


@pytest.mark.parametrize("key", ["busy", "plain", ""])
def test_nobody_is_dialled_who_is_connected_or_has_no_link(
    ahead: Ahead, line: Line, key: str
) -> None:
    ahead.link(key)
    assert ahead.take(key, None, images=False).connecting is None
    assert line.made == 0


def test_what_failed_while_the_job_was_read_is_tried_anew(ahead: Ahead, line: Line) -> None:
    """Nobody waits for an answer that was given before."""
    line.failure = PeerUnreachable(peer="here", cause="refused")
    ahead.link("here")
    made = ahead._ready["here"][1].connecting
    assert made is not None
    wait_for(made)
    assert ahead.take("here", None, images=False).connecting is None
