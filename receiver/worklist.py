"""The work list: which studies are here, how far they have come, and of whom they are.

A study is known by its key alone; key, institution and Study Instance UID are
one row of the index, so nothing of two institutions is ever put together,
whatever identifiers they use (CHR-07, DIR-06).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from common import request
from common.dicom import burned_in
from common.errors import NotFound
from common.link import pack_bits
from common.states import ABSENT, INSTANCE_WORDS, WORDS, InstanceState, TransferState
from receiver import (
    index,
    list_marks,
    requests,
    rows_asked,
    slide_levels,
    standings,
    study_words,
)
from receiver.attributes import TEST, first
from receiver.derived import Shape, Shelf
from receiver.facts import LIGHT, NOTHING, Facts, KnownFacts
from receiver.index import Index
from receiver.stored import NOT_RECALLED

_studies = index.studies
_instances, _frames = index.instances, index.frames

_BURNED = ("", burned_in.UNKNOWN, burned_in.DECLARED).index
_URGENCY = {"urgent": 0, "soon": 1, "routine": 2}
_READ = {
    TransferState.DONE: 2,
    TransferState.RECALLED: 2,
    TransferState.READING: 1,
    TransferState.OPENED: 1,
}
#: As a transfer goes through them; what is stopped has come least far, whatever else is whole.
_ORDER = sorted(TransferState, key=lambda one: one is not TransferState.HELD)
_WHOLE = rows_asked.WHOLE
#: States of a transfer under which a reader's own state is what the list shows.
_READER_SPEAKS = {
    TransferState.DELIVERED,
    TransferState.COMMITTED,
    TransferState.RECEIPTED,
    TransferState.OPENED,
    TransferState.READING,
}


@dataclass
class Study:
    """One study of the index.

    Attributes
    ----------
    facts : dict
        Of instances by their id: of one of each series, or of all.
    here, total : int
        Instances that have arrived, and slots.
    tiles_here, tiles : int
        The same of frames.
    instances, held, derived :
        For a study alone: its rows, the frames here of levels not yet whole, and what was
        made here of others, by SOP Instance UID.
    transfers : list of (state, priority), of a slide case: each slide is a transfer
    asked : dict or None
        What an earlier or the newest transfer asks, see :mod:`receiver.requests`.
    queries : int
        Questions that wait for an answer, of both sides.
    alarm : dict or None
        How far it has escalated, see :mod:`receiver.escalation`.
    forward : dict or None
        How far it was handed off, see :mod:`receiver.forwarding`.
    recalled : dict or None
        What its sender took back, see :mod:`receiver.recalls`.
    handed : list of dict
        Targets that have what was taken back, see :mod:`receiver.forward_recalls`.
    """

    row: Row[Any]
    facts: dict[int, Facts] = field(default_factory=dict)
    here: int = 0
    total: int = 0
    tiles_here: int = 0
    tiles: int = 0
    damaged: int = 0
    instances: list[Row[Any]] = field(default_factory=list)
    derived: dict[str, list[Shape]] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    transfers: list[tuple[TransferState, str]] = field(default_factory=list)
    asked: dict[str, Any] | None = None
    queries: int = 0
    alarm: dict[str, Any] | None = None
    forward: dict[str, Any] | None = None
    recalled: dict[str, Any] | None = None
    handed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def state(self) -> TransferState:
        """The state of the newest transfer; of a slide case, of what has come least far."""
        # without a transfer: images came ahead of their opening
        newest = TransferState(self.row.state or TransferState.SENDING)
        return min([newest, *(state for state, _ in self.transfers)], key=_ORDER.index)

    @property
    def priority(self) -> str:
        """The priority, of a slide case that of its most urgent slide."""
        of_slides = (priority for _, priority in self.transfers)
        return min([self.row.priority or "routine", *of_slides], key=_URGENCY.__getitem__)

    @property
    def slide(self) -> bool:
        """Whether the study is a slide case, with or without photographs beside the slides."""
        if self.row.kind == "slide" and self.row.opening:
            return True  # before anything of it has come
        return any(facts.slide for facts in self.facts.values())

    def arrived(self, row: Row[Any]) -> int:
        """Return how many frames of a slide level are here."""
        frames = int(row.frames or 1)
        return frames if row.state in _WHOLE else self.held.get(row.id, 0)


class Worklist:
    """Answers what is in the index, for pages."""

    def __init__(self, database: Index, known: KnownFacts) -> None:
        self.index = database
        self.known = known
        self.shelf = Shelf(known.store)

    def rows(self, sought: str = "") -> list[dict[str, Any]]:
        """Return a row of every study: urgent before soon before routine, new first.

        Parameters
        ----------
        sought : str
            Only studies whose request has this text, whatever its case, width and kana.
        """
        with self.index.read() as db:
            found = requests.found(db, sought) if sought else None
            rows = [
                study_row(study)
                for study in self._all(db)
                if found is None or (study.row.institution, study.row.study_uid) in found
            ]
        rows.sort(key=lambda row: str(row["arrived_at"]), reverse=True)
        rows.sort(key=lambda row: (_READ.get(row["state"], 0), _turn(row)))
        rows.sort(key=lambda row: not row["recalled_at_targets"])  # an alarm, until it is settled
        return rows

    def study(self, key: str) -> dict[str, Any]:
        """Return one study with its series and their slots.

        Raises
        ------
        NotFound
        """
        with self.index.read() as db:
            study = self._one(db, key)
            last = rows_asked.last_arrival(db, study.row)
        return study_row(study) | {"last_arrived_at": last, "series": _series(study)}

    def coverage(self, key: str) -> dict[str, Any]:
        """Return which frames of each instance are here, as bitmaps.

        Raises
        ------
        NotFound
        """
        with self.index.read() as db:
            study = self._one(db, key)
            instances = {
                row.sop_uid: {"frames": row.frames or 0, "bitmap": self._bitmap(db, row)}
                | ({"damaged": True} if row.state == InstanceState.DAMAGED else {})
                for row in study.instances
            }
        for uid, shapes in study.derived.items():
            for one in shapes:
                whole = pack_bits(range(one.frames), one.frames)
                name = slide_levels.derived_id(uid, one)
                instances[name] = {"frames": one.frames, "bitmap": whole}
        return {"instances": instances}

    def _one(self, db: Connection, key: str) -> Study:
        if not re.fullmatch(r"[0-9a-f]{8,64}", key):
            raise NotFound(thing="study")
        row = db.execute(rows_asked.studies().where(_studies.c.key == key)).one_or_none()
        if row is None or _all_recalled(row):
            raise NotFound(thing="study")
        study = Study(row)
        mine = (_instances.c.institution == row.institution) & (
            _instances.c.study_uid == row.study_uid
        )
        slots: list[Any] = list(db.execute(select(*LIGHT).where(mine, NOT_RECALLED)))
        study.instances = slots
        study.facts = self.known.of(db, slots)
        study.held = {number: count for number, count in db.execute(rows_asked.held().where(mine))}
        study.asked = requests.of_studies(db, key).get((row.institution, row.study_uid))
        images = [slot for slot in slots if slot.sop_uid not in set(requests.forms_of(study.asked))]
        study.here = sum(slot.state not in ABSENT for slot in images)
        study.damaged = sum(slot.state == InstanceState.DAMAGED for slot in slots)
        study.total = len(images)
        study.derived = {
            slot.sop_uid: self.shelf.of(slot.key)
            for slot in slots
            if study.facts[slot.id].slide and slot.state == InstanceState.VERIFIED
        }
        study.tiles_here = sum(study.arrived(slot) for slot in images)
        study.tiles = sum(slot.frames or 1 for slot in images)
        cases = db.execute(rows_asked.of_cases().where(mine))
        study.transfers = [(TransferState(case.state), case.priority) for case in cases]
        list_marks.say_what_waits(db, {key: study})
        return study

    def _all(self, db: Connection) -> list[Study]:
        """Return every study, its instances counted by the database."""
        studies = {
            (row.institution, row.study_uid): Study(row) for row in db.execute(rows_asked.studies())
        }
        of_number: dict[int, Study] = {}
        for series in db.execute(rows_asked.counted()):
            study = studies.get((series.institution, series.study_uid))
            if study is None:
                continue
            study.here += series.here
            study.damaged += series.damaged
            study.total += series.total
            study.tiles_here += series.tiles_here
            study.tiles += series.tiles
            if series.one is not None:
                of_number[series.one] = study
        list_marks.leave_out_recalled(db, studies)
        names = (_instances.c.institution, _instances.c.study_uid)
        held = rows_asked.held().with_only_columns(*names, func.count().label("tiles"))
        for level in db.execute(held.group_by(None).group_by(*names)):
            study = studies.get((level.institution, level.study_uid))
            if study is not None:
                study.tiles_here += level.tiles
        for slide in db.execute(rows_asked.of_cases()):
            if (study := studies.get((slide.institution, slide.study_uid))) is not None:
                study.transfers.append((TransferState(slide.state), slide.priority))
        for number, facts in self.known.of_numbers(db, of_number).items():
            of_number[number].facts[number] = facts
        for known, asked in requests.of_studies(db).items():
            if (study := studies.get(known)) is not None:
                study.asked = asked
        for form in requests.forms_here(db, studies):
            # what is counted are images, and a request form is none
            study = studies[form.institution, form.study_uid]
            arrived = form.state not in ABSENT
            study.total, study.tiles = study.total - 1, study.tiles - 1
            study.here, study.tiles_here = study.here - arrived, study.tiles_here - arrived
        list_marks.say_what_waits(db, {study.row.key: study for study in studies.values()})
        return [study for study in studies.values() if not _past(study)]

    @staticmethod
    def _bitmap(db: Connection, row: Row[Any]) -> str:
        frames = int(row.frames or 0)
        if row.state in _WHOLE:
            return pack_bits(range(frames), frames)
        here = db.execute(select(_frames.c.frame).where(_frames.c.instance == row.id)).scalars()
        return pack_bits((frame for frame in here if frame < frames), frames)


def _turn(row: dict[str, Any]) -> int:
    """Return how urgent a row is: images for comparison stand behind what they are for."""
    return len(_URGENCY) if row["prior"] else _URGENCY.get(row["priority"], 2)


def _all_recalled(row: Row[Any]) -> bool:
    """Whether images were sent and all taken back; a withdrawn announcement had none."""
    return bool(row.opening and row.expected and row.state == TransferState.RECALLED)


def _past(study: Study) -> bool:
    """Whether nothing of this stands, or it is an announcement that was withdrawn a day ago.

    What a target still has stays listed until somebody has seen to it there.
    """
    if _all_recalled(study.row):
        return not study.handed
    if study.state is not TransferState.RECALLED:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(study.row.changed_at)
    return age > timedelta(hours=requests.WITHDRAWN_HOURS)


def study_row(study: Study) -> dict[str, Any]:
    """Return the row of a study as the web API has it.

    ``arrived`` and ``expected`` count images, for slides frames (tiles).
    """
    row = study.row
    model = json.loads(row.attributes)
    state = study.state
    if row.reading and state in _READER_SPEAKS:
        state = TransferState(row.reading)
    arrived, expected = _progress(study)
    facts = study.facts.values()
    date = study_words.date(first(model, "00080020"))
    modalities = sorted({one.modality for one in facts if one.modality} - {requests.MODALITY})
    return {
        "key": row.key,
        "institution": {"code": row.institution, "name": row.institution_name},
        "study_uid": row.study_uid,
        "kind": "slide" if study.slide else "dicom",
        "patient": study_words.patient(model, row.institution, date),
        "modalities": modalities or [m for m in [first(model, "00080060")] if m],
        "description": study_words.described(model),
        "study_date": date,
        "study_time": study_words.time(first(model, "00080030")),
        "accession_number": first(model, "00080050") or "",
        "body_part": first(model, "00180015")
        or next((one.body_part for one in facts if one.body_part), ""),
        "priority": study.priority,
        "purpose": row.purpose or "diagnosis",
        "arrived": arrived,
        "expected": expected,
        "damaged": study.damaged,
        "unit": "tile" if study.slide else "image",
        "state": state,
        "state_ja": WORDS[state].ja,
        "state_en": WORDS[state].en,
        "arrived_at": row.opened_at or row.changed_at,
        "changed_at": row.changed_at,
        "test": bool(row.test) or bool(model.get(TEST)) or any(one.test for one in facts),
        "burned_in": max((one.burned for one in facts if one.burned), key=_BURNED, default=None),
        "encoded_again": _encoded_again(facts),
        **requests.words(json.loads(row.request or "{}"), study.asked, row.key),
        "dicomweb": f"/dicomweb/at/{row.institution}",
        "reading": _reading(study),
        "intraoperative": any(
            request.intraoperative(said)
            for said in (json.loads(row.request or "{}"), study.asked or {})
        ),
        "queries": study.queries,
        "alarm": study.alarm,
        "forward": study.forward,
        "recalled": study.recalled,
        "recalled_at_targets": study.handed,
    }


def _encoded_again(facts: Iterable[Facts]) -> str | None:
    """Return how the levels of a study's slides were coded again by the sender, if they were."""
    levels = [one for one in facts if one.reencoded and one.flavor == "VOLUME"]
    if not levels:
        return None
    return "lossy" if any(one.recoded for one in levels) else "lossless"


