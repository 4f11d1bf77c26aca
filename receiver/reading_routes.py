"""Routes of what readers do with a study: look, claim, take over, done, ask, listen."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import CallNotSaid, SecondAnswer, UsageError
from common.web import guard
from receiver import index, sight, urgent
from receiver.attendance import Attendance
from receiver.queries import Queries
from receiver.replies import body_of, reply
from receiver.standings import Call, Person, Standings
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the routes; all are for readers, but ``/api/listening``, for whoever is signed in."""
    door = _Door(
        Standings(services.index, services.note),
        Queries(services.index, advice=services.advice, note=services.note),
        services.attendance,
        https=services.https,
    )
    one = "/api/studies/{key}"
    writes: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
        ("/opened", door.opened),
        ("/claim", door.claim),
        ("/take-over", door.take_over),
        ("/release", door.release),
        ("/done", door.done),
        ("/messages", door.message),
    ]
    return [
        *(Route(one + path, act, methods=["POST"]) for path, act in writes),
        Route(one + "/asks", door.asks, methods=["GET"]),
        Route(one + "/history", door.history, methods=["GET"]),
        Route("/api/listening", door.listening, methods=["POST"]),
        *urgent.routes(services),
    ]


def person(request: Request) -> Person:
    """Return who makes a request."""
    user = guard.signed_in(request.scope)
    return Person(user.name, user.display)


def address(request: Request) -> str:
    """Return from where a request comes, for the audit trail."""
    return request.client.host if request.client else ""


class _Door:
    def __init__(
        self, standings: Standings, queries: Queries, attendance: Attendance, *, https: bool
    ) -> None:
        self.standings = standings
        self.queries = queries
        self.attendance = attendance
        self.https = https

    @staticmethod
    async def _do(request: Request, act: Callable[..., Any], *facts: Any, **more: Any) -> Any:
        key = request.path_params["key"]
        more["address"] = address(request)
        return await asyncio.to_thread(act, key, person(request), *facts, **more)

    async def opened(self, request: Request) -> Response:
        await self._do(request, self.standings.look)
        return Response(status_code=204)

    async def claim(self, request: Request) -> Response:
        await self._do(request, self.standings.claim)
        return Response(status_code=204)

    async def take_over(self, request: Request) -> Response:
        said = await body_of(request)
        await self._do(request, self.standings.take_over, said.get("reason"))
        return Response(status_code=204)

    async def release(self, request: Request) -> Response:
        await self._do(request, self.standings.release)
        return Response(status_code=204)

    async def done(self, request: Request) -> Response:
        """Say 完了; 409 with what is asked first, where something is."""
        said = await body_of(request)
        accept, told = said.get("accept"), said.get("told")
        if accept is not None and type(accept) is not int:
            raise UsageError(cause="accept")
        call: Call | bool | None = None
        if told is not None:
            call = Call.read(told) or False
        try:
            await self._do(request, self.standings.done, accept=accept, told=call)
        except (SecondAnswer, CallNotSaid) as error:
            asks = await asyncio.to_thread(self.standings.asks, request.path_params["key"])
            words = {"error": error.for_peer().as_json(), "asks": asks}
            return JSONResponse(words, error.http_status)
        return Response(status_code=204)

    async def asks(self, request: Request) -> Response:
        found = await asyncio.to_thread(self.standings.asks, request.path_params["key"])
        return reply(request, found)

    async def history(self, request: Request) -> Response:
        key = request.path_params["key"]
        steps = await asyncio.to_thread(self.standings.history, key)
        said = await asyncio.to_thread(self.queries.of_study, key)
        return reply(request, {"steps": steps, "messages": said, "advice": self.queries.advice})

    async def message(self, request: Request) -> Response:
        said = await body_of(request)
        made = await self._do(
            request,
            self.queries.send,
            said.get("kind"),
            said.get("text"),
            answers=said.get("answers"),
        )
        return JSONResponse({"id": made}, 201)

    async def listening(self, request: Request) -> Response:
        """Take it that this page hears its heartbeats, and whether its alarm can be heard."""
        said = await body_of(request)
        number = guard.session_number(request.headers, https=self.https) or ""
        # a digest: the number itself opens the session; a tab names itself by a random word
        whole = f"{number} {str(said.get('page'))[:64]}"
        page = hashlib.sha256(whole.encode()).hexdigest()
        if said.get("gone") is True:
            self.attendance.left(page)
        else:
            sound, limit = said.get("sound") is True, sight.institutions(request.scope)
            self.attendance.heard(page, sound=sound, institutions=limit)
        return JSONResponse({"server_time": index.now()})
