"""The viewer's door: pages, sign-in, work list, news and DICOMweb on one port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from common.errors import SignInFailed, TodokeError, UsageError
from common.web import guard
from common.web.accounts import ABSOLUTE_SECONDS, Accounts
from common.web.headers import SecurityHeaders
from common.web.hosts import KnownHosts
from receiver import dicomweb, index, pages, requests, slide_levels, slide_room
from receiver.changes import Changes
from receiver.decoding import Decoders
from receiver.facts import KnownFacts
from receiver.live import Live
from receiver.replies import body_of, failed, left, not_served, reply
from receiver.stored import Stored
from receiver.tiles import Tiles, TilesFirst
from receiver.viewer_services import ViewerServices
from receiver.worklist import Worklist

__all__ = ["ViewerServices", "viewer_app"]

HASHES = 2  # passwords checked at the same time

#: What a page asks for by itself, without its user: keeps no session alive.
PASSIVE = ("/api/events", "/api/worklist", "/coverage")


def viewer_app(services: ViewerServices) -> Starlette:
    """Return the application of the viewer's port.

    Parameters
    ----------
    services : ViewerServices
    """
    changes = Changes(services.index)
    accounts = Accounts(services.index, version=changes.version)
    known = KnownFacts(services.store)
    decoders = Decoders()
    stored = Stored(services.index, services.store)
    tiles = Tiles(stored, changes, services.keep_tiles_seconds)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        decoders.close()
        tiles.close()
        changes.close()

    routes: list[BaseRoute] = [
        *_session_routes(services, accounts),
        *_list_routes(services, accounts, Worklist(services.index, known)),
        *slide_room.routes(services, decoders, stored),
        *dicomweb.routes(services, known, decoders, stored),
        *pages.routes(services.pages),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders, https=services.https),
            Middleware(KnownHosts, names=services.names),
            Middleware(
                guard.Guard,
                accounts=accounts,
                https=services.https,
                guarded=("/api", "/dicomweb"),
                open_paths=("/api/sign-in",),
                passive=PASSIVE,
                refused=services.refused,
            ),
            Middleware(TilesFirst, tiles=tiles),
        ],
        lifespan=lifespan,
        exception_handlers={
            TodokeError: failed,
            HTTPException: not_served,
            ClientDisconnect: left,
        },
    )


def _session_routes(services: ViewerServices, accounts: Accounts) -> list[BaseRoute]:
    name = guard.cookie_name(https=services.https)
    turns = asyncio.Semaphore(HASHES)

    async def sign_in(request: Request) -> Response:
        body = await body_of(request)
        given, password = body.get("name"), body.get("password")
        if not isinstance(given, str) or not isinstance(password, str):
            raise UsageError(cause="name, password")
        address = request.client.host if request.client else ""
        old = guard.session_number(request.headers, https=services.https)
        try:
            async with turns:  # a flood of guesses must not take the threads that read frames
                user, number = await asyncio.to_thread(accounts.sign_in, given, password, address)
        except SignInFailed as error:  # without the name: a password may have been typed there
            await asyncio.to_thread(services.refused, address, f"{error.number} sign-in", None)
            raise
        if old is not None:
            await asyncio.to_thread(accounts.sign_out, old)
        answer = JSONResponse({"user": user.as_json()})
        answer.set_cookie(
            name,
            number,
            max_age=ABSOLUTE_SECONDS,
            path="/",
            secure=services.https,
            httponly=True,
            samesite="strict",
        )
        return answer

    async def sign_out(request: Request) -> Response:
        number = guard.session_number(request.headers, https=services.https)
        if number is not None:
            await asyncio.to_thread(accounts.sign_out, number)
        answer = Response(status_code=204, headers={"Clear-Site-Data": '"cache"'})
        answer.delete_cookie(
            name, path="/", secure=services.https, httponly=True, samesite="strict"
        )
        return answer

    async def session(request: Request) -> Response:
        user = guard.signed_in(request.scope)
        return reply(
            request,
            {
                "user": user.as_json(),
                "server_time": index.now(),
                "version": services.version,
                "institution": {
                    "name": services.institution_name,
                    "code": services.institution_code,
                },
            },
        )

    return [
        Route("/api/sign-in", sign_in, methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
        Route("/api/session", session, methods=["GET"]),
    ]


def _list_routes(
    services: ViewerServices, accounts: Accounts, worklist: Worklist
) -> list[BaseRoute]:
    live = Live(services.index)

    async def rows(request: Request) -> Response:
        sought = request.query_params.get("request", "")[:200]
        found = await asyncio.to_thread(worklist.rows, sought)
        return reply(request, {"server_time": index.now(), "rows": found})

    async def study(request: Request) -> Response:
        found = await asyncio.to_thread(worklist.study, request.path_params["key"])
        return reply(request, found)

    async def coverage(request: Request) -> Response:
        found = await asyncio.to_thread(worklist.coverage, request.path_params["key"])
        return reply(request, found)

    async def derived(request: Request) -> Response:
        words = request.path_params
        where = (words["key"], words["sop"], words["factor"], words["number"] - 1)
        tile = await asyncio.to_thread(
            slide_levels.derived_tile, worklist.index, worklist.shelf, *where
        )
        return Response(tile, media_type="image/jpeg")

    async def form(request: Request) -> Response:
        words = request.path_params
        where = services.index, services.store, words["key"], words["uid"]
        data = await asyncio.to_thread(requests.form, *where)
        saved = 'attachment; filename="request-form.pdf"'  # opened in no page of ours
        return Response(data, media_type="application/pdf", headers={"Content-Disposition": saved})

    async def opened(request: Request) -> Response:
        await asyncio.to_thread(worklist.opened, request.path_params["key"])
        return Response(status_code=204)

    async def done(request: Request) -> Response:
        await asyncio.to_thread(worklist.done, request.path_params["key"])
        return Response(status_code=204)

    async def events(request: Request) -> Response:
        number = guard.session_number(request.headers, https=services.https) or ""
        stream = live.listen(lambda: accounts.session(number))
        return StreamingResponse(stream, media_type="text/event-stream")

    return [
        Route("/api/worklist", rows, methods=["GET"]),
        Route("/api/studies/{key}", study, methods=["GET"]),
        Route("/api/studies/{key}/coverage", coverage, methods=["GET"]),
        Route(
            "/api/studies/{key}/derived/{sop}/{factor:int}/{number:int}", derived, methods=["GET"]
        ),
        Route("/api/studies/{key}/forms/{uid}", form, methods=["GET"]),
        Route("/api/studies/{key}/opened", opened, methods=["POST"]),
        Route("/api/studies/{key}/done", done, methods=["POST"]),
        Route("/api/events", events, methods=["GET"]),
    ]