def _reading(study: Study) -> dict[str, Any]:
    """Return how far readers are: state, who, when, and what came after it was done."""
    row = study.row
    state = row.standing or row.reading or standings.UNOPENED
    ja, en = standings.WORDS[state]
    return {
        "state": state,
        "state_ja": ja,
        "state_en": en,
        "by": row.reader or "",
        "display": row.reader_shown or "",
        "at": row.standing_at,
        "late": row.late or 0,
    }


def _progress(study: Study) -> tuple[int, int | None]:
    known = bool(study.row.opening and study.row.expected)
    here, total = (study.tiles_here, study.tiles) if study.slide else (study.here, study.total)
    return here, total if known else None


def _series(study: Study) -> list[dict[str, Any]]:
    by_uid: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in study.instances:
        by_uid[row.series_uid].append(row)
    known = bool(study.row.opening and study.row.expected)
    found = []
    for uid, rows in by_uid.items():
        rows.sort(key=lambda row: (row.number is None, row.number or 0, row.id))
        facts = next((study.facts[r.id] for r in rows if study.facts[r.id] is not NOTHING), NOTHING)
        series: dict[str, Any] = {
            "series_uid": uid,
            "modality": facts.modality or "",
            "number": facts.series_number,
            "description": facts.series_description or "",
            "expected": len(rows) if known else None,
            "instances": [_instance(row, study.facts[row.id]) for row in rows],
        }
        if study.slide:
            images = [(row, study.facts[row.id]) for row in rows if study.facts[row.id].slide]
            series["slide"] = slide_levels.slide(images, study.arrived, study.derived)
        found.append(series)
    found.sort(key=lambda series: (series["number"] is None, series["number"] or 0))
    return found


def _instance(row: Row[Any], facts: Facts) -> dict[str, Any]:
    words = INSTANCE_WORDS[InstanceState(row.state)]
    return {
        "sop_uid": row.sop_uid,
        "number": row.number,
        "state": row.state,
        "state_ja": words.ja,
        "state_en": words.en,
        "frames": 1 if row.frames is None else row.frames,
        "rows": facts.rows,
        "columns": facts.columns,
        "sop_class": row.sop_class,
        "transfer_syntax": row.transfer_syntax,
    }
