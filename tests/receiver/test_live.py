"""News over server-sent events, from another connection to the same index."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from common.web.accounts import Accounts
from receiver import index, live
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import USER, client


class Stream:
    """Reads events one by one; httpx's read timeout is the deadline."""

    def __init__(self, answer: httpx.Response) -> None:
        self.lines = answer.iter_lines()

    def next(self, kind: str) -> dict[str, Any]:
        """Return the data of the next event of a kind."""
        found = None
        for line in self.lines:
            if line.startswith("event: "):
                found = line.removeprefix("event: ")
            elif line.startswith("data: ") and found == kind:
                data: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return data
        raise EOFError

    def ends(self) -> bool:
        """Read to the end of the stream; fails at the deadline if there is none."""
        return all(line is not None for line in self.lines)


@contextmanager
def listening(page: httpx.Client) -> Iterator[Stream]:
    with page.stream("GET", "/api/events", timeout=10) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "private, no-store"
        stream = Stream(answer)
        stream.next("heartbeat")
        yield stream


def test_what_arrives_is_told(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    with client(viewer_server.url) as page, listening(page) as stream:
        key = filled.ct(count=2, arrived=1)
        assert stream.next("study") == {"key": key}
        slide = filled.slide()
        slide.lay_out(2)
        slide.send(2, [4, 5, 6])
        frames = stream.next("frames")
        assert frames == {"key": slide.key, "sop": slide.sop_uid(2), "from": 4, "count": 3}


def test_every_listener_hears_once_and_nothing_old(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    filled.ct("旧", count=1, arrived=0)
    with client(viewer_server.url) as page, listening(page) as one, listening(page) as two:
        key = filled.ct("新", count=1, arrived=0)
        assert one.next("study") == two.next("study") == {"key": key}
        with filled.index.write() as db:
            index.announce(db, "study", "last")
        assert one.next("study") == two.next("study") == {"key": "last"}


def test_heartbeat(viewer_server: ViewerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.2)
    with client(viewer_server.url) as page, listening(page) as stream:
        assert "server_time" in stream.next("heartbeat")
        assert "server_time" in stream.next("heartbeat")


def test_stream_ends_with_its_session(
    viewer_server: ViewerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.2)
    with client(viewer_server.url) as page, listening(page) as stream:
        Accounts(viewer_server.filled.index).disable(USER)
        assert stream.ends()


def test_watcher_stops_when_nobody_listens(viewer_server: ViewerServer) -> None:
    """A second listener after the first has left hears what is new: the watcher began again."""
    with client(viewer_server.url) as page:
        for name in ("一", "二"):
            with listening(page) as stream:
                key = viewer_server.filled.ct(name, count=1, arrived=0)
                assert stream.next("study") == {"key": key}
    assert threading.active_count() < 60
