"""WADO-RS (PS3.18 section 10.4): objects, metadata, frames and pictures."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from common.dicom.dataset import EXPLICIT_BE
from common.errors import CannotDisplay, ImageDamaged, NotFound, UsageError
from common.states import InstanceState
from common.web import guard
from receiver import attributes, overlays
from receiver.decoding import Decoders
from receiver.multipart import (
    EXPLICIT_LE,
    OCTETS,
    Multipart,
    Part,
    Range,
    accepted,
    frame_syntax,
    media_type,
)
from receiver.replies import reply
from receiver.soundness import Soundness
from receiver.stored import Address, Stored
from receiver.waiting import Waiting

MOST_FRAMES = 4096  # in one request's list
AT_ONCE = 16 << 20  # bytes of frames that are read before they are sent
THUMBNAIL = 192  # pixels of the longer side
RENDERED = 2048
LOOK_AGAIN = 0.25  # seconds, should another process have taken them
LONGEST_WAIT = 5.0  # seconds that an answer waits for frames on their way, at most
DICOM = "application/dicom"
#: Header of an answer 404 for a frame that will come, so that a page draws 未着 and waits.
NOT_HERE_YET = {"X-Todoke": "not-here-yet"}

_ON_THE_WAY = {InstanceState.EXPECTED, InstanceState.RECEIVED}
_UNSEEN = {*_ON_THE_WAY, InstanceState.DAMAGED}


class Wado:
    """Retrieves; see :mod:`receiver.dicomweb` for what holds for every answer."""

    def __init__(self, stored: Stored, decoders: Decoders, waiting: Waiting) -> None:
        self.stored = stored
        self.sound = Soundness(stored)
        self.decoders = decoders
        self.waiting = waiting

    async def objects(self, request: Request) -> Response:
        """Retrieve whole instances, byte by byte as they are stored."""
        address = Address.of(request)
        rows = await asyncio.to_thread(self.stored.find, address)
        rows = [row for row in rows if row.state not in _ON_THE_WAY]
        if not rows:
            return _not_here_yet()
        if any(row.state == InstanceState.DAMAGED for row in rows):
            raise ImageDamaged  # a study without one of its images looks whole
        ranges = accepted(request.headers.get("accept"))
        single = address.instance is not None and not any(r.multipart for r in ranges)
        for row in rows:
            _chosen(ranges, DICOM, row.transfer_syntax)
        if single:
            await asyncio.to_thread(self.sound.check, rows[0])
            name = f'attachment; filename="{rows[0].key}.dcm"'
            headers = {"Content-Disposition": name}
            return StreamingResponse(self.stored.whole(rows[0]), media_type=DICOM, headers=headers)
        parts = (
            Part(f"{DICOM}; transfer-syntax={row.transfer_syntax}", self._whole(row))
            for row in rows
        )
        body = Multipart(DICOM, parts)
        return StreamingResponse(body, headers={"Content-Type": body.content_type})

    def _whole(self, row: Row[Any]) -> Iterator[bytes]:
        self.sound.check(row)
        yield from self.stored.whole(row)

    async def metadata(self, request: Request) -> Response:
        """Retrieve the DICOM JSON model, pixels as a BulkDataURI."""
        address = Address.of(request)
        rows = await asyncio.to_thread(self.stored.find, address)
        base = f"{request.url.scheme}://{request.url.netloc}/dicomweb/at/"

        def joined() -> bytes:
            return b"[" + b",".join(self._models(rows, base)) + b"]"

        body = await asyncio.to_thread(joined)
        return reply(request, body, media_type="application/dicom+json")

    def _models(self, rows: list[Row[Any]], base: str) -> Iterator[bytes]:
        """Yield each stored model with what is not stored put before its closing brace."""
        guessed = self.stored.guessed(rows)
        for row, packed in self.stored.attributes(rows):
            more: dict[str, Any] = {
                "00083002": {"vr": "UI", "Value": [row.transfer_syntax]},
            }
            series = f"{base}{row.institution}/studies/{row.study_uid}/series/{row.series_uid}"
            place = f"{series}/instances/{row.sop_uid}"
            if row.pixel_offset is not None or row.frames:
                more["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{place}/frames"}
            more |= guessed.get((row.institution, row.study_uid), {})
            model = overlays.told(zlib.decompress(packed), place)
            yield model[:-1] + b"," + attributes.encoded(more)[1:]

    async def frames(self, request: Request) -> Response:
        """Retrieve frames as they are stored, several or one alone."""
        row, numbers = await self._place(request)
        if row.transfer_syntax == EXPLICIT_BE:
            # not for frames (PS3.18 8.7.3.2): a reader that swaps no words shows other values
            raise CannotDisplay(cause="Explicit VR Big Endian")
        missing = await asyncio.to_thread(self.stored.missing, row, numbers)
        if missing:
            if row.frames is None or row.state not in _ON_THE_WAY:
                return _not_here_yet()
            self.waiting.add(guard.signed_in(request.scope).name, row.id, missing)
            row, missing = await self._until_here(request, row, numbers)
            if missing:
                return _not_here_yet()
        media = media_type(row.transfer_syntax)
        syntax = frame_syntax(row.transfer_syntax)
        chosen = _chosen(accepted(request.headers.get("accept")), media, syntax)
        await asyncio.to_thread(self.sound.check, row, numbers)
        if not chosen.multipart and len(numbers) > 1:
            raise UsageError(cause="Accept: multipart/related")
        described = f"{media}; transfer-syntax={syntax}"
        spans = await asyncio.to_thread(self.stored.spans, row, numbers)
        size = sum(length for _, length in spans or [])
        if spans is not None and size > AT_ONCE and chosen.multipart:
            parts = (Part(described, self.stored.read(row, [one])) for one in spans)
            body = Multipart(media, parts)
            return StreamingResponse(body, headers={"Content-Type": body.content_type})
        bodies = await self._bytes(row, numbers, spans)
        if not chosen.multipart:
            return Response(bodies[0], headers={"Content-Type": described})
        body = Multipart(media, (Part(described, (one,)) for one in bodies))
        return Response(b"".join(body), headers={"Content-Type": body.content_type})

    async def bulk(self, request: Request) -> Response:
        """Retrieve the bits of an overlay, which metadata names by a BulkDataURI (10.4.1.1.5)."""
        tag = str(request.path_params["tag"]).upper()
        if not overlays.is_data(tag):
            raise NotFound(thing="bulkdata")  # pixels are asked for by their frames
        row = (await asyncio.to_thread(self.stored.find, Address.of(request.path_params)))[0]
        if row.state in _ON_THE_WAY:
            return _not_here_yet()
        chosen = _chosen(accepted(request.headers.get("accept")), OCTETS, EXPLICIT_LE)
        await asyncio.to_thread(self.sound.check, row)
        bits = await self.decoders.overlay(self.stored.path(row), tag)
        if not chosen.multipart:
            return Response(bits, headers={"Content-Type": OCTETS})
        body = Multipart(OCTETS, (Part(OCTETS, (bits,)),))
        return Response(b"".join(body), headers={"Content-Type": body.content_type})

    async def _until_here(
        self, request: Request, row: Row[Any], numbers: list[int]
    ) -> tuple[Row[Any], list[int]]:
        """Wait for frames as long as is preferred; return the instance and what is missing."""
        end = time.monotonic() + _patience(request.headers.get("prefer", ""))
        listener = self.waiting.watch(row.id)
        try:
            while missing := await asyncio.to_thread(self.stored.missing, row, numbers):
                if (left := end - time.monotonic()) <= 0:
                    break
                await listener.wait(min(left, LOOK_AGAIN))
                if row.path is None:  # it had not been laid out
                    row, _ = await self._place(request)
            return row, missing
        finally:
            self.waiting.turn_away(row.id, listener)

    async def rendered(self, request: Request) -> Response:
        """Retrieve a picture for a page or a report, never for measuring."""
        return await self._picture(request, RENDERED)

    async def thumbnail(self, request: Request) -> Response:
        """Retrieve a small picture."""
        return await self._picture(request, THUMBNAIL)

    async def _picture(self, request: Request, edge: int) -> Response:
        edge = _edge(request.query_params.get("viewport"), edge)
        window = _window(request.query_params.get("window"))
        ranges = accepted(request.headers.get("accept"))
        if not any(one.kind in {"*/*", "image/*", "image/jpeg"} for one in ranges):
            raise CannotDisplay(cause="Accept: image/jpeg")
        if "frames" in request.path_params:
            row, numbers = await self._place(request)
            number = numbers[0]
        else:
            rows = await asyncio.to_thread(self.stored.find, Address.of(request))
            row = _middle(rows)
            number = (row.frames or 1) // 2 if row.state not in _UNSEEN else 0
        if await asyncio.to_thread(self.stored.missing, row, [number]):
            return _not_here_yet()
        await asyncio.to_thread(self.sound.check, row, [number])
        picture = await self.decoders.picture(self.stored.path(row), number, edge, window)
        return Response(picture, media_type="image/jpeg")

    async def _place(self, request: Request) -> tuple[Row[Any], list[int]]:
        """Return the instance and the frames (0-based) that a path names.

        Raises
        ------
        NotFound, UsageError
        """
        address = Address.of(request)
        found = await asyncio.to_thread(lambda: self.stored.find(address, expected=True))
        row = found[0]
        count = row.frames if row.frames is not None else 1
        asked = request.path_params.get("frames")
        numbers = _numbers(asked) if asked is not None else list(range(min(count, MOST_FRAMES)))
        if not numbers or max(numbers) >= count:
            raise NotFound(thing="frame")
        return row, numbers

    async def _bytes(
        self, row: Row[Any], numbers: list[int], spans: list[tuple[int, int]] | None
    ) -> list[bytes]:
        if spans is None:
            return await self.decoders.frames(self.stored.path(row), numbers)
        return await asyncio.to_thread(self.stored.read, row, spans)


def _numbers(listed: str) -> list[int]:
    """Read a list of frame numbers, which begin at 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", listed):
        raise UsageError(cause="frames")
    numbers = [int(word) - 1 for word in listed.split(",")]
    if len(numbers) > MOST_FRAMES:
        raise UsageError(cause=f"frames > {MOST_FRAMES}")
    return numbers


