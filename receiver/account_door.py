"""Signing in, the lock, and one's own account: routes of the viewer's door."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import (
    PasskeyNeedsName,
    SignInFailed,
    UsageError,
)
from common.refusals import Refusals
from common.web import guard
from common.web.accounts import ABSOLUTE_SECONDS, Accounts, User
from common.web.hosts import host_of
from common.web.vouched import Vouched
from receiver import index
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices

if TYPE_CHECKING:
    from common.web.passkeys import Passkeys

HASHES = 2  # passwords checked at the same time
CREDENTIAL_LIMIT = 1 << 15  # bytes of what a passkey answers

Endpoint = Callable[[Request], Awaitable[Response]]


def accounts_of(services: ViewerServices, version: Callable[[], int | None]) -> Accounts:
    """Return the accounts that a viewer's door asks."""
    return Accounts(
        services.index,
        version=version,
        second_factor=services.second_factor,
        idle_seconds=services.lock_seconds,
        issuer=f"todoke {services.institution_name}",
        note=services.note,
    )


def routes(services: ViewerServices, accounts: Accounts, wrong: Refusals) -> list[BaseRoute]:
    """Return the routes of signing in, of the session and of one's own account."""
    door = AccountDoor(services, accounts, wrong)
    table: dict[str, tuple[str, Endpoint]] = {
        "/api/sign-in": ("POST", door.sign_in),
        "/api/sign-in/totp": ("POST", door.by_code("totp")),
        "/api/sign-in/recovery": ("POST", door.by_code("recovery")),
        "/api/sign-in/passkey/options": ("POST", door.question),
        "/api/sign-in/passkey": ("POST", door.by_passkey),
        "/api/sign-out": ("POST", door.sign_out),
        "/api/session": ("GET", door.session),
        "/api/session/lock": ("POST", door.lock),
        "/api/session/unlock": ("POST", door.unlock),
        "/api/session/unlock/options": ("POST", door.question),
        "/api/account": ("GET", door.account),
        "/api/account/totp": ("POST", door.new_totp),
        "/api/account/totp/code": ("GET", door.totp_picture),
        "/api/account/totp/confirm": ("POST", door.confirm_totp),
        "/api/account/passkey/options": ("POST", door.new_passkey),
        "/api/account/passkey": ("POST", door.enrol_passkey),
        "/api/account/enrolled": ("POST", door.enrolled),
        "/api/account/recovery": ("POST", door.recovery),
        "/api/account/password": ("POST", door.password),
        "/api/account/factors/{id}/remove": ("POST", door.remove),
        "/api/account/sessions/{id}/end": ("POST", door.end),
    }
    return [Route(path, to, methods=[method]) for path, (method, to) in table.items()]


