"""The clock is compared with a real NTP answer, and what cannot be known is said so (AUD-03)."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from common.audit import timesource
from common.free_ports import free_ports

pytestmark = pytest.mark.audit
FORM = struct.Struct("!BBBbII4sQQQQ")


@contextmanager
def server(ahead: float, *, echo: bool = True) -> Iterator[str]:
    """An NTP server whose clock is so many seconds ahead."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 0))

    def answer() -> None:
        data, peer = line.recvfrom(512)
        mark = FORM.unpack(data)[10] if echo else 1
        now = round((time.time() + ahead + 2_208_988_800) * (1 << 32))
        line.sendto(FORM.pack(0x24, 2, 0, 0, 0, 0, b"TEST", now, mark, now, now), peer)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"127.0.0.1:{line.getsockname()[1]}"
    thread.join(5)
    line.close()


@pytest.mark.requirement("AUD-03")
@pytest.mark.parametrize(("ahead", "within"), [(0.0, True), (7.5, False), (-7.5, False)])
def test_the_offset_and_its_source_are_said(ahead: float, within: bool) -> None:
    with server(ahead) as place:
        said = timesource.words(place, 1000)
    assert said["source"] == place
    assert abs(said["offset_ms"] - 1000 * ahead) <= said["round_trip_ms"] / 2 + 5
    assert said["within"] is within or said["round_trip_ms"] > 500


@pytest.mark.requirement("AUD-03")
def test_an_answer_to_another_question_is_none() -> None:
    with server(0, echo=False) as place:
        said = timesource.words(place, 1000)
    assert (said["offset_ms"], said["within"], said["cause"]) == (None, False, "ValueError")


def test_nobody_asked_and_nobody_there() -> None:
    assert timesource.words("", 1000)["source"] == "none"
    (port,) = free_ports(1)
    assert timesource.words(f"127.0.0.1:{port}", 1000)["offset_ms"] is None
