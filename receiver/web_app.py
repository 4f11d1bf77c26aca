"""The viewer's door: pages, sign-in, work list, news and DICOMweb on one port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from common.errors import TodokeError
from common.refusals import Refusals
from common.web import guard
from common.web.accounts import Accounts
from common.web.headers import DOCUMENT_POLICY, SecurityHeaders
from common.web.hosts import KnownHosts
from receiver import (
    account_door,
    audit_routes,
    dicomweb,
    forward_routes,
    index,
    label_room,
    marks,
    monitor_routes,
    pages,
    paper_routes,
    people_door,
    prior_routes,
    purge_routes,
    reading_routes,
    requests,
    roles,
    sign_in_door,
    slide_levels,
    slide_room,
)
from receiver.accesses import Accessed, Accesses
from receiver.changes import Changes
from receiver.decoding import Decoders
from receiver.facts import KnownFacts
from receiver.live import Live
from receiver.purge_notice import PurgeNotice
from receiver.replies import failed, left, not_served, reply
from receiver.sight import Sight, WithinSight
from receiver.stored import Stored
from receiver.tiles import Tiles, TilesFirst
from receiver.viewer_services import ViewerServices
from receiver.worklist import Worklist

__all__ = ["ViewerServices", "viewer_app"]

#: What a page asks for by itself, without its user: keeps no session alive.
PASSIVE = (
    *("/api/events", "/api/worklist", "/coverage", "/api/listening", "/api/calls"),
    *("/api/session/lock", "/possible-priors"),
)


def viewer_app(services: ViewerServices) -> Starlette:
    """Return the application of the viewer's port.

    Parameters
    ----------
    services : ViewerServices
    """
    changes = Changes(services.index)
    accounts = account_door.accounts_of(services, changes.version)
    known = KnownFacts(services.store)
    worklist, sight = Worklist(services.index, known), Sight(services.index)
    decoders, stored = Decoders(), Stored(services.index, services.store)
    accesses = Accesses(services.index, services.note)
    wrong = Refusals(services, event="sign-in", outcome="refused")
    tiles = Tiles(stored, changes, services.keep_tiles_seconds)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        wrong.close()
        accesses.close()
        decoders.close()
        tiles.close()
        changes.close()

    routes: list[BaseRoute] = [
        *account_door.routes(services, accounts, wrong),
        *sign_in_door.routes(services, accounts, wrong),
        *people_door.routes(services, accounts),
        *_list_routes(services, accounts, worklist, sight),
        *reading_routes.routes(services),
        *forward_routes.routes(services),
        *monitor_routes.routes(services),
        *marks.routes(services, worklist),
        *audit_routes.routes(services),
        *paper_routes.routes(services, stored),
        *slide_room.routes(services, decoders, stored),
        *label_room.routes(services),
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
                open_paths=("/api/sign-in", *sign_in_door.OPEN),
                passive=PASSIVE,
                permitted=roles.check,
                refused=services.refused,
            ),
            Middleware(WithinSight, sight=sight, refused=services.refused),
            Middleware(Accessed, accesses=accesses, https=services.https),
            Middleware(TilesFirst, tiles=tiles),
        ],
        lifespan=lifespan,
        exception_handlers={
            TodokeError: failed,
            HTTPException: not_served,
            ClientDisconnect: left,
        },
    )


def _list_routes(
    services: ViewerServices, accounts: Accounts, worklist: Worklist, sight: Sight
) -> list[BaseRoute]:
    live = Live(services.index)
    notice = PurgeNotice(services.index, services.purge_days, services.purge_notice_days)

    async def listed(request: Request) -> Response:
        sought = request.query_params.get("request", "")[:200]
        found = await asyncio.to_thread(worklist.rows, sought)
        rows = sight.only(request.scope, found)
        return reply(request, {"server_time": index.now(), "rows": rows})

    def opened(key: str) -> dict[str, Any]:
        return worklist.study(key) | {"purge": notice.of(key)}

    async def study(request: Request) -> Response:
        found = await asyncio.to_thread(opened, request.path_params["key"])
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
        headers = {"Content-Disposition": saved, "Content-Security-Policy": DOCUMENT_POLICY}
        return Response(data, media_type="application/pdf", headers=headers)

    async def events(request: Request) -> Response:
        number = guard.session_number(request.headers, https=services.https) or ""
        sees = partial(sight.sees, guard.signed_in(request.scope))
        stream = live.listen(lambda: accounts.session(number), sees)
        return StreamingResponse(stream, media_type="text/event-stream")

    return [
        Route("/api/worklist", listed, methods=["GET"]),
        Route("/api/studies/{key}", study, methods=["GET"]),
        Route("/api/studies/{key}/coverage", coverage, methods=["GET"]),
        Route(
            "/api/studies/{key}/derived/{sop}/{factor:int}/{number:int}", derived, methods=["GET"]
        ),
        Route("/api/studies/{key}/forms/{uid}", form, methods=["GET"]),
        Route("/api/events", events, methods=["GET"]),
        *purge_routes.routes(services, notice),
        *prior_routes.routes(services, worklist),
    ]
