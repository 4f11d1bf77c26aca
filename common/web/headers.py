"""Headers that every answer of a web door carries, whatever made it.

The policy lets the pages run their own scripts, workers and WebAssembly and
nothing else: no inline script, no other origin, no frame around them.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)

#: Of a document that a study brought: opened by itself it is nobody's page and runs nothing.
DOCUMENT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_DOCUMENT = (b"content-security-policy", DOCUMENT_POLICY.encode())

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class SecurityHeaders:
    """ASGI middleware; an answer that says nothing about caching is not kept anywhere.

    The policy is the pages' own; of an answer that carries :data:`DOCUMENT_POLICY` it is that.

    Parameters
    ----------
    https : bool
        Also tell browsers to stay with https (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = dict(_ALWAYS)
        if https:
            self.headers["Strict-Transport-Security"] = "max-age=31536000"
        # as ASGI sends them, lower case: made once, sent with every tile
        self._raw = [(k.lower().encode(), v.encode()) for k, v in self.headers.items()]
        self._names = frozenset(name for name, _ in self._raw)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and put the headers on its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = message.get("headers", ())
                own = [pair for pair in said if pair[0] not in self._names]
                if not any(name == b"cache-control" for name, _ in own):
                    own.append((b"cache-control", b"private, no-store"))
                ours = self._raw
                if _DOCUMENT in said:
                    ours = [_DOCUMENT, *(pair for pair in ours if pair[0] != _DOCUMENT[0])]
                message["headers"] = own + ours
            await send(message)

        await self.app(scope, receive, with_headers)
