"""Routes of earlier studies that may be of the same person: which, and what a reader says."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from receiver import sight
from receiver.possible_priors import PossiblePriors
from receiver.reading_routes import address, person
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices
from receiver.worklist import Worklist


def routes(services: ViewerServices, worklist: Worklist) -> list[BaseRoute]:
    """Return the routes; both are for readers, within the institutions that each may see."""
    priors = PossiblePriors(worklist, services.note)

    async def found(request: Request) -> Response:
        key, may = request.path_params["key"], sight.institutions(request.scope)
        pairs = await asyncio.to_thread(priors.of, key, may)
        # what was not noted is not shown
        await asyncio.to_thread(priors.shown, key, person(request), pairs, address(request))
        return reply(request, {"priors": [one.as_json() for one in pairs]})

    async def decide(request: Request) -> Response:
        said = await body_of(request)
        await asyncio.to_thread(
            priors.decide,
            request.path_params["key"],
            person(request),
            said.get("prior"),
            said.get("step"),
            seen=said.get("seen"),
            reason=said.get("reason"),
            may=sight.institutions(request.scope),
            address=address(request),
        )
        return Response(status_code=204)

    one = "/api/studies/{key}"
    return [
        Route(one + "/possible-priors", found, methods=["GET"]),
        Route(one + "/prior-links", decide, methods=["POST"]),
    ]
