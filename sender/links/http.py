"""The sender's end of ``/link/v1``: a few requests over HTTPS with our certificate.

Only this end dials.  What a peer answers is checked in :mod:`common.link`; what
goes wrong on the way becomes an error of the tree, retryable or not.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from common import link, news, tidings, tls
from common.dicom import greeting
from common.errors import (
    ClockOff,
    DiskFull,
    InstanceTooLarge,
    IntegrityError,
    NoNewsThere,
    NotFound,
    PeerBusy,
    PeerCertificateRefused,
    PeerError,
    PeerFull,
    PeerRefused,
    PeerTimeout,
    PeerUnreachable,
    ProtocolError,
    RecordDiffers,
    TodokeError,
    WrongService,
)
from sender.pace import Pace

CONNECT = 10.0  # seconds
ANSWER = 60.0  # seconds without a byte
Said = str | Callable[[], str]
#: What OpenSSL calls an answer to its hello that is no TLS record.
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_LIMIT = re.compile(r"(\d{1,9}) GB")  # in the words of E-6100
_CAUSE = re.compile(r"\((.{1,200}?)\)[,.]")  # in the words of E-6020 and E-6022
#: What h11 calls an answer over TLS that is no HTTP.
_NO_HTTP = ("illegal status line", "illegal request line")
#: How long a receiver says that it worked (https://www.w3.org/TR/server-timing/).
_TIMING = re.compile(r"\bwork;dur=(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
PIECE = 1 << 20  # bytes of a request that are written at a time


#: Those of this process, for Ctrl-C.
_clients: weakref.WeakSet[LinkClient] = weakref.WeakSet()


def break_off() -> None:
    """End whatever waits for an answer of a receiver in this process."""
    for one in list(_clients):
        one.break_off()


class Incomplete(Exception):
    """The receiver still misses instances; no failure, but more to send."""

    def __init__(self, uids: list[str]) -> None:
        super().__init__(f"{len(uids)} missing")
        self.uids = uids


class Unequal(Exception):
    """The receiver read other digests back than the closing names."""

    def __init__(self, uids: list[str]) -> None:
        super().__init__(f"{len(uids)} unequal")
        self.uids = uids


class OutOfOrder(Exception):
    """The receiver expects another record than the one it was sent."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number


