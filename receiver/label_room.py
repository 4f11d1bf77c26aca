"""The routes of what a reader said of labels during an operation (術中, VIEWING 1d)."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common.web import guard
from receiver import slide_marks
from receiver.reading_routes import address
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the routes; all are for readers."""

    async def labels(request: Request) -> Response:
        user, key = guard.signed_in(request.scope).name, request.path_params["key"]
        found = await asyncio.to_thread(slide_marks.labels_checked, services.index, user, key)
        return reply(request, {"checked": found})

    async def check(request: Request) -> Response:
        """Keep that label and request were compared, and whether they are of one another."""
        user, key = guard.signed_in(request.scope).name, request.path_params["key"]
        said = await body_of(request)
        series, same = said.get("series"), said.get("same")
        await asyncio.to_thread(slide_marks.check_label, services.index, user, key, series, same)
        facts = {"study": key, "series": str(series), "what": "same" if same else "differs"}
        who = {"user": user, "address": address(request)}
        await asyncio.to_thread(services.note, "label-checked", **who, **facts, outcome="ok")
        return Response(status_code=204)

    path = "/api/studies/{key}/labels"
    return [Route(path, labels, methods=["GET"]), Route(path, check, methods=["POST"])]
