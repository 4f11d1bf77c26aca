"""Routes of documents and videos of a study: their list, and their bytes. For readers."""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from common.errors import TodokeError
from common.web.headers import DOCUMENT_POLICY
from receiver.papers import Papers
from receiver.reading_routes import address, person
from receiver.replies import reply
from receiver.stored import Stored
from receiver.viewer_services import ViewerServices

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


def routes(services: ViewerServices, stored: Stored) -> list[BaseRoute]:
    """Return the routes."""
    door = _Door(services, Papers(stored))
    one = "/api/studies/{key}/papers"
    return [
        Route(one, door.listed, methods=["GET"]),
        Route(one + "/{sop}/document", door.document, methods=["GET"]),
        Route(one + "/{sop}/video", door.video, methods=["GET"]),
    ]


class _Door:
    def __init__(self, services: ViewerServices, papers: Papers) -> None:
        self.note = services.note
        self.papers = papers

    async def listed(self, request: Request) -> Response:
        found = await asyncio.to_thread(self.papers.listed, request.path_params["key"])
        return reply(request, {"papers": found})

    async def document(self, request: Request) -> Response:
        """Give a document whole, to be drawn by the page and opened by no browser."""
        key, uid = request.path_params["key"], request.path_params["sop"]
        try:
            found = await asyncio.to_thread(self.papers.document, key, uid)
        except TodokeError as error:
            await self._noted(request, "document", error)
            raise
        await self._noted(request, "document")
        name = "document.pdf" if found.media == "application/pdf" else "document.txt"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Security-Policy": DOCUMENT_POLICY,
        }
        return Response(found.data, headers=headers | {"Content-Type": found.media})

    async def video(self, request: Request) -> Response:
        """Give a video, or the part of it that a player asks for (RFC 9110 section 14)."""
        key, uid = request.path_params["key"], request.path_params["sop"]
        try:
            found = await asyncio.to_thread(self.papers.video, key, uid)
        except TodokeError as error:
            await self._noted(request, "video", error)
            raise
        # without a validator no If-Range can hold: all of it is sent (RFC 9110 13.1.5)
        asked = None if "if-range" in request.headers else request.headers.get("range")
        part = span(asked, found.length)
        headers = {"Accept-Ranges": "bytes", "Content-Security-Policy": DOCUMENT_POLICY}
        if part is None:
            headers["Content-Range"] = f"bytes */{found.length}"
            return Response(status_code=416, headers=headers)
        at, size, partial = part
        if at == 0:  # a player asks for the rest piece by piece; the access stands in any case
            await self._noted(request, "video")
        if partial:
            headers["Content-Range"] = f"bytes {at}-{at + size - 1}/{found.length}"
        headers |= {"Content-Length": str(size), "Content-Type": "video/mp4"}
        return StreamingResponse(found.read(at, size), 206 if partial else 200, headers)

    async def _noted(self, request: Request, what: str, error: TodokeError | None = None) -> None:
        await asyncio.to_thread(
            self.note,
            "paper-opened",
            user=person(request).name,
            address=address(request),
            study=request.path_params["key"],
            what=what,
            sop=request.path_params["sop"][:64],
            outcome="ok" if error is None else "refused",
            **({} if error is None else {"cause": error.number}),
        )


def span(asked: str | None, length: int) -> tuple[int, int, bool] | None:
    """Return where a part begins, how long it is, and whether it was asked for as a part.

    Parameters
    ----------
    asked : str or None
        The header ``Range``.  Several ranges, other units and what is no range are not
        heeded (RFC 9110 14.2): all of it is sent.
    length : int
        Bytes of the whole.

    Returns
    -------
    (int, int, bool) or None
        None where no byte of it is there.
    """
    found = _RANGE.fullmatch(asked or "")
    if found is None or not any(found.groups()):
        return 0, length, False
    first, last = found.groups()
    if not first:  # so many bytes of the end
        size = min(int(last), length)
        return (length - size, size, True) if size else None
    at, end = int(first), min(int(last) + 1 if last else length, length)
    if last and int(last) < int(first):
        return 0, length, False  # no range: RFC 9110 14.1.1
    return (at, end - at, True) if at < length else None
