"""People, for the administrator: routes that call what the verbs call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import OwnAccount, UsageError
from common.web import guard
from common.web.accounts import Accounts
from receiver import sight
from receiver.account_door import address_of, text
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices


def routes(services: ViewerServices, accounts: Accounts) -> list[BaseRoute]:
    """Return the routes of the list of people and of what is done with one."""

    async def people(request: Request) -> Response:
        guard.allow(request, "administrator")
        rows = await asyncio.to_thread(accounts.names)
        sessions = await asyncio.to_thread(accounts.sessions.of)
        words = {"people": rows, "sessions": sessions, "least": accounts.least}
        words["partners"] = await asyncio.to_thread(sight.partners, services.index)
        return reply(request, words)

    async def add(request: Request) -> Response:
        body = await body_of(request)
        given = [text(body, name) for name in ("name", "password", "display", "role")]
        user = await asyncio.to_thread(accounts.add, *given)
        await noted(request, user.name, "added", role=user.role)
        return JSONResponse(user.as_json())

    def change(
        what: str, to: Callable[[str, dict[str, Any]], object], *, own: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            body = await body_of(request)
            name = await asyncio.to_thread(accounts.known, request.path_params["name"])
            if not own and name == guard.signed_in(request.scope).name:
                raise OwnAccount
            await asyncio.to_thread(to, name, body)
            said = {what: body[what]} if what in ("role", "institutions") else {}
            await noted(request, name, what, **said)
            return Response(status_code=204)

        return answer

    async def noted(request: Request, of: str, what: str, **facts: Any) -> None:
        user = guard.allow(request, "administrator").name
        words = {"user": user, "address": address_of(request), "of": of, "what": what}
        await asyncio.to_thread(services.note, "account", **words, **facts, outcome="ok")

    def limited(name: str, body: dict[str, Any]) -> None:
        sight.limit(accounts, services.index, name, _codes(body))

    table = {
        "role": change("role", lambda name, body: accounts.set_role(name, text(body, "role"))),
        "institutions": change("institutions", limited),
        "disable": change("disabled", lambda name, _: accounts.disable(name)),
        "reset": change("reset", lambda name, _: accounts.reset(name), own=True),
        "password": change(
            "password", lambda name, body: accounts.set_password(name, text(body, "password"))
        ),
        "end": change("sessions-ended", lambda name, _: accounts.sessions.end_all(name)),
    }
    return [
        Route("/api/people", people, methods=["GET"]),
        Route("/api/people", add, methods=["POST"]),
        *(
            Route(f"/api/people/{{name}}/{what}", to, methods=["POST"])
            for what, to in table.items()
        ),
    ]


def _codes(body: dict[str, Any]) -> list[str] | None:
    """Return the institutions that a request names; None, said so, for no limit.

    Raises
    ------
    UsageError
    """
    given = body.get("institutions", "")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise UsageError(cause="institutions")
    return given
