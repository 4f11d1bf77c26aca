"""Marks, key images and layout of one reader for one study (VIEWING 9.12).

They belong to the account and to the patient.  A row is read by reader *and*
study; and where the study says another patient than when the marks were made,
they are not given out: they are not of these images.  Which images a reader has
chosen as key images is told to the requesting side; marks are not.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.errors import NotFound, UsageError
from common.web import guard
from receiver import index, tidings
from receiver.index import Index
from receiver.replies import body_of, reply
from receiver.viewer_services import ViewerServices
from receiver.worklist import Worklist

BODY_LIMIT = 1 << 20
MOST = 2000  # marks, or key images
POINTS = {"length": 2, "angle": 3, "ellipse": 2, "probe": 1}
LAYOUTS = ("1x1", "1x2", "2x2")
NOTHING: dict[str, Any] = {"marks": [], "keys": [], "layout": None}

_table, _studies = index.reader_marks, index.studies


@dataclass(frozen=True)
class Kept:
    """How much one reader has kept of one study, without what it is."""

    reader: str
    study: str
    marks: int
    keys: int
    at: str


class ReaderMarks:
    """What readers have kept, in the index.

    Parameters
    ----------
    worklist : Worklist
        Says whose a study is.
    """

    def __init__(self, worklist: Worklist) -> None:
        self.worklist = worklist
        self.index = worklist.index

    def of(self, reader: str, key: str) -> dict[str, Any]:
        """Return what a reader has kept of a study.

        Raises
        ------
        NotFound
            There is no such study.
        """
        whose = self._patient(key)
        with self.index.read() as db:
            query = select(_table).where(_table.c.reader == reader, _table.c.study == key)
            row = db.execute(query).one_or_none()
        if row is None or row.patient != whose:
            return NOTHING
        content: dict[str, Any] = json.loads(row.content)
        return content

    def keep(self, reader: str, key: str, given: dict[str, Any], display: str = "") -> Kept:
        """Keep what a reader has marked, in the place of what was kept before.

        Key images other than before are news for the requesting side, in the same
        transaction.

        Parameters
        ----------
        display : str
            The reader's name on screens, which the requesting side is told.

        Raises
        ------
        NotFound
            There is no such study, or a mark lies on an image of another.
        UsageError
            It is none of what a page sends.
        """
        content = _checked(given)
        study = self.worklist.study(key)
        images = {one["sop_uid"] for series in study["series"] for one in series["instances"]}
        if any(one["sop"] not in images for one in (*content["marks"], *content["keys"])):
            raise NotFound(thing="image")
        at = index.now()
        with self.index.write() as db:
            mine = (_table.c.reader == reader) & (_table.c.study == key)
            before = db.execute(select(_table.c.content).where(mine)).scalar()
            db.execute(delete(_table).where(mine))
            db.execute(
                insert(_table).values(
                    reader=reader,
                    study=key,
                    institution=study["institution"]["code"],
                    patient=_digest(study),
                    content=json.dumps(content, separators=(",", ":")),
                    at=at,
                )
            )
            if content["keys"] != json.loads(before or '{"keys": []}')["keys"]:
                of = study["institution"]["code"], study["study_uid"]
                said = {"reader": _account(reader), "by": display or reader}
                tidings.tell(db, *of, "keys", **said, images=content["keys"])
        return Kept(reader, key, len(content["marks"]), len(content["keys"]), at)

    def _patient(self, key: str) -> str:
        return _digest(self.worklist.study(key))


def _account(reader: str) -> str:
    """Return which account it is for a side that need not know how it signs in."""
    return hashlib.sha256(f"reader {reader}".encode()).hexdigest()[:16]


def kept(known: Index) -> list[Kept]:
    """Return how much is kept, of all readers and studies."""
    with known.read() as db:
        rows = db.execute(select(_table).order_by(_table.c.at)).all()
    content = [json.loads(row.content) for row in rows]
    return [
        Kept(row.reader, row.study, len(one["marks"]), len(one["keys"]), row.at)
        for row, one in zip(rows, content, strict=True)
    ]


def _digest(study: dict[str, Any]) -> str:
    patient = study["patient"]
    who = [study["institution"]["code"], patient["id"], patient["birth_date"]]
    return hashlib.sha256(json.dumps(who).encode()).hexdigest()


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given with its known parts alone."""
    marks, keys, layout = (given.get(name) for name in ("marks", "keys", "layout"))
    if (
        not isinstance(marks, list)
        or not isinstance(keys, list)
        or max(len(marks), len(keys)) > MOST
    ):
        raise UsageError(cause="marks, keys")
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(cause="layout")
    return {
        "marks": [_mark(one) for one in marks],
        "keys": [_image(one) for one in keys],
        "layout": layout,
    }


def _mark(given: Any) -> dict[str, Any]:
    image = _image(given)
    kind, points, name = given.get("kind"), given.get("points"), given.get("id")
    if kind not in POINTS or not isinstance(points, list) or len(points) != POINTS[kind]:
        raise UsageError(cause="kind, points")
    if not isinstance(name, str) or not (name.isalnum() and name.isascii()) or len(name) > 64:
        raise UsageError(cause="id")
    return {"id": name, "kind": kind, **image, "points": [_point(one) for one in points]}


def _image(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UsageError(cause="image")
    sop, frame = given.get("sop"), given.get("frame")
    if not isinstance(sop, str) or len(sop) > 64 or type(frame) is not int or frame < 1:
        raise UsageError(cause="sop, frame")
    return {"sop": sop, "frame": frame}


def _point(given: Any) -> list[float]:
    if (
        not isinstance(given, list)
        or len(given) != 2
        or not all(type(part) in (int, float) and math.isfinite(part) for part in given)
    ):
        raise UsageError(cause="points")
    return [float(part) for part in given]


def routes(services: ViewerServices, worklist: Worklist) -> list[Route]:
    """Return the routes: a reader's own, of one study.  For readers alone."""
    marks = ReaderMarks(worklist)

    async def read(request: Request) -> Response:
        reader = guard.signed_in(request.scope).name
        found = await asyncio.to_thread(marks.of, reader, request.path_params["key"])
        return reply(request, found)

    async def write(request: Request) -> Response:
        user = guard.signed_in(request.scope)
        body = await body_of(request, BODY_LIMIT)
        key = request.path_params["key"]
        told = await asyncio.to_thread(marks.keep, user.name, key, body, user.display)
        address = request.client.host if request.client else ""
        services.note(
            "marks-saved",
            user=user.name,
            address=address,
            outcome="ok",
            **{name: part for name, part in asdict(told).items() if name not in ("reader", "at")},
        )
        return Response(status_code=204)

    async def accepted(request: Request) -> Response:
        """Note that a reader sees a study of which images are missing (RAD-09)."""
        key = request.path_params["key"]
        study = await asyncio.to_thread(worklist.study, key)  # as it is, not as the page says
        services.note(
            "incomplete-accepted",
            user=guard.signed_in(request.scope).name,
            address=request.client.host if request.client else "",
            study=key,
            arrived=study["arrived"],
            expected=study["expected"],
            outcome="ok",
        )
        return Response(status_code=204)

    path = "/api/studies/{key}/marks"
    return [
        Route("/api/studies/{key}/incomplete-accepted", accepted, methods=["POST"]),
        Route(path, read, methods=["GET"]),
        Route(path, write, methods=["POST"]),
    ]
