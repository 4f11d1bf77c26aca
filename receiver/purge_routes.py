"""The route by which a reader keeps a study from being purged: [延長]."""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from receiver import holds
from receiver.purge_notice import PurgeNotice
from receiver.reading_routes import address, person
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices, notice: PurgeNotice) -> list[BaseRoute]:
    """Return the route; it is for readers.  A hold is released by the administrator's verb."""

    async def hold(request: Request) -> Response:
        """Keep the study, and answer what is told of its purge from now on."""
        said, key, who = await body_of(request), request.path_params["key"], person(request)
        note = partial(services.note, user=who.name, address=address(request), outcome="ok")
        told = services.index, key, who, said.get("reason"), note
        await asyncio.to_thread(holds.hold, *told)
        return reply(request, {"purge": await asyncio.to_thread(notice.of, key)})

    return [Route("/api/studies/{key}/hold", hold, methods=["POST"])]
