"""Who looked at which study, from when and for how long (AUD-01), without a write per image.

The first request of a session for a study is noted before it is answered: what is not
on the disk was not shown.  What follows counts in memory; once nothing has been asked
for a while, at sign-out and at the end, a second line says for how long and how often.
After a crash the second line is missing, the first never.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import TodokeError
from common.web import guard
from receiver import index
from receiver.attributes import first
from receiver.index import Index

IDLE = 300.0  # seconds without a request after which a study is no longer looked at
SWEEP = 60.0
_STUDY = re.compile(
    r"/dicomweb(?:/at/(?P<institution>[0-9A-Za-z]{1,16}))?/studies/(?P<uid>[0-9.]{1,64})"
    r"|/api/studies/(?P<key>[0-9a-f]{8,64})"
)
_SEARCH = re.compile(r"/dicomweb(/at/[0-9A-Za-z]{1,16})?/(studies|series|instances)")
_LIST = "/api/worklist"
_studies = index.studies


@dataclass(slots=True)
class _Access:
    facts: dict[str, Any]
    began: float
    last: float
    requests: int = 0


class Accesses:
    """What is being looked at, of one receiver.

    Parameters
    ----------
    database : Index
    note : callable
        Of the audit trail.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        database: Index,
        note: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = database
        self._note = note
        self._clock = clock
        self._places: dict[tuple[str, str], _Access] = {}
        self._open: dict[tuple[str, str], _Access] = {}
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None

    async def see(self, session: str, user: str, address: str, path: str) -> None:
        """Count a request, and note it if it is the first of its kind.

        Raises
        ------
        StorageError
            It could not be noted, and must not be answered.
        """
        place = _place(path)
        if place is None:
            return
        known = self._places.get((session, place))
        if known is None:
            async with self._turn:
                known = self._places.get((session, place))
                if known is None:
                    known = await asyncio.to_thread(self._begin, session, user, address, place)
            if known is None:
                return
            self._watch()
        known.last = self._clock()
        known.requests += 1

    def _begin(self, session: str, user: str, address: str, place: str) -> _Access | None:
        who = {"user": user, "address": address, "session": session}
        now = self._clock()
        if place == _LIST:
            facts, event, key = who, "list-accessed", _LIST
        elif _SEARCH.fullmatch(place):
            facts, event, key = {**who, "path": place}, "study-searched", place
        else:
            study = self._study(place)
            if study is None:
                return None  # there is none, so nothing is shown
            facts, event, key = {**who, **study}, "study-accessed", str(study["study"])
        access = self._open.get((session, key))
        if access is None:
            self._note(event, **facts)
            access = self._open[session, key] = _Access(facts, now, now)
        self._places[session, place] = access
        return access

    def _study(self, place: str) -> dict[str, Any] | None:
        found = _STUDY.fullmatch(place)
        assert found is not None  # noqa: S101 - :func:`_place` gives nothing else
        wanted = select(_studies)
        if found["key"]:
            wanted = wanted.where(_studies.c.key == found["key"])
        else:
            wanted = wanted.where(_studies.c.study_uid == found["uid"])
            if found["institution"]:
                wanted = wanted.where(_studies.c.institution == found["institution"])
        with self._index.read() as db:
            row = db.execute(wanted).first()
        return None if row is None else facts_of(row)

    def _watch(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(SWEEP, self._swept)

    def _swept(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self.sweep)
        if self._open:
            self._watch()

    def sweep(self) -> None:
        """End what nothing was asked of for a while."""
        before = self._clock() - IDLE
        self._end(lambda _session, access: access.last <= before)

    def leave(self, session: str) -> None:
        """End what a session looked at: it has signed out."""
        self._end(lambda one, _access: one == session)

    def close(self) -> None:
        """End everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._end(lambda _session, _access: True)

    def _end(self, over: Callable[[str, _Access], bool]) -> None:
        ended = [key for key, access in list(self._open.items()) if over(key[0], access)]
        for key in ended:
            access = self._open.pop(key, None)
            if access is None:
                continue
            for place in [p for p, a in list(self._places.items()) if a is access]:
                self._places.pop(place, None)
            if "study" in access.facts:
                seconds = round(access.last - access.began, 1)
                self._note(
                    "study-access-ended",
                    **access.facts,
                    seconds=seconds,
                    requests=access.requests,
                )


class Accessed:
    """ASGI middleware behind the session check, before anything answers."""

    def __init__(self, app: ASGIApp, *, accesses: Accesses, https: bool) -> None:
        self.app = app
        self.accesses = accesses
        self.https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the request if it has to be, then pass it on."""
        if scope["type"] != "http" or "todoke_user" not in scope:
            await self.app(scope, receive, send)
            return
        number = guard.session_number(Headers(scope=scope), https=self.https) or ""
        session = session_of(number)
        try:
            address = (scope.get("client") or ("", 0))[0]
            user = guard.signed_in(scope).name
            await self.accesses.see(session, user, address, scope["path"])
        except TodokeError as error:
            answer = JSONResponse({"error": error.for_peer().as_json()}, error.http_status)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)
        if scope["path"] == "/api/sign-out":
            await asyncio.to_thread(self.accesses.leave, session)


def session_of(number: str) -> str:
    """Return what the trail calls a session: nobody can sign in with it."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def facts_of(row: Any) -> dict[str, Any]:
    """Return what the trail says of a study's row: key, UID, institution, Patient ID."""
    patient = first(json.loads(row.attributes), "00100020")
    return {
        "study": row.key,
        "study_uid": row.study_uid,
        "institution": row.institution,
        "patient": str(patient or ""),
    }


def _place(path: str) -> str | None:
    """Return the part of a path that names a study, the list or a search; None of any other."""
    if path == _LIST:
        return path
    if found := _STUDY.match(path):
        return found[0]
    return path if _SEARCH.fullmatch(path) else None