def _chosen(ranges: Iterable[Range], media: str, transfer_syntax: str) -> Range:
    for one in ranges:
        if one.takes(media, transfer_syntax):
            return one
    raise CannotDisplay(cause=f"Accept: {media}; transfer-syntax={transfer_syntax}")


def _patience(preferred: str) -> float:
    """Return for how many seconds an answer may wait (RFC 7240, section 4.3), 0 where not asked."""
    found = re.search(r"(?:^|[\s,;])wait\s*=\s*\"?([0-9]{1,3})\b", preferred)
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0


def _not_here_yet() -> Response:
    error = NotFound(thing="未着 / not here yet")
    return JSONResponse({"error": error.for_peer().as_json()}, 404, headers=NOT_HERE_YET)


def _middle(rows: list[Row[Any]]) -> Row[Any]:
    """Return the instance that stands for many: the middle slice, the smallest slide level."""
    pictured = [row for row in rows if row.pixel_offset is not None or row.frames] or rows
    here = [row for row in pictured if row.state not in _UNSEEN] or pictured
    series = [row for row in here if row.series_uid == here[0].series_uid]
    if any((row.frames or 1) > 1 for row in series):
        return min(series, key=lambda row: row.frames or 1)
    return series[len(series) // 2]


def _edge(viewport: str | None, default: int) -> int:
    """Read ``viewport=width,height`` (PS3.18 8.3.5.1.3); only the size is heeded."""
    if viewport is None:
        return default
    if not re.fullmatch(r"[1-9][0-9]{0,4},[1-9][0-9]{0,4}(,.*)?", viewport):
        raise UsageError(cause="viewport")
    return min(max(int(word) for word in viewport.split(",")[:2]), RENDERED)


def _window(said: str | None) -> tuple[float, float] | None:
    """Read ``window=centre,width,function`` (PS3.18 8.3.5.1.4)."""
    if said is None:
        return None
    found = re.fullmatch(r"(-?\d{1,6}(?:\.\d{1,6})?),(\d{1,6}(?:\.\d{1,6})?)(,linear)?", said)
    if found is None:
        raise UsageError(cause="window")
    return float(found[1]), float(found[2])
