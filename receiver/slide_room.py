"""The routes of the slide's page: marks, rescans, and the colours of a scanner."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import NotFound
from common.web import guard
from receiver import index, slide_marks
from receiver.decoding import Decoders
from receiver.reading_routes import person
from receiver.replies import body_of, reply
from receiver.stored import Stored
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices, decoders: Decoders, stored: Stored) -> list[BaseRoute]:
    """Return the routes; all are for readers."""
    database = services.index

    def noted(request: Request, event: str, user: str, **facts: str) -> None:
        address = request.client.host if request.client else ""
        study = request.path_params["key"]
        services.note(event, user=user, address=address, study=study, outcome="ok", **facts)

    async def marks(request: Request) -> Response:
        user = guard.signed_in(request.scope).name
        key = request.path_params["key"]
        found = await asyncio.to_thread(slide_marks.of, database, user, key)
        return reply(request, {"marks": found})

    async def put(request: Request) -> Response:
        user, key = guard.signed_in(request.scope).name, request.path_params["key"]
        mark = await body_of(request)
        number = await asyncio.to_thread(slide_marks.put, database, user, key, mark)
        await asyncio.to_thread(noted, request, "marks-saved", user)
        return JSONResponse({"id": number}, 201)

    async def take_away(request: Request) -> Response:
        user, words = guard.signed_in(request.scope).name, request.path_params
        where = database, user, words["key"], words["number"]
        await asyncio.to_thread(slide_marks.take_away, *where)
        await asyncio.to_thread(noted, request, "marks-saved", user)
        return Response(status_code=204)

    async def rescan(request: Request) -> Response:
        who, key = person(request), request.path_params["key"]
        body = await body_of(request)
        asked = body.get("series"), body.get("reason")
        made = await asyncio.to_thread(slide_marks.rescan, database, who, key, *asked)
        facts = {"what": str(asked[1]), "message": made}
        await asyncio.to_thread(noted, request, "rescan-asked", who.name, **facts)
        return Response(status_code=204)

    async def rescans(request: Request) -> Response:
        key = request.path_params["key"]
        found = await asyncio.to_thread(slide_marks.rescans, database, key)
        return reply(request, {"rescans": found})

    async def colours(request: Request) -> Response:
        words = request.path_params
        path = await asyncio.to_thread(_path, services, stored, words["key"], words["sop"])
        cube = await decoders.colours(path)
        if not cube:
            return Response(status_code=204)
        return reply(request, cube, media_type="application/octet-stream")

    one = "/api/studies/{key}"
    return [
        Route(one + "/slide-marks", marks, methods=["GET"]),
        Route(one + "/slide-marks", put, methods=["POST"]),
        Route(one + "/slide-marks/{number:int}", take_away, methods=["DELETE"]),
        Route(one + "/rescans", rescans, methods=["GET"]),
        Route(one + "/rescans", rescan, methods=["POST"]),
        Route(one + "/colours/{sop}", colours, methods=["GET"]),
    ]


def _path(services: ViewerServices, stored: Stored, key: str, sop: str) -> Path:
    """Return the file of an instance of a study."""
    studies, instances = index.studies.c, index.instances.c
    same = (studies.institution == instances.institution) & (
        studies.study_uid == instances.study_uid
    )
    query = select(index.instances).join(index.studies, same)
    with services.index.read() as db:
        row = db.execute(query.where(studies.key == key, instances.sop_uid == sop)).first()
    if row is None or row.path is None:
        raise NotFound(thing="instance")
    return stored.path(row)
