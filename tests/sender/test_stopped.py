"""A receiver hears of each stop once, of one that it missed later, and of none that went on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from common.errors import NoNewsThere, PeerError, SourceChanged
from common.states import TransferState
from sender import stopped
from sender.links.http import LinkClient
from sender.outbox import Instance, Outbox, fault, now


class Line:
    """Keeps what is said; fails as it is told to."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self.failure: Exception | None = None
        self.meanwhile: Any = lambda: None

    def stopped(self, transfer: str, number: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.said.append((transfer, number))
        self.meanwhile()

    def open(self, opening: str) -> None:
        self.said.append(("open", opening))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    with contextlib.closing(Outbox(tmp_path)) as outbox:
        yield outbox


def sending(box: Outbox, opening: str | None = "words") -> str:
    job = box.submit("north", [Path("/a")], {})
    one = Instance("2.25.1", "1.2", "1.2.840.10008.1.2.1", "2.25.2", 1, "/a", 0, 9, 9, 1, 1)
    values = {
        "partner": "north", "kind": "slide", "state": TransferState.QUEUED, "priority": "routine",
        "purpose": "diagnosis", "study": "2.25.3", "attributes": "{}", "request": "{}",
        "test": False,
    }  # fmt: skip
    box.scanned(box.job(job), [(values, [one])], [], 1)
    (transfer,) = box.transfers(job)
    box.set_state(transfer.id, TransferState.SENDING)
    if opening:
        box.keep(transfer.id, opening=opening)
    return str(transfer.id)


def hold(box: Outbox, name: str) -> None:
    error = fault(SourceChanged(path="/a"))
    box.set_state(name, TransferState.HELD, error=error, finished=now())


def go_on(box: Outbox, name: str) -> None:
    box.set_state(name, TransferState.QUEUED, finished=None, error=None)
    box.set_state(name, TransferState.SENDING)


def tell(box: Outbox, line: Line) -> None:
    stopped.tell_all(box, cast("LinkClient", line), "north")


def test_each_stop_is_told_once(box: Outbox) -> None:
    line, name = Line(), sending(box)
    tell(box, line)
    assert line.said == []
    hold(box, name)
    tell(box, line)
    tell(box, line)
    assert line.said == [(name, "E-2005")]
    go_on(box, name)
    tell(box, line)
    hold(box, name)
    tell(box, line)
    assert line.said == [(name, "E-2005")] * 2, "another stop, though of the same cause"


def test_what_could_not_be_told_stays_owed(box: Outbox) -> None:
    line, name = Line(), sending(box)
    hold(box, name)
    line.failure = PeerError(cause="line")
    with pytest.raises(PeerError):
        tell(box, line)
    assert box.untold("north") == [name]
    assert box.untold("south") == []
    line.failure = NoNewsThere()  # a receiver of an older version: nothing hangs on it
    tell(box, line)
    assert box.untold("north") == []


def test_of_what_was_never_opened_nothing_is_told(box: Outbox) -> None:
    line, name = Line(), sending(box, opening=None)
    hold(box, name)
    tell(box, line)
    assert line.said == []


def test_what_goes_on_meanwhile_is_opened_again(box: Outbox) -> None:
    line, name = Line(), sending(box)
    hold(box, name)
    line.meanwhile = lambda: go_on(box, name)
    tell(box, line)
    assert line.said == [(name, "E-2005"), ("open", "words")]


def test_that_a_patient_objected_is_not_told(box: Outbox) -> None:
    from common.errors import PatientBlocked

    line, name = Line(), sending(box)
    error = fault(PatientBlocked())
    box.set_state(name, TransferState.HELD, error=error, finished=now())
    tell(box, line)
    assert line.said == [(name, "")]
