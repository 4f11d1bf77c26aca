"""QIDO-RS (PS3.18 section 10.6): which studies, series and instances are here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, select
from starlette.requests import Request
from starlette.responses import Response

from common.states import InstanceState
from receiver import attributes, descriptions, index
from receiver.facts import LIGHT, KnownFacts
from receiver.index import Index
from receiver.matching import Query, matches, read_query
from receiver.replies import reply
from receiver.stored import Address, Stored, one_institution

_studies, _instances = index.studies, index.instances

#: What PS3.18 tables 10.6.3-4 and -5 ask for besides what the study level has.
_SERIES_TAGS = (
    "00080060 00080021 00080031 0008103E 00180015 0020000E 00200011 00400244 00400245 00400275"
)
_INSTANCE_TAGS = (
    "00080008 00080016 00080018 00080033 00200013 00280002 00280004 00280008 00280010 00280011 "
    "00280100 00280101 00480006 00480007"
)
SERIES_TAGS = _SERIES_TAGS.split()
INSTANCE_TAGS = _INSTANCE_TAGS.split()

Model = dict[str, Any]
Search = Callable[[Address, Query, str], list[Model]]


class Qido:
    """Searches; every answer names the institution as issuer of the Patient ID."""

    def __init__(self, database: Index, known: KnownFacts, stored: Stored) -> None:
        self.index = database
        self.known = known
        self.stored = stored

    async def studies(self, request: Request) -> Response:
        """Search for studies."""
        return await self._answer(request, self._studies)

    async def series(self, request: Request) -> Response:
        """Search for series, of one study or of all."""
        return await self._answer(request, self._series)

    async def instances(self, request: Request) -> Response:
        """Search for instances, of one series, one study or all."""
        return await self._answer(request, self._instances)

    async def _answer(self, request: Request, search: Search) -> Response:
        address = Address.of(request)
        query = read_query(request.query_params.multi_items())
        base = f"{request.url.scheme}://{request.url.netloc}/dicomweb/at/"
        found = await asyncio.to_thread(search, address, query, base)
        headers = {"Warning": '299 todoke "fuzzymatching is not supported"'} if query.fuzzy else {}
        return reply(request, found, media_type="application/dicom+json", headers=headers)

    def _studies(self, address: Address, query: Query, base: str) -> list[Model]:
        with self.index.read() as db:
            return _page((model for model, _ in self._each_study(db, address, base)), query)

    def _series(self, address: Address, query: Query, base: str) -> list[Model]:
        with self.index.read() as db:
            return _page((model for model, _ in self._each_series(db, address, base)), query)

    def _instances(self, address: Address, query: Query, base: str) -> list[Model]:
        with self.index.read() as db:
            return _page(self._each_instance(db, address, query, base), query)

    def _each_study(
        self, db: Connection, address: Address, base: str
    ) -> Iterator[tuple[Model, list[Row[Any]]]]:
        asked = select(_studies).order_by(_studies.c.changed_at.desc(), _studies.c.key)
        if address.institution is not None:
            asked = asked.where(_studies.c.institution == address.institution)
        if address.among is not None:
            asked = asked.where(_studies.c.institution.in_(address.among))
        if address.study is not None:
            asked = asked.where(_studies.c.study_uid == address.study)
        rows: list[Any] = list(db.execute(asked))
        if address.study is not None:
            one_institution(rows)
        for row in rows:
            here = Address(row.institution, row.study_uid, address.series)
            held: list[Any] = list(
                db.execute(
                    select(*LIGHT)
                    .where(here.where(), _instances.c.path.is_not(None))
                    .order_by(_instances.c.number, _instances.c.id)
                )
            )
            if not held:
                continue
            by_series = {one.series_uid: one for one in reversed(held)}
            facts = self.known.of(db, by_series.values()).values()
            model = _study_model(row, base)
            modalities = sorted({one.modality for one in facts if one.modality})
            model["00080061"] = {"vr": "CS", "Value": modalities}
            model["00201206"] = {"vr": "IS", "Value": [len(by_series)]}
            model["00201208"] = {"vr": "IS", "Value": [len(held)]}
            yield model, held

    def _each_series(
        self, db: Connection, address: Address, base: str
    ) -> Iterator[tuple[Model, list[Row[Any]]]]:
        for study, held in self._each_study(db, address, base):
            by_series: dict[str, list[Row[Any]]] = {}
            for row in held:
                by_series.setdefault(row.series_uid, []).append(row)
            for uid, rows in by_series.items():
                whole = self._attributes(db, rows[0])
                model = study | {tag: whole[tag] for tag in SERIES_TAGS if tag in whole}
                model["0020000E"] = {"vr": "UI", "Value": [uid]}
                model["00201209"] = {"vr": "IS", "Value": [len(rows)]}
                model["00081190"] = _url(study["00081190"]["Value"][0] + f"/series/{uid}")
                yield model, rows

    def _each_instance(
        self, db: Connection, address: Address, query: Query, base: str
    ) -> Iterator[Model]:
        for series, rows in self._each_series(db, address, base):
            for row in rows:
                whole = self._attributes(db, row)
                wanted = [*INSTANCE_TAGS, *query.fields]
                own = whole if query.every else {t: whole[t] for t in wanted if t in whole}
                model = {**own, **series, "00080018": {"vr": "UI", "Value": [row.sop_uid]}}
                model["00080016"] = {"vr": "UI", "Value": [row.sop_class]}
                model["00083002"] = {"vr": "UI", "Value": [row.transfer_syntax]}
                root = series["00081190"]["Value"][0]
                model["00081190"] = _url(f"{root}/instances/{row.sop_uid}")
                if row.state == InstanceState.RECEIVED:
                    model["00080056"] = {"vr": "CS", "Value": ["NEARLINE"]}
                yield model

    def _attributes(self, db: Connection, row: Row[Any]) -> Model:
        return attributes.read_instance(
            descriptions.packed(db, self.stored.root, [row.id]).get(row.id)
        )


def _page(models: Iterable[Model], query: Query) -> list[Model]:
    """Return the part of what matches that was asked for."""
    found: list[Model] = []
    skipped = 0
    for model in models:
        if len(found) >= query.limit:
            break
        if not matches(model, query.keys):
            continue
        if skipped < query.offset:
            skipped += 1
            continue
        found.append(model)
    return found


def _study_model(row: Row[Any], base: str) -> Model:
    model: Model = {
        tag: element
        for tag, element in json.loads(row.attributes).items()
        if isinstance(element, dict)
    }
    model["0020000D"] = {"vr": "UI", "Value": [row.study_uid]}
    # a Patient ID means something together with who issued it, and nothing without (CHR-07)
    model["00100021"] = {"vr": "LO", "Value": [row.institution]}
    model["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    model["00081190"] = _url(f"{base}{row.institution}/studies/{row.study_uid}")
    return model | attributes.marked(json.loads(row.attributes))


def _url(address: str) -> Model:
    return {"vr": "UR", "Value": [address]}
