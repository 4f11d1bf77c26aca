"""The auditor's page: reading, verifying, signing off and saving the audit trail (AUD-07).

Every route is for the role ``auditor`` alone.  What is asked for comes in bodies, as a
Patient ID may be part of it; that somebody asked is noted before the answer goes out.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.audit import checking, events, reading
from common.audit.reading import Wanted
from common.errors import UsageError
from common.web import guard
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices

#: For the table of roles: path -> who.
ROLES = {"/api/audit": ("auditor",)}


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the routes of the auditor's page."""
    page = _Page(services)
    return [
        Route("/api/audit/events", page.events, methods=["GET"]),
        Route("/api/audit/search", page.search, methods=["POST"]),
        Route("/api/audit/verify", page.verify, methods=["POST"]),
        Route("/api/audit/sign-off", page.sign_off, methods=["POST"]),
        Route("/api/audit/save", page.save, methods=["POST"]),
    ]


class _Page:
    def __init__(self, services: ViewerServices) -> None:
        self.services = services
        self.trails = services.store.parent / "audit"

    def _note(self, request: Request, event: str, **facts: Any) -> None:
        who = {
            "user": guard.signed_in(request.scope).name,
            "address": request.client.host if request.client else "",
        }
        self.services.note(event, **who, **facts)

    async def events(self, request: Request) -> Response:
        found = {name: [one.ja, one.en] for name, one in events.EVENTS.items()}
        return reply(request, {"events": found})

    async def search(self, request: Request) -> Response:
        wanted = _wanted(await body_of(request))
        rows, last = await asyncio.to_thread(self._search, request, wanted)
        shown = rows[: reading.MOST]
        return reply(request, {"rows": shown, "count": len(rows), "signed_off": last})

    def _search(
        self, request: Request, wanted: Wanted
    ) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        rows = reading.rows(self.trails, wanted)
        asked = {key: value for key, value in wanted.said().items() if key != "study"}
        self._note(request, "audit-read", lines=len(rows), asked=asked)
        return rows, reading.signed_off(self.trails)

    async def verify(self, request: Request) -> Response:
        report = await asyncio.to_thread(self._verify, request)
        return reply(request, asdict(report))

    def _verify(self, request: Request) -> checking.Report:
        services = self.services
        report = checking.verify(
            self.trails, services.signing_certificate, years=services.audit_years
        )
        self._note(request, "audit-verified", findings=[one.kind for one in report.findings])
        return report

    async def sign_off(self, request: Request) -> Response:
        body = await body_of(request)
        wanted = _wanted({key: body.get(key, "") for key in ("since", "until")})
        remark = body.get("remark", "")
        if not wanted.since or not wanted.until or not isinstance(remark, str):
            raise UsageError(cause="since, until")
        rows = await asyncio.to_thread(reading.rows, self.trails, wanted)
        facts = {"from": wanted.since, "to": wanted.until, "lines": len(rows)}
        await asyncio.to_thread(
            lambda: self._note(request, "audit-signed-off", **facts, remark=remark)
        )
        return JSONResponse(facts)

    async def save(self, request: Request) -> Response:
        wanted = _wanted(await body_of(request))
        rows = await asyncio.to_thread(reading.rows, self.trails, wanted)
        await asyncio.to_thread(lambda: self._note(request, "audit-exported", lines=len(rows)))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        saved = 'attachment; filename="audit.jsonl"'
        return Response(
            text, media_type="application/jsonl", headers={"Content-Disposition": saved}
        )


def _wanted(body: dict[str, Any]) -> Wanted:
    """Read what is asked for.

    Raises
    ------
    UsageError
        A word is no text, or is too long.
    """
    said = {one.name: body.get(one.name, "") for one in fields(Wanted)}
    for key, value in said.items():
        if not isinstance(value, str) or len(value) > 200:
            raise UsageError(cause=key)
    return Wanted(**{key: value.strip() for key, value in said.items()})
