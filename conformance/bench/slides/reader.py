"""A pathologist's machine: waits for a slide, its overview, and one viewport in mid-push.

It asks what the viewer's pages ask, at the same addresses, signed in over https.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from common.errors import VerbFailed
from conformance.bench.pairing import OPERATOR, Pair

LOOKING = 0.01  # seconds between two looks
PATIENCE = 120.0  # seconds
MID_PUSH = 0.2  # share of the slide that is there when the viewport is asked for
WAIT = 5  # seconds that the viewer lets an answer wait for what is not here
JPEG = b"\xff\xd8"


@contextlib.contextmanager
def browser(viewer: str, pair: Pair) -> Iterator[httpx.Client]:
    """Give a signed-in client of the viewer's port."""
    headers = {"X-Todoke": "1", "Origin": viewer, "Accept": "image/jpeg"}
    trusted = ssl.create_default_context(cafile=str(pair.identity.ca))
    signed = {"name": OPERATOR, "password": pair.password}
    with httpx.Client(
        base_url=viewer, headers=headers, verify=trusted, trust_env=False, timeout=PATIENCE
    ) as client:
        client.post("/api/sign-in", json=signed).raise_for_status()
        yield client


def study_keys(client: httpx.Client) -> dict[str, Any]:
    """Return the rows of the work list by key."""
    rows = client.get("/api/worklist").raise_for_status().json()["rows"]
    return {row["key"]: row for row in rows}


def levels(client: httpx.Client, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the levels of a slide that are laid out, largest first, each with its ``address``."""
    found = client.get(f"/api/studies/{row['key']}").raise_for_status().json()
    root = f"{row['dicomweb']}/studies/{row['study_uid']}"
    return [
        level
        | {"address": f"{root}/series/{one['series_uid']}/instances/{level['sop_uid']}/frames"}
        for one in found["series"]
        if one.get("slide")
        for level in one["slide"]["levels"]
    ]


def await_row(
    client: httpx.Client, before: Collection[str], holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Wait for the row of a study that is not among those of before, until it is so far.

    Raises
    ------
    VerbFailed
        It never is.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row: dict[str, Any]
        for key, row in study_keys(client).items():
            if key not in before and holds(row):
                return row
        time.sleep(5 * LOOKING)
    raise VerbFailed(verb="QIDO-RS", cause="no such study in the work list")


def is_there(row: dict[str, Any], share: float) -> bool:
    """Tell whether so much of a study has arrived."""
    return bool(row["expected"]) and row["arrived"] >= share * row["expected"]


@dataclass
class Reader:
    """Watches in a thread of its own while a slide is sent.

    Parameters
    ----------
    viewport : list of int
        Frames of the largest level (0-based) that are asked for in mid-push.
    """

    viewer: str
    pair: Pair
    viewport: list[int]
    overview_at: float = 0.0
    viewport_seconds: float = 0.0
    _failed: list[BaseException] = field(default_factory=list)
    _ready: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Reader:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """See that everything was read.

        Raises
        ------
        VerbFailed
        """
        if self._failed:
            raise VerbFailed(verb="WADO-RS", cause=repr(self._failed[0]))

    def _watch(self) -> None:
        try:
            with browser(self.viewer, self.pair) as client:
                before = study_keys(client)
                self._ready.set()
                self._look(client, before)
        except (httpx.HTTPError, VerbFailed, KeyError) as error:
            self._failed.append(error)
        finally:
            self._ready.set()

    def _look(self, client: httpx.Client, before: dict[str, Any]) -> None:
        def new() -> dict[str, Any] | None:
            rows = study_keys(client)
            return next((row for key, row in rows.items() if key not in before), None)

        row = self._until(new)
        smallest = self._until(lambda: levels(client, row))[-1]
        overview = list(range(1, smallest["frames"] + 1))
        self._until(lambda: _is_here(client, smallest, overview))
        self.overview_at = time.time()

        def largest() -> dict[str, Any] | None:
            now = study_keys(client)[row["key"]]
            known = levels(client, row)
            here = now["arrived"] >= MID_PUSH * (now["expected"] or now["arrived"] + 1)
            fits = bool(known) and known[0]["frames"] > max(self.viewport)
            return known[0] if here and fits else None

        level = self._until(largest, 10 * LOOKING)
        wanted = [frame + 1 for frame in self.viewport]
        if _held(client, row["key"], level["sop_uid"]).issuperset(self.viewport):
            raise VerbFailed(verb="WADO-RS", cause="the viewport was there before it was asked for")
        began = time.monotonic()
        self._until(lambda: _is_here(client, level, wanted, WAIT))
        self.viewport_seconds = time.monotonic() - began

    def _until(self, found: Callable[[], Any], pause: float = LOOKING) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if result := found():
                return result
            if self._over.wait(pause):
                break
        raise VerbFailed(verb="WADO-RS", cause="it never came, or only after the transfer")


def _held(client: httpx.Client, key: str, sop: str) -> set[int]:
    """Return which frames (from 0) of a level have arrived, without asking for any."""
    found = client.get(f"/api/studies/{key}/coverage").raise_for_status().json()["instances"][sop]
    packed = base64.b64decode(found["bitmap"])
    return {n for n in range(found["frames"]) if packed[n >> 3] >> (n & 7) & 1}


def _is_here(client: httpx.Client, level: dict[str, Any], frames: list[int], wait: int = 0) -> bool:
    """Ask for frames (from 1) of a level: all in one answer, or none within seconds.

    Raises
    ------
    VerbFailed
        The answer is no picture.
    """
    asked = f"{level['address']}/{','.join(map(str, frames))}"
    accept = "image/jpeg" if len(frames) == 1 else 'multipart/related; type="image/jpeg"'
    headers = {"Accept": accept} | ({"Prefer": f"wait={wait}"} if wait else {})
    answer = client.get(asked, headers=headers)
    if answer.status_code == 404:
        return False
    answer.raise_for_status()
    pictures = answer.content.count(b"\r\n\r\n" + JPEG) + answer.content.startswith(JPEG)
    if pictures != len(frames):
        raise VerbFailed(verb="WADO-RS", cause=f"{pictures} pictures for {len(frames)} frames")
    return True