class LinkClient:
    """Connections to one receiver's link.

    Parameters
    ----------
    address, port
        Of the link's door.
    host : str
        Name that the receiver's certificate must carry.
    context : ssl.SSLContext
        With our certificate, trusting the receiver's CA only.
    connections : int
        Requests that may be under way at a time.
    pace : Pace, optional
        What is sent goes no faster.

    Attributes
    ----------
    line : dict or None
        Version, cipher and the receiver's certificate of the first connection.
    """

    def __init__(
        self,
        address: str,
        port: int,
        host: str,
        context: ssl.SSLContext,
        connections: int = 32,
        pace: Pace | None = None,
    ) -> None:
        self.peer = f"{address}:{port}"
        self._host = host
        self._pace = pace
        self.line: dict[str, Any] | None = None
        self._to_warm = 0  # connections
        self._sockets: weakref.WeakSet[ssl.SSLSocket] = weakref.WeakSet()
        _clients.add(self)
        self._client = httpx.Client(
            base_url=f"https://{address}:{port}{link.ROOT}",
            verify=context,
            trust_env=False,
            headers={"Host": f"{host}:{port}"},
            limits=httpx.Limits(max_connections=connections),
            timeout=httpx.Timeout(ANSWER, connect=CONNECT),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def break_off(self) -> None:
        """End what waits for an answer, in whatever thread; closing would not wake it."""
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                # the socket's own: the TLS object stays for the thread that reads from it
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def hello(self) -> dict[str, Any]:
        """Ask who is there and what time it has."""
        return self._words("GET", "/hello")

    def warm(self, connections: int) -> None:
        """Have so many more connections made by threads, for requests that will come soon.

        Each costs two round trips, which no request has to wait for then.  They are
        begun once the first, which everything waits for, has reached the peer.
        """
        self._to_warm = connections

    def _trace(self, event: str, facts: Mapping[str, Any]) -> None:
        if event == "connection.start_tls.complete":
            self._sockets.add(facts["return_value"].get_extra_info("socket"))
        if event == "connection.connect_tcp.complete":
            connections, self._to_warm = self._to_warm, 0
            for number in range(connections):
                threading.Thread(target=self._warm, name=f"warm-{number}", daemon=True).start()

    def _warm(self) -> None:
        with contextlib.suppress(TodokeError, RuntimeError):  # who needs one says what is wrong
            self.hello()

    def renew(self, csr: str) -> str:
        """Ask for the certificate that follows ours; return it, PEM."""
        certificate = self._words("POST", "/certificate", csr).get("certificate")
        if not isinstance(certificate, str):
            raise ProtocolError(cause="certificate")
        return certificate

    def open(self, opening: str) -> None:
        """Open a transfer with a signed opening; idempotent."""
        self._words("POST", "/transfers", opening)

    def state(self, transfer: str) -> dict[str, Any]:
        """Ask for a transfer's state and its counts."""
        return self._words("GET", f"/transfers/{transfer}")

    def missing(self, transfer: str) -> tuple[set[int], dict[int, str]]:
        """Ask what must still be sent.

        Returns
        -------
        instances : set of int
            Places in the opening of which nothing has arrived.
        levels : dict
            Bitmap of the frames held, by place, of levels that are not verified.
        """
        words = self._words("GET", f"/transfers/{transfer}/missing")
        try:
            levels = {int(place): str(bits) for place, bits in words["levels"].items()}
            return {int(place) for place in words["instances"]}, levels
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            raise ProtocolError(cause="missing") from failure

    def news(self, since: str = "") -> news.News:
        """Ask what was damaged there after it came, and what readers did since a moment.

        Parameters
        ----------
        since : str
            What the answer before named as `until`; empty at first.
        """
        return news.read(self._words("GET", f"/wanted?{httpx.QueryParams(since=since)}"))

    def tidings(
        self, since: int, listening: bool | None, audible: bool | None, *, wait: bool = True
    ) -> tidings.Answer:
        """Ask what is new in the reading room, waiting a while until something is.

        Parameters
        ----------
        since : int
            Number of the news heard last.
        listening, audible : bool or None
            Whether anybody listens there and can hear an alarm, as far as we know: a change
            is news too.

        Raises
        ------
        NoNewsThere
            A receiver of an older version.
        """
        asked: dict[str, str | int] = {"since": since}
        for name, known in (("listening", listening), ("audible", audible)):
            asked[name] = "" if known is None else int(known)
        asked |= {} if wait else {"wait": 0}
        with _newer():
            return tidings.read(self._words("GET", f"/news?{httpx.QueryParams(asked)}"))

    def say(self, message: dict[str, str]) -> None:
        """Send words to the reading room; raises as :meth:`tidings`."""
        with _newer():
            self._words("POST", "/messages", link.dumps(message))

    def gone(self, transfer: str, uids: list[str]) -> None:
        """Say that wanted instances are no longer at their source as they were."""
        self._words("POST", f"/transfers/{transfer}/gone", link.dumps({"instances": uids}))

    def stopped(self, transfer: str, number: str) -> None:
        """Say that a transfer is stopped here by an error; raises as :meth:`tidings`."""
        with _newer():
            self._words("POST", f"/transfers/{transfer}/stopped", link.dumps({"number": number}))

    def lengths(self, transfer: str, place: int, packed: bytes) -> None:
        """Tell the frame lengths of a level, uint32 LE."""
        self._words("PUT", f"/transfers/{transfer}/lengths/{place}", packed)

    def frames(self, transfer: str, batch: bytes) -> tuple[list[tuple[int, int]], float]:
        """Send a batch of frames.

        Returns
        -------
        wanted : list
            (place, frame) that readers wait for; empty from a receiver that knows we listen.
        busy : float
            Seconds that the receiver worked on it, 0 where it does not say.
        """
        where = f"/transfers/{transfer}/frames?wanted=0"
        words, headers = self._said("POST", where, batch)
        timing = _TIMING.search(headers.get("Server-Timing", ""))
        return self._wanted(words), float(timing[1]) / 1000 if timing else 0.0

    def wanted_frames(self, transfer: str) -> list[tuple[int, int]]:
        """Ask for (place, frame) that readers wait for, waiting a while for some."""
        return self._wanted(self._words("GET", f"/transfers/{transfer}/wanted"))

    @staticmethod
    def _wanted(words: dict[str, Any]) -> list[tuple[int, int]]:
        try:
            return [(int(place), int(frame)) for place, frame in words["wanted"]]
        except (KeyError, TypeError, ValueError) as failure:
            raise ProtocolError(cause="wanted") from failure

    def complete(self, transfer: str, closing: Said) -> str | None:
        """Close a transfer; return the receipt if it is there already.

        Parameters
        ----------
        closing : str or callable
            The signed closing, or what gives it: megabytes, that are not held for longer
            than they are being sent.

        Raises
        ------
        Incomplete, Unequal
        """
        return self._receipt(self._words("POST", f"/transfers/{transfer}/complete", closing))

    def receipt(self, transfer: str) -> str | None:
        """Ask for the receipt, waiting a while; raises as :meth:`complete`."""
        return self._receipt(self._words("GET", f"/transfers/{transfer}/receipt"))

    @staticmethod
    def _receipt(words: dict[str, Any]) -> str | None:
        receipt = words.get("receipt")
        if receipt is not None and not isinstance(receipt, str):
            raise ProtocolError(cause="receipt")
        return receipt

    def ask(self, method: str, path: str, words: Any = None) -> dict[str, Any]:
        """Ask something in JSON; raises as every question here."""
        return self._words(method, path, None if words is None else link.dumps(words))

    def _words(self, method: str, path: str, body: bytes | Said | None = None) -> dict[str, Any]:
        return self._said(method, path, body)[0]

    def _said(
        self, method: str, path: str, body: bytes | Said | None = None
    ) -> tuple[dict[str, Any], httpx.Headers]:
        """Return words and headers of an answer."""
        try:
            status, answer, headers = self._request(method, path, body)
        except httpx.TimeoutException as failure:
            raise PeerTimeout(peer=self.peer, seconds=int(ANSWER)) from failure
        except httpx.RequestError as failure:
            raise self._broken(failure) from failure
        if status == 204:
            return {}, headers
        try:
            text = answer.decode()
            if text.startswith("{"):
                answer.clear()  # megabytes, where it is a receipt
            words = json.loads(text)
        except (ValueError, RecursionError) as failure:
            raise _no_words(status, answer) from failure
        if not isinstance(words, dict):
            raise ProtocolError(cause="no JSON object")
        if status >= 400:
            raise _refusal(status, words)
        return words, headers

    def _request(
        self, method: str, path: str, body: bytes | Said | None
    ) -> tuple[int, bytearray, httpx.Headers]:
        """Return an answer; neither way is anything large held twice."""
        extensions = {"sni_hostname": self._host, "trace": self._trace}
        said: dict[str, Any] = {"extensions": extensions}
        if callable(body):
            body = body()
        if body is not None:
            length = {"Content-Length": str(len(body))}
            said |= {"content": self._pieces(body), "headers": length}
        del body
        answer = bytearray()
        with self._client.stream(method, path, **said) as response:
            if self.line is None:
                stream = response.extensions["network_stream"]
                self.line = tls.facts(stream.get_extra_info("socket"))
            for piece in response.iter_bytes():
                answer += piece
        return response.status_code, answer, response.headers

    def _pieces(self, body: bytes | str) -> Iterator[bytes]:
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            data = piece.encode("ascii") if isinstance(piece, str) else piece
            if self._pace is None or self._pace.limits is None:
                yield data
            else:
                yield from map(bytes, self._pace.pieces(data))

    def _broken(self, failure: httpx.RequestError) -> PeerError:
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return PeerCertificateRefused(cause=cause.verify_message)
            if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason):
                # with TLS 1.3 the client hears of it at its first read only
                return PeerCertificateRefused(cause=str(cause.reason))
            if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
                return WrongService(cause=f"{self.peer}: {greeting.NOT_TLS}")
            cause = cause.__cause__ or cause.__context__
        if isinstance(failure, httpx.RemoteProtocolError) and str(failure).startswith(_NO_HTTP):
            return WrongService(cause=f"{self.peer}: {greeting.NOT_HTTP}")
        if isinstance(failure, httpx.ConnectError):
            return PeerUnreachable(peer=self.peer, cause=str(failure))
        return PeerError(cause=f"{self.peer}: {type(failure).__name__}")