class AccountDoor:
    """What these routes share: accounts, passkeys, the trail."""

    def __init__(self, services: ViewerServices, accounts: Accounts, wrong: Refusals) -> None:
        self.services = services
        self.wrong = wrong  # counted: guesses must not fill the disk
        self.accounts = accounts
        self.factors = accounts.factors
        self.sessions = accounts.sessions
        self.vouched = Vouched(accounts)
        # a flood of guesses must not take the threads that read frames
        self._turns = asyncio.Semaphore(HASHES)

    @cached_property
    def passkeys(self) -> Passkeys:
        """Enrols and checks passkeys; its library takes memory, so it is loaded when asked for."""
        from common.web.passkeys import Passkeys

        return Passkeys(self.factors)

    def note(self, event: str, request: Request, user: str | None, **facts: Any) -> None:
        """Write into the audit trail; call it beside the event loop."""
        self.services.note(event, user=user, address=address_of(request), **facts)

    # --- signing in -----------------------------------------------------------------------

    async def sign_in(self, request: Request) -> Response:
        """Check name and password: the first step, or the only one."""
        body = await body_of(request)
        given, password = text(body, "name"), text(body, "password")
        where = address_of(request)
        old = self.number(request)
        try:
            async with self._turns:
                user, number = await asyncio.to_thread(
                    self.accounts.sign_in, given, password, where
                )
        except SignInFailed as error:  # without the name: a password may have been typed there
            await asyncio.to_thread(self._refused, request, error)
            raise
        if old is not None:
            await asyncio.to_thread(self.sessions.end, old)
        return await asyncio.to_thread(self._begun, request, user, number, "password")

    def _begun(self, request: Request, user: User, number: str, factor: str) -> Response:
        """Answer a session that has come one step further."""
        stage = self.sessions.standing(number).stage
        words: dict[str, Any] = {"user": user.as_json()}
        if stage == "full":
            self.note("sign-in", request, user.name, outcome="ok", factor=factor)
        else:
            words |= {"next": stage, "factors": self.factors.kinds(user.name)}
        answer = JSONResponse(words)
        self._cookie(answer, number)
        return answer

    def _refused(self, request: Request, error: SignInFailed) -> None:
        self.services.refused(address_of(request), f"{error.number} sign-in", None)
        user = str(error.facts.get("user") or "")
        self.wrong.note(address_of(request), error.number, user=user)
        if error.facts.get("lockout"):
            self.note("account", request, user or None, what="lockout", outcome="ok")

    def by_code(self, kind: str) -> Endpoint:
        """Return the second step by a code of a kind."""

        async def answer(request: Request) -> Response:
            user, number = guard.signed_in(request.scope), self.session_number(request)
            code = text(await body_of(request), "code")
            check = self.factors.check_totp if kind == "totp" else self.factors.use_recovery
            right = await asyncio.to_thread(check, user.name, code)
            return await asyncio.to_thread(self._second, request, user, number, kind, right)

        return answer

    async def by_passkey(self, request: Request) -> Response:
        """Take the second step by a passkey."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        credential = mapping(await body_of(request, CREDENTIAL_LIMIT), "credential")
        right = await asyncio.to_thread(
            self.passkeys.answers, number, user, credential, self.origin(request)
        )
        return await asyncio.to_thread(self._second, request, user, number, "passkey", right)

    def _second(
        self, request: Request, user: User, number: str, kind: str, right: bool
    ) -> Response:
        if not right:
            error = self.accounts.wrong(number)
            self._refused(request, error)
            raise error
        whole = self.accounts.whole(number, address_of(request))
        return self._begun(request, user, whole, kind)

    async def question(self, request: Request) -> Response:
        """Ask a passkey of the person to sign."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        host = host_of(self.origin(request))
        return JSONResponse(await asyncio.to_thread(self.passkeys.ask, number, user, host))

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        number = self.number(request)
        if number is not None:
            user = guard.signed_in(request.scope).name
            await asyncio.to_thread(self.sessions.end, number)
            await asyncio.to_thread(self.note, "sign-out", request, user, outcome="ok")
        answer = Response(status_code=204, headers={"Clear-Site-Data": '"cache"'})
        self._cookie(answer, None)
        return answer

    # --- the session ----------------------------------------------------------------------

    async def session(self, request: Request) -> Response:
        """Tell who is signed in, how far, and where."""
        user = guard.signed_in(request.scope)
        stage = self.sessions.standing(self.session_number(request)).stage
        words: dict[str, Any] = {
            "user": user.as_json(),
            "stage": stage,
            "server_time": index.now(),
            "version": self.services.version,
            "lock_seconds": self.services.lock_seconds,
            "institution": {
                "name": self.services.institution_name,
                "code": self.services.institution_code,
            },
        }
        words["factors"] = await asyncio.to_thread(self.factors.kinds, user.name)
        if (service := self.services.sign_in) is not None:
            linked = await asyncio.to_thread(self.vouched.is_linked, user.name, service.issuer)
            words |= {"oidc": self.services.sign_in_label} if linked else {}
        return reply(request, words)

    async def lock(self, request: Request) -> Response:
        """Serve nothing more until the reader is back."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        await asyncio.to_thread(self.sessions.lock, number)
        await asyncio.to_thread(self.note, "session-locked", request, user.name, outcome="ok")
        return Response(status_code=204)

    async def unlock(self, request: Request) -> Response:
        """Go on: by password or by a passkey that knows its owner."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        body = await body_of(request, CREDENTIAL_LIMIT)
        if "credential" in body:
            credential = mapping(body, "credential")
            right = await asyncio.to_thread(
                self.passkeys.answers, number, user, credential, self.origin(request)
            )
        else:
            async with self._turns:
                right = await asyncio.to_thread(
                    self.accounts.is_password, user.name, text(body, "password")
                )
        if not right:
            error = await asyncio.to_thread(self.accounts.wrong_unlock, number)
            await asyncio.to_thread(self._refused, request, error)
            raise error
        await asyncio.to_thread(self.sessions.unlock, number)
        await asyncio.to_thread(self.note, "session-unlocked", request, user.name, outcome="ok")
        return Response(status_code=204)

    # --- one's own account ----------------------------------------------------------------

    async def account(self, request: Request) -> Response:
        """Return one's factors, how many recovery codes are left, and one's sessions."""
        user, number = guard.signed_in(request.scope), self.session_number(request)

        def found() -> dict[str, Any]:
            return {
                "user": user.as_json(),
                "factors": self.factors.of(user.name),
                "recovery_left": self.factors.recovery_left(user.name),
                "sessions": self.sessions.of(user.name, present=number),
                "second_factor": self.accounts.second_factor,
                "least": self.accounts.least,
            }

        return reply(request, await asyncio.to_thread(found))

    async def new_totp(self, request: Request) -> Response:
        """Make a secret for codes; it waits for its first code."""
        await self._confirmed(request, await body_of(request))
        secret = await asyncio.to_thread(self.factors.begin_totp, self.session_number(request))
        return JSONResponse({"secret": secret})

    async def totp_picture(self, request: Request) -> Response:
        """Draw the secret that waits, for the camera of a telephone."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        address = await asyncio.to_thread(self.factors.totp_address, number, user.name)
        picture = io.BytesIO()
        segno.make(address, error="m", micro=False).save(picture, kind="png", scale=5, border=4)
        return Response(picture.getvalue(), media_type="image/png")

    async def confirm_totp(self, request: Request) -> Response:
        """Take the first code of a secret."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        body = await body_of(request)
        words = text(body, "code"), str(body.get("label", ""))
        await asyncio.to_thread(self.factors.confirm_totp, number, user.name, *words)
        return await asyncio.to_thread(self._added, request, user, "totp")

    async def new_passkey(self, request: Request) -> Response:
        """Ask the browser for a passkey."""
        await self._confirmed(request, await body_of(request))
        user, number = guard.signed_in(request.scope), self.session_number(request)
        host = host_of(self.origin(request))
        return JSONResponse(await asyncio.to_thread(self.passkeys.enrol, number, user, host))

    async def enrol_passkey(self, request: Request) -> Response:
        """Take a passkey."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        body = await body_of(request, CREDENTIAL_LIMIT)
        words = mapping(body, "credential"), self.origin(request), str(body.get("label", ""))
        await asyncio.to_thread(self.passkeys.enrolled, number, user, *words)
        return await asyncio.to_thread(self._added, request, user, "passkey")

    def _added(self, request: Request, user: User, kind: str) -> Response:
        """Answer a new factor; with the first come recovery codes."""
        self.note("account", request, user.name, what="factor-added", factor=kind, outcome="ok")
        words: dict[str, Any] = {}
        if not self.factors.recovery_left(user.name):
            words["recovery"] = self.factors.new_recovery(user.name)
            self.note("account", request, user.name, what="recovery-codes", outcome="ok")
        return JSONResponse(words)

    async def enrolled(self, request: Request) -> Response:
        """End the first enrolment, once the recovery codes were seen: the session is whole."""
        user, number = guard.signed_in(request.scope), self.session_number(request)
        if not await asyncio.to_thread(self.factors.of, user.name):
            raise UsageError(cause="factor")
        whole = await asyncio.to_thread(self.accounts.whole, number, address_of(request))
        return await asyncio.to_thread(self._begun, request, user, whole, "enrolment")

    async def recovery(self, request: Request) -> Response:
        """Make recovery codes anew; those before are worth nothing."""
        user = await self._confirmed(request, await body_of(request))
        codes = await asyncio.to_thread(self.factors.new_recovery, user.name)
        await self._changed(request, user, "recovery-codes")
        return JSONResponse({"recovery": codes})

    async def password(self, request: Request) -> Response:
        """Change one's password; every other session ends."""
        body = await body_of(request)
        user = await self._confirmed(request, body)
        new, number = text(body, "new"), self.session_number(request)
        await asyncio.to_thread(self.accounts.set_password, user.name, new, keep=number)
        await self._changed(request, user, "password")
        return Response(status_code=204)

    async def remove(self, request: Request) -> Response:
        """Forget one of one's factors; not the last where one must be."""
        user = await self._confirmed(request, await body_of(request))
        last = not self.accounts.second_factor
        await asyncio.to_thread(
            self.factors.remove, user.name, request.path_params["id"], last=last
        )
        await self._changed(request, user, "factor-removed")
        return Response(status_code=204)

    async def end(self, request: Request) -> Response:
        """End one of one's sessions."""
        user = guard.signed_in(request.scope)
        await asyncio.to_thread(self.sessions.end_all, user.name, id=request.path_params["id"])
        await asyncio.to_thread(self.note, "sign-out", request, user.name, outcome="ok")
        return Response(status_code=204)

    async def _changed(self, request: Request, user: User, what: str) -> None:
        await asyncio.to_thread(self.note, "account", request, user.name, what=what, outcome="ok")

    async def _confirmed(self, request: Request, body: dict[str, Any]) -> User:
        """Return who asks, once the password was given again; during enrolment it just was."""
        user = guard.signed_in(request.scope)
        if self.sessions.standing(self.session_number(request)).stage != "enrol":
            async with self._turns:
                await asyncio.to_thread(self.accounts.confirm, user.name, text(body, "password"))
        return user

    # --- requests -------------------------------------------------------------------------

    def number(self, request: Request) -> str | None:
        """Return the session's number, None without."""
        return guard.session_number(request.headers, https=self.services.https)

    def session_number(self, request: Request) -> str:
        """Return the session's number of a guarded request."""
        return self.number(request) or ""

    def origin(self, request: Request) -> str:
        """Return the origin that the browser has opened, as passkeys sign it.

        Raises
        ------
        PasskeyNeedsName
            Plain HTTP to another machine, or an address of digits (Web Authentication 5.1.3).
        """
        host = request.headers.get("host", "").lower()
        origin = f"{'https' if self.services.https else 'http'}://{host}"
        name = host_of(origin)
        fine = self.services.https or name == "localhost"
        if not fine or name.startswith("[") or name.replace(".", "").isdigit():
            raise PasskeyNeedsName
        return origin

    def _cookie(self, answer: Response, number: str | None) -> None:
        name = guard.cookie_name(https=self.services.https)
        if number is None:
            answer.delete_cookie(
                name, path="/", secure=self.services.https, httponly=True, samesite="strict"
            )
            return
        answer.set_cookie(
            name,
            number,
            max_age=ABSOLUTE_SECONDS,
            path="/",
            secure=self.services.https,
            httponly=True,
            samesite="strict",
        )


def address_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else ""


def text(body: dict[str, Any], name: str) -> str:
    """Return a text of a request's JSON.

    Raises
    ------
    UsageError
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise UsageError(cause=name)
    return value


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object of a request's JSON.

    Raises
    ------
    UsageError
    """
    value = body.get(name)
    if not isinstance(value, dict):
        raise UsageError(cause=name)
    return value
