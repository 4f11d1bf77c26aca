"""Who looked at what and for how long is on the disk before it is shown (AUD-01)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from common.errors import StorageError
from receiver.accesses import IDLE, Accesses
from receiver.viewer_services import ViewerServices
from receiver.web_app import viewer_app
from tests.receiver.filled import NORTH, PASSWORD, USER, Filled, uid

pytestmark = pytest.mark.audit
STUDY = f"/dicomweb/at/{NORTH[1]}/studies/{uid('北見/study')}"
FRAME = f"{STUDY}/series/{uid('北見/series')}/instances/{uid('北見/image/1')}/frames/1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Book:
    """Notes what it is told; fails where the test says so."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.full = False

    def __call__(self, event: str, **facts: Any) -> None:
        if self.full:
            raise StorageError(cause="full")
        self.lines.append((event, facts))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


@pytest.mark.requirement("AUD-01")
def test_one_line_a_study_and_session_and_one_when_it_is_over(filled: Filled) -> None:
    book, clock = Book(), Clock()
    key = filled.ct()

    async def look() -> None:
        seen = Accesses(filled.index, book, clock)
        for second in range(200):
            clock.now = 100.0 + second
            await seen.see("s1", "yamamoto", "192.0.2.7", FRAME)
        await seen.see("s1", "yamamoto", "192.0.2.7", f"/api/studies/{key}/coverage")
        await seen.see("s2", "tanaka", "192.0.2.8", STUDY)
        await seen.see("s2", "tanaka", "192.0.2.8", "/api/worklist")
        await seen.see("s2", "tanaka", "192.0.2.8", f"/dicomweb/at/{NORTH[1]}/studies")
        await seen.see("s2", "tanaka", "192.0.2.8", "/dicomweb/studies/9.9.9")
        assert book.events == ["study-accessed"] * 2 + ["list-accessed", "study-searched"]
        seen.sweep()
        assert "study-access-ended" not in book.events
        seen.leave("s2")
        clock.now += IDLE
        seen.sweep()
        await seen.see("s1", "yamamoto", "192.0.2.7", FRAME)
        seen.close()

    asyncio.run(look())
    ended = [facts for event, facts in book.lines if event == "study-access-ended"]
    assert [(one["user"], one["seconds"], one["requests"]) for one in ended] == [
        ("tanaka", 0.0, 1), ("yamamoto", 199.0, 201), ("yamamoto", 0.0, 1),
    ]  # fmt: skip
    first = book.lines[0][1]
    assert first["study"] == key
    assert first["study_uid"] == uid("北見/study")
    assert first["patient"]
    assert book.events.count("study-accessed") == 3


@pytest.mark.requirement("AUD-01")
def test_what_cannot_be_noted_is_not_shown(filled: Filled) -> None:
    filled.ct()
    book = Book()
    services = ViewerServices(
        index=filled.index, store=filled.store.root, institution_name="旭川支援病院",
        institution_code="0112345675", https=False, version="0", note=book, second_factor=False,
    )  # fmt: skip

    async def ask() -> list[int]:
        line = httpx.ASGITransport(viewer_app(services))
        async with httpx.AsyncClient(transport=line, base_url="http://localhost") as client:
            words = {"name": USER, "password": PASSWORD}
            head = {"X-Todoke": "1"}
            assert (await client.post("/api/sign-in", json=words, headers=head)).is_success
            book.full = True
            first = await client.get(FRAME)
            book.full = False
            return [first.status_code, (await client.get(FRAME)).status_code]

    assert asyncio.run(ask()) == [StorageError.http_status, 200]
    assert book.events == ["sign-in", "study-accessed"]
