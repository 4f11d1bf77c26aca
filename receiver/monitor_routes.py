"""Routes of the monitor page: how a monitor stands, and a check that was done. For readers."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from receiver.monitors import Monitors
from receiver.reading_routes import address, person
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the routes."""
    monitors = Monitors(services.index, services.note)

    async def standing(request: Request) -> Response:
        serial, screen = (request.query_params.get(one, "")[:64] for one in ("serial", "screen"))
        return reply(request, await asyncio.to_thread(monitors.standing, serial, screen))

    async def keep(request: Request) -> Response:
        said = await body_of(request)
        where = address(request)
        found = await asyncio.to_thread(monitors.keep, person(request), said, address=where)
        return JSONResponse(found, 201)

    return [
        Route("/api/monitor", standing, methods=["GET"]),
        Route("/api/monitor", keep, methods=["POST"]),
    ]
