"""The emulated line: never faster than it says, and a connection is still a connection."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.bench.line import LATE, Line, Quality, Wire

SIZE = 300_000


class Echo:
    """Sends back what comes, and closes when the other end does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(end,), daemon=True).start()

    @staticmethod
    def _serve(end: socket.socket) -> None:
        with end:
            try:
                while piece := end.recv(1 << 16):
                    end.sendall(piece)
            except OSError:
                return


@pytest.fixture
def echo() -> Iterator[Echo]:
    served = Echo()
    yield served
    served.close()


def there_and_back(port: int, data: bytes) -> tuple[bytes, float]:
    """Send, close our half, take all that comes; with the seconds it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 20) as end:

        def send() -> None:
            with contextlib.suppress(OSError):
                end.sendall(data)
                end.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        got = bytearray()
        while piece := end.recv(1 << 16):
            got += piece
        sending.join()
    return bytes(got), time.monotonic() - began


def test_bytes_come_as_they_went(echo: Echo) -> None:
    data = bytes(range(256)) * (SIZE // 256)
    with Line(Quality()) as line:
        assert there_and_back(line.route(echo.port), data)[0] == data


def test_rate_is_a_limit(echo: Echo) -> None:
    rate = 1e6
    with Line(Quality(rate=rate)) as line:
        data, seconds = there_and_back(line.route(echo.port), bytes(SIZE))
    assert len(data) == SIZE
    assert seconds >= 0.95 * SIZE / rate - LATE


@given(st.lists(st.tuples(st.integers(1, 1 << 20), st.booleans()), min_size=1, max_size=50))
def test_a_wire_never_carries_faster_than_its_rate(pieces: list[tuple[int, bool]]) -> None:
    """Whatever the machine does meanwhile; LATE is given once, and not for each piece."""
    wire, began = Wire(1e9), time.monotonic()
    through = began
    for size, waited in pieces:
        before, through = through, wire.leaves(size, LATE if waited else 0.0)
        assert through - before >= size / 1e9 - (LATE if before == began else 1e-6)
    assert through >= began - LATE + sum(size for size, _ in pieces) / 1e9


def test_connections_share_the_rate(echo: Echo) -> None:
    rate = 1e6
    with Line(Quality(rate=rate)) as line:
        near = line.route(echo.port), line.route(echo.port)
        began = time.monotonic()
        work = [threading.Thread(target=there_and_back, args=(p, bytes(SIZE))) for p in near]
        for one in work:
            one.start()
        for one in work:
            one.join()
        assert time.monotonic() - began >= 0.95 * 2 * SIZE / rate - LATE


def test_every_byte_is_late_but_bytes_fly_together(echo: Echo) -> None:
    delay, pieces = 0.25, 40
    with Line(Quality(delay=delay)) as line:
        near = line.route(echo.port)
        with socket.create_connection(("127.0.0.1", near), 20) as end:
            began = time.monotonic()
            for _ in range(pieces):
                end.sendall(bytes(5000))
            left = pieces * 5000
            while left:
                left -= len(end.recv(1 << 16))
        seconds = time.monotonic() - began
    assert seconds >= 4 * delay  # connection set-up and the way there and back
    assert seconds < pieces * delay  # one after the other would take twice that


def test_wire_gives_each_its_turn() -> None:
    wire = Wire(1000.0)
    first = wire.leaves(500)
    assert wire.leaves(250) == pytest.approx(first + 0.25)


def test_wire_makes_up_for_a_carrier_that_came_late() -> None:
    late, wire = 5.0, Wire(1000.0)
    now = time.monotonic()
    assert wire.leaves(500, late) < now  # it was through while nobody looked
    assert wire.leaves(500, late) >= now + 1.0 - late, "but never faster than its rate"
    assert wire.leaves(500) >= now + 0.5, "what has just come has just come"


def test_cut_line_breaks_the_connection(echo: Echo) -> None:
    with Line(Quality(), cut_after=SIZE // 2) as line:
        near = line.route(echo.port)
        try:
            data, _ = there_and_back(near, bytes(4 * SIZE))
        except OSError:
            return
        assert len(data) < 4 * SIZE


def test_nobody_behind_the_line_is_a_broken_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = int(free.getsockname()[1])
    with Line(Quality()) as line:
        near = line.route(nobody)
        with (
            contextlib.suppress(ConnectionError),  # the kernel may say it in several ways
            socket.create_connection(("127.0.0.1", near), 20) as end,
        ):
            assert end.recv(1) == b""


def test_process_tells_its_ports_and_each_first_byte(echo: Echo) -> None:
    words = [sys.executable, "-m", "conformance.bench.line", "--route", f"0:{echo.port}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        (port,) = json.loads(process.stdout.readline())["ports"]
        before = time.time()
        assert there_and_back(port, b"images")[0] == b"images"
        told = json.loads(process.stdout.readline())
        process.terminate()
    assert process.returncode == 0
    assert told["port"] == port
    assert before <= told["first"] <= time.time()
