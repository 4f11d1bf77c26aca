"""The short way of one tile: a frame of a slide level, from the file to the line.

A reader who moves over a slide asks for hundreds of frames a second.  Each takes the
same checks as any other retrieval (:mod:`receiver.wado`), but of what does not change
between two commits nothing is asked twice: the row of the level, its frame table, the
digests of its frames.  Every frame is read from the final file, also while others of
its level arrive, and compared with its own digest before it leaves.

Whatever is not plainly right (no such frame, not here yet, not what came, an answer of
several parts) is left to the long way, which judges it and has the words for it.

A frame's entity tag is the SHA-256 under which it was acknowledged (RFC 9110 8.8.3).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, bindparam, select
from starlette.types import ASGIApp, Receive, Scope, Send

from common import durable
from common.dicom.dataset import EXPLICIT_BE
from common.errors import StorageError, TodokeError
from common.states import InstanceState
from receiver import index
from receiver.changes import Changes
from receiver.facts import LIGHT
from receiver.multipart import accepted, frame_syntax, media_type
from receiver.stored import NOT_RECALLED, Stored

KEPT_LEVELS = 64  # open files
KEPT_PAGES = 4096  # of digests, 16 KB each
PAGE = 512  # digests that are fetched together
IDLE = 5.0  # seconds after which the file of a level that nobody asks for is closed
LARGE = 1 << 17  # bytes of a frame that is read and hashed in a thread
DIGEST = 32
KEEPS_OPEN = os.name != "nt"  # where a file that is open can be renamed and removed

_instances, _frames = index.instances, index.frames
_PLACE = re.compile(
    r"/dicomweb/at/([0-9A-Za-z]{1,16})/studies/([0-9.]{1,64})/series/([0-9.]{1,64})"
    r"/instances/([0-9.]{1,64})/frames"
)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_WHOLE = {InstanceState.STORED, InstanceState.VERIFIED}
# made once: building a statement takes longer than running it
_ROW = select(*LIGHT).where(
    _instances.c.institution == bindparam("institution"),
    _instances.c.sop_uid == bindparam("sop"),
    _instances.c.series_uid == bindparam("series"),
    _instances.c.study_uid == bindparam("study"),
    NOT_RECALLED,
)
_DIGESTS = select(_frames.c.frame, _frames.c.digest).where(
    _frames.c.instance == bindparam("id"),
    _frames.c.frame >= bindparam("first"),
    _frames.c.frame < bindparam("end"),
)
_Headers = list[tuple[bytes, bytes]]
_Answer = tuple[int, _Headers, bytes]


@dataclass(eq=False, slots=True)
class _Level:
    """A level of a slide, as it was at one version of the index.

    Attributes
    ----------
    version : int or None
        None: not to be believed a second time.
    fd : int
        -1 while its file is not open.
    busy : int
        Reads in threads, which need `fd`.
    """

    row: Row[Any]
    table: bytes
    version: int | None
    fd: int = -1
    used: float = 0.0
    busy: int = 0
    dropped: bool = False
    pages: dict[int, bytes] = field(default_factory=dict)

    def same(self, row: Row[Any]) -> bool:
        """Whether a newer row is of the same file with the same frames in it."""
        names = ("id", "key", "path", "length", "state")
        return all(getattr(row, name) == getattr(self.row, name) for name in names)


class TilesFirst:
    """ASGI middleware behind the session check, before the long way."""

    def __init__(self, app: ASGIApp, *, tiles: Tiles) -> None:
        self.app = app
        self.tiles = tiles

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a tile, or pass the request on."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        if path.startswith("/dicomweb/at/") and scope["method"] == "GET":
            answer = await self.tiles.answer(path, scope["headers"])
            if answer is not None:
                status, headers, body = answer
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self.app(scope, receive, send)


class Tiles:
    """Frames of slide levels whose files are kept open while they are asked for.

    Parameters
    ----------
    changes : Changes
        Asked on the event loop alone.
    keep_seconds : int
        How long a browser may keep a frame of a verified instance; 0: not at all.
    """

    def __init__(self, stored: Stored, changes: Changes, keep_seconds: int = 0) -> None:
        self._stored = stored
        self._changes = changes
        self._levels: OrderedDict[str, _Level] = OrderedDict()
        self._pages: OrderedDict[tuple[int, int], _Level] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        kept = f"private, max-age={keep_seconds}, immutable" if keep_seconds else ""
        self._kept = kept.encode("ascii")

    async def answer(self, path: str, headers: _Headers) -> _Answer | None:
        """Return status, headers and body; None where the long way is to answer.

        Parameters
        ----------
        path : str
            Of the request.
        headers : list of (bytes, bytes)
            Of the request, names in lower case.
        """
        place, _, number = path.rpartition("/")
        if not _NUMBER.fullmatch(number):
            return None
        frame = int(number) - 1
        try:
            level = self._level(place)
            if level is None or not frame < level.row.frames:
                return None
            media = _taken(_header(headers, b"accept") or b"*/*", level.row.transfer_syntax)
            digest = self._digest(level, frame) if media else None
            if media is None or digest is None:
                return None
            tag = b'"' + digest.hex().encode("ascii") + b'"'
            said = [(b"etag", tag)]
            if self._kept and level.row.state == InstanceState.VERIFIED:
                said.append((b"cache-control", self._kept))
            if tag in (_header(headers, b"if-none-match") or b""):
                return 304, said, b""
            body = await self._body(level, frame)
        except (TodokeError, OSError):
            return None
        if body is None or hashlib.sha256(body).digest() != digest:
            self._drop(place)
            return None
        length = str(len(body)).encode("ascii")
        return 200, [(b"content-type", media), (b"content-length", length), *said], body

    # --- what is known ------------------------------------------------------------------------

    def _level(self, place: str) -> _Level | None:
        version = self._changes.version()
        known = self._levels.get(place)
        if known is None or version is None or known.version != version:
            found = _PLACE.fullmatch(place)
            row = self._row(found) if found else None
            if row is None or row.transfer_syntax == EXPLICIT_BE:
                self._drop(place)
                return None
            if known is None or not known.same(row):
                self._drop(place)
                table = self._stored.table(row)
                if len(table) != 16 * (row.frames or 0) or not table:
                    return None
                known = self._levels[place] = _Level(row, table, version)
            known.version = version
        self._levels.move_to_end(place)
        while len(self._levels) > KEPT_LEVELS:
            self._drop(next(iter(self._levels)))
        return known

    def _row(self, found: re.Match[str]) -> Row[Any] | None:
        names = ("institution", "study", "series", "sop")
        with self._stored.index.read() as db:
            asked = dict(zip(names, found.groups(), strict=True))
            row: Any = db.execute(_ROW, asked).one_or_none()
        if row is None or row.path is None or not row.frames:
            return None
        found_row: Row[Any] = row
        return found_row if row.state in {InstanceState.RECEIVED, *_WHOLE} else None

    def _digest(self, level: _Level, frame: int) -> bytes | None:
        """Return the digest of a frame that is here, None of any other."""
        if level.row.state not in _WHOLE:  # frames come: each is asked for
            digest = self._fetch(level, frame, frame + 1)
            return digest if any(digest) else None
        number = frame // PAGE
        page = level.pages.get(number)
        if page is None:
            page = self._fetch(level, number * PAGE, (number + 1) * PAGE)
            level.pages[number] = page
            self._pages[level.row.id, number] = level
            while len(self._pages) > KEPT_PAGES:
                (_, oldest), of = self._pages.popitem(last=False)
                of.pages.pop(oldest, None)
        at = frame % PAGE * DIGEST
        digest = page[at : at + DIGEST]
        return digest if any(digest) else None

    def _fetch(self, level: _Level, first: int, end: int) -> bytes:
        page = bytearray((end - first) * DIGEST)
        with self._stored.index.read() as db:
            asked = {"id": level.row.id, "first": first, "end": end}
            for frame, digest in db.execute(_DIGESTS, asked):
                at = (frame - first) * DIGEST
                page[at : at + DIGEST] = digest
        return bytes(page)

    # --- the file -----------------------------------------------------------------------------

    async def _body(self, level: _Level, frame: int) -> bytes | None:
        offset, size = struct.unpack_from("<QQ", level.table, 16 * frame)
        offset += level.row.prefix_length
        fd = self._open(level)
        small = size < LARGE and KEEPS_OPEN
        body = durable.read_cached(fd, size, offset) if small else None
        if body is None:
            level.busy += 1
            try:
                body = await asyncio.to_thread(durable.read_at, fd, size, offset)
            finally:
                level.busy -= 1
                if (level.dropped or not KEEPS_OPEN) and not level.busy:
                    _close(level)
        return body if len(body) == size else None

    def _open(self, level: _Level) -> int:
        """Return the descriptor of a level's file.

        Raises
        ------
        StorageError
            It is gone.
        """
        loop = asyncio.get_running_loop()
        level.used = loop.time()
        if level.fd < 0:
            level.fd = durable.open_file(self._stored.path(level.row))
            if self._timer is None:
                self._timer = loop.call_later(IDLE, self._close_idle)
        if os.fstat(level.fd).st_nlink == 0:
            raise StorageError(cause="vanished")
        return level.fd

    def _close_idle(self) -> None:
        """Close what nobody looks at: a purge, and another system, wait for it."""
        loop = asyncio.get_running_loop()
        before = loop.time() - IDLE
        for level in self._levels.values():
            if level.used <= before and not level.busy:
                _close(level)
        still = any(level.fd >= 0 for level in self._levels.values())
        self._timer = loop.call_later(IDLE, self._close_idle) if still else None

    def _drop(self, place: str) -> None:
        level = self._levels.pop(place, None)
        if level is None:
            return
        for number in level.pages:
            self._pages.pop((level.row.id, number), None)
        level.dropped = True
        if not level.busy:
            _close(level)

    def close(self) -> None:
        """Close every file."""
        for place in list(self._levels):
            self._drop(place)
        if self._timer is not None:
            self._timer.cancel()


def _close(level: _Level) -> None:
    if level.fd >= 0:
        os.close(level.fd)
        level.fd = -1


def _header(headers: _Headers, name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


@lru_cache(256)
def _taken(accept: bytes, syntax: str) -> bytes | None:
    """Return the media type of a frame alone, None where that is not what is asked for first."""
    media, alone = media_type(syntax), frame_syntax(syntax)
    for one in accepted(accept.decode("latin-1")):
        if one.takes(media, alone):
            return None if one.multipart else f"{media}; transfer-syntax={alone}".encode("ascii")
    return None
