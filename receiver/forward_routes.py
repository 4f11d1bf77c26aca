"""Routes of the hand-off: where a study may go, that it shall, and how far it is. For readers."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import UsageError
from receiver import forward_recalls, forward_targets, forwarding
from receiver.forwarding import Forwarding
from receiver.reading_routes import address, person
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the routes."""
    asking = Forwarding(services.index, services.note)

    async def targets(request: Request) -> Response:
        """Name the agreed targets; where they are is for the console."""
        found = await asyncio.to_thread(forward_targets.listed, services.index)
        names = [{"name": one.name, "kind": one.kind} for one in found]
        return reply(request, {"targets": names})

    async def of_study(request: Request) -> Response:
        key = request.path_params["key"]
        found = await asyncio.to_thread(forwarding.of_study, services.index, key)
        return reply(request, {"forwards": found})

    async def ask(request: Request) -> Response:
        said = await body_of(request)
        target, again = said.get("target"), said.get("again")
        if not isinstance(target, str) or again not in (None, True, False):
            raise UsageError(cause="target")
        made = await asyncio.to_thread(
            asking.ask,
            request.path_params["key"],
            person(request),
            target,
            again=again is True,
            address=address(request),
        )
        return JSONResponse({"id": made}, 201)

    async def settled(request: Request) -> Response:
        """Keep that what was taken back is seen to at the target."""
        await asyncio.to_thread(
            forward_recalls.settle,
            services.index,
            request.path_params["forward"],
            person(request),
            services.note,
            study=request.path_params["key"],
            address=address(request),
        )
        return Response(status_code=204)

    one = "/api/studies/{key}/forwards"
    return [
        Route("/api/forward-targets", targets, methods=["GET"]),
        Route(one, of_study, methods=["GET"]),
        Route(one, ask, methods=["POST"]),
        Route(one + "/{forward}/settled", settled, methods=["POST"]),
    ]