@contextlib.contextmanager
def _newer() -> Iterator[None]:
    """Tell a receiver that knows no such question from one that refuses it."""
    try:
        yield
    except ProtocolError as failure:
        if failure.facts.get("cause") == "HTTP 404":
            raise NoNewsThere from failure
        raise


def _no_words(status: int, answer: bytes | bytearray) -> PeerError:
    """Return the error of an answer that is none of ours."""
    if status >= 500:  # a server that is in trouble may have no words, and recover
        return PeerError(cause=f"HTTP {status}")
    if not answer:  # a link of another version, which knows no such question
        return ProtocolError(cause=f"HTTP {status}")
    there = greeting.DICOM_THERE if answer in greeting.HTTP_HINT else greeting.NOT_LINK
    return WrongService(cause=f"HTTP {status}: {there}")


def _refusal(status: int, words: dict[str, Any]) -> Exception:
    if status == 409 and isinstance(words.get("missing"), list):
        return Incomplete([str(uid) for uid in words["missing"]])
    if status == 422 and isinstance(words.get("unequal"), list):
        return Unequal([str(uid) for uid in words["unequal"]])
    if status == 409 and isinstance(words.get("next"), int):
        return OutOfOrder(words["next"])
    error = words.get("error")
    said = error.get("en", "") if isinstance(error, dict) else ""
    cause = f"HTTP {status} {said}"
    for kind in (ClockOff, RecordDiffers):
        if kind.number in said:
            inner = _CAUSE.search(said)
            return kind(cause=inner[1] if inner else cause)
    if status == 507 and DiskFull.number in said:
        return PeerFull(cause=cause)
    if status == 413 and InstanceTooLarge.number in said:
        limit = _LIMIT.search(said)
        return InstanceTooLarge(limit=limit[1] if limit else "?")
    if status in {502, 503, 504, 507, 429}:
        return PeerBusy(cause=cause)
    if status >= 500:
        return PeerError(cause=cause)
    if status == 422:
        return IntegrityError(cause=cause)
    return NotFound(thing=cause) if status == 404 else PeerRefused(cause=cause)
