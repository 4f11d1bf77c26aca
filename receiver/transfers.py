"""Transfers and studies in the index: opened, joined by what arrives, counted."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

from pydicom.filereader import read_dataset
from sqlalchemy import Connection, Row, Select, and_, bindparam, func, insert, select, update

from common.dicom import budget, patient
from common.dicom.dataset import EXPLICIT_LE
from common.errors import (
    MixedPatients,
    NotFound,
    ProtocolError,
    RequestForbidden,
    SameUidOtherContent,
)
from common.link import Opening, Slot
from common.states import InstanceState, TransferState, move
from receiver import differences, index, requests, statements, stops
from receiver.attributes import instance_attributes, study_attributes, told_attributes
from receiver.facts import LIGHT
from receiver.store import Store

#: Key beside the tags of a study of which no image is here: they are what the opening says.
ANNOUNCED = "announced"
HEADERS = 64  # of slide levels, whose models are kept while they are opened and laid out
TOGETHER = 500  # rows of a statement: it holds all their values, several times over

_transfers, _studies, _instances = index.transfers, index.studies, index.instances

# asked with every batch of frames, so made once: making one costs more than its answer
_OF_ID = select(_transfers).where(_transfers.c.id == bindparam("transfer"))
_OF_UID = and_(
    _instances.c.institution == bindparam("code"), _instances.c.sop_uid == bindparam("uid")
)
_INSTANCE = select(_instances).where(_OF_UID)
_STANDING: Select[Any] = select(
    _instances.c.id, _instances.c.transfer, _instances.c.state, _instances.c.path
).where(_OF_UID)
_KEY = select(_studies.c.key).where(
    _studies.c.institution == bindparam("code"), _studies.c.study_uid == bindparam("uid")
)


def open_transfer(db: Connection, institution: str, opening: Opening, jws: str) -> str:
    """Make a transfer and the slots of its instances; the same opening again changes nothing.

    One that was announced gets its images, see :func:`receiver.requests.reopen`.

    Parameters
    ----------
    institution : str
        Code of the partner, from its certificate and not from the opening.
    jws : str
        The opening as it came, kept for the record.

    Returns
    -------
    str
        Key of the study.

    Raises
    ------
    RequestForbidden
        The transfer's id belongs to another institution.
    MixedPatients
        The study is here, of another patient, or a slide's header names another.
    """
    known = find(db, opening.transfer)
    if known is not None and known.institution != institution:
        raise RequestForbidden(cause="transfer")
    if known is not None and opening.instances:
        stops.lift(db, known)
        known = find(db, opening.transfer)
    if known is None:
        db.execute(
            insert(_transfers).values(
                id=opening.transfer,
                institution=institution,
                kind=opening.kind,
                state=requests.state_of(opening),
                priority=opening.priority,
                purpose=opening.purpose,
                test=opening.test,
                expected=len(opening.instances),
                request=json.dumps(opening.request, ensure_ascii=False),
                opened_at=index.now(),
                repeats=0,
            )
        )
        statements.write(db, opening.transfer, "opening", jws)
        requests.note(db, institution, opening)
    elif known.expected and not opening.instances:
        return study_key(db, institution, requests.study_of(db, known.id))  # overtaken
    else:
        requests.reopen(db, known, opening, jws)
    announce_slots(db, institution, opening)
    told = told_attributes(opening.attributes)
    check_patient(db, institution, opening.study, told)
    said = {**told, ANNOUNCED: True}
    speaks = None if requests.subordinate(db, institution, opening) else opening.transfer
    key = touch_study(db, institution, opening.study, speaks, lambda: said, announced=True)
    index.announce(db, "study", key)
    return key


def announce_slots(db: Connection, institution: str, opening: Opening) -> None:
    """Make or take over the rows of an opening, in few statements: others wait meanwhile."""
    for start in range(0, len(opening.instances), TOGETHER):
        _announce_some(db, institution, opening, opening.instances[start : start + TOGETHER])


def _announce_some(
    db: Connection, institution: str, opening: Opening, slots: Sequence[Slot]
) -> None:
    known = _known_slots(db, institution, slots)
    for row in known.values():
        # a slide level is filled by the transfer that laid it out
        theirs = opening.kind == "slide" and row.transfer != opening.transfer
        if row.study_uid != opening.study or theirs:
            raise SameUidOtherContent(path="SOP Instance UID")
    taken = [
        {"taken_id": r.id} for r in known.values() if r.transfer not in (None, opening.transfer)
    ]
    same = _instances.c.id == bindparam("taken_id")
    if taken:
        db.execute(update(_instances).where(same).values(transfer=opening.transfer), taken)
    # what came ahead of its opening counts as come with it
    ahead = [{"taken_id": r.id} for r in known.values() if r.transfer is None]
    if ahead:
        joined = {"transfer": opening.transfer, "stored_at": index.now()}
        db.execute(update(_instances).where(same).values(**joined), ahead)
    fresh = [
        {
            "key": Store.new_key(),
            "institution": institution,
            "transfer": opening.transfer,
            "study_uid": opening.study,
            "series_uid": slot.series,
            "sop_uid": slot.uid,
            "sop_class": slot.sop_class,
            "transfer_syntax": slot.transfer_syntax,
            "state": InstanceState.EXPECTED,
            "number": slot.number,
            "frames": slot.frames or None,
            "prefix": slot.prefix_bytes() or None,
            "attributes": _announced_attributes(slot, opening),
        }
        for slot in slots
        if slot.uid not in known
    ]
    if fresh:
        db.execute(insert(_instances), fresh)


def _known_slots(db: Connection, institution: str, slots: Iterable[Slot]) -> dict[str, Row[Any]]:
    columns = _instances.c.id, _instances.c.sop_uid, _instances.c.study_uid, _instances.c.transfer
    query = select(*columns).where(
        _instances.c.institution == institution,
        _instances.c.sop_uid.in_([slot.uid for slot in slots]),
    )
    rows: Iterable[Row[Any]] = db.execute(query)
    return {row.sop_uid: row for row in rows}


def _announced_attributes(slot: Slot, opening: Opening) -> bytes | None:
    """Return what a slide level's header says: a viewer needs every level's size at once.

    Raises
    ------
    ProtocolError
        The header is no data set.
    MixedPatients
        It names another patient than the opening.
    """
    if not slot.header:
        return None
    attributes, study = header_models(slot.header_bytes())
    if disagree(study, opening.attributes):
        raise MixedPatients(count=2)
    return attributes


def read_headers(opening: Opening) -> None:
    """Read the headers of slide levels before others wait for the database.

    Raises
    ------
    ProtocolError
        One is no data set.
    """
    for slot in opening.instances[:HEADERS]:
        if slot.header:
            header_models(slot.header_bytes())


@lru_cache(maxsize=HEADERS)  # of the levels that are being opened; each takes some 5 ms
def header_models(header: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return instance and study model of a slide level, which its file's will be.

    Raises
    ------
    ProtocolError
        The header is no data set.
    """
    try:
        data = budget.checked(header, EXPLICIT_LE)
        read = read_dataset(BytesIO(data), False, True)
        return instance_attributes(read), study_attributes(read)
    except Exception as failure:  # pydicom raises anything on hostile bytes
        raise ProtocolError(cause="a slide header") from failure


def find(db: Connection, transfer: str) -> Row[Any] | None:
    """Return the row of a transfer or None."""
    return db.execute(_OF_ID, {"transfer": transfer}).one_or_none()


def known(db: Connection, transfer: str) -> Row[Any]:
    """Return the row of a transfer that has to be there."""
    return db.execute(_OF_ID, {"transfer": transfer}).one()


def owned(db: Connection, transfer: str, institution: str) -> Row[Any]:
    """Return the row of a transfer of this institution.

    Raises
    ------
    NotFound
        There is none; another institution's looks the same.
    """
    row = find(db, transfer)
    if row is None or row.institution != institution:
        raise NotFound(thing=transfer)
    return row


def instance(db: Connection, institution: str, sop_uid: str) -> Row[Any] | None:
    """Return the row of an instance of an institution, or None."""
    return db.execute(_INSTANCE, {"code": institution, "uid": sop_uid}).one_or_none()


def standing(db: Connection, institution: str, sop_uid: str) -> Row[Any] | None:
    """Return id, transfer, state and path of an instance, past its blobs, or None."""
    return db.execute(_STANDING, {"code": institution, "uid": sop_uid}).one_or_none()


def instances_of(db: Connection, transfer: str) -> list[Row[Any]]:
    """Return the rows of a transfer's instances without their blobs, in the opening's order."""
    return _of_transfer(db, transfer, *LIGHT, _instances.c.d1)


def slots_of(db: Connection, transfer: str) -> list[Row[Any]]:
    """Return id, SOP Instance UID and state of a transfer's instances, in the same order."""
    return _of_transfer(db, transfer, _instances.c.id, _instances.c.sop_uid, _instances.c.state)


def _of_transfer(db: Connection, transfer: str, *columns: Any) -> list[Row[Any]]:
    rows = select(*columns).where(_instances.c.transfer == transfer).order_by(_instances.c.id)
    return list(db.execute(rows))


def set_state(db: Connection, row: Row[Any], state: TransferState, **values: Any) -> None:
    """Move a transfer to another state, as the table of moves allows."""
    new = move(TransferState(row.state), state)
    db.execute(update(_transfers).where(_transfers.c.id == row.id).values(state=new, **values))


def without_opening(db: Connection, institution: str, study_uid: str) -> str:
    """Return the transfer of instances from a peer that opens none, made if it is new.

    Its expected number is not known, and it ends at ``delivered``.
    """
    same = and_(
        _transfers.c.institution == institution,
        _transfers.c.expected.is_(None),
        _studies.c.study_uid == study_uid,
        _studies.c.institution == institution,
        _studies.c.transfer == _transfers.c.id,
    )
    known = db.execute(select(_transfers.c.id).where(same)).scalar()
    if known is not None:
        return str(known)
    made = secrets.token_hex(16)
    db.execute(
        insert(_transfers).values(
            id=made,
            institution=institution,
            kind="dicom",
            state=TransferState.DELIVERED,
            priority="routine",
            purpose="diagnosis",
            test=False,
            request="{}",
            opened_at=index.now(),
            repeats=0,
        )
    )
    return made


def touch_study(
    db: Connection,
    institution: str,
    study_uid: str,
    transfer: str | None,
    attributes: Callable[[], dict[str, Any]],
    *,
    announced: bool = False,
) -> str:
    """Note that something of a study changed; make its row if it is new.

    Parameters
    ----------
    attributes : callable
        Gives the patient and study level as DICOM JSON; asked for a new study, and
        for the first image of an announced one.
    announced : bool
        The attributes are what an opening says; what the images say replaces it, so
        that a list never shows another name than the images carry.

    Returns
    -------
    str
        Key of the study.
    """
    same = and_(_studies.c.institution == institution, _studies.c.study_uid == study_uid)
    known = db.execute(select(_studies).where(same)).one_or_none()
    if known is None:
        key = Store.new_key()
        db.execute(
            insert(_studies).values(
                key=key,
                institution=institution,
                study_uid=study_uid,
                transfer=transfer,
                attributes=json.dumps(attributes(), ensure_ascii=False),
                changed_at=index.now(),
            )
        )
        return key
    values: dict[str, Any] = {"changed_at": index.now()}
    if transfer is not None and transfer != known.transfer:
        values["transfer"] = transfer
    model = json.loads(known.attributes)
    if announced != (ANNOUNCED in model):
        said = attributes()
        both = differences.kept(said, model) if announced else differences.kept(model, said)
        if both is not model:
            values["attributes"] = json.dumps(both, ensure_ascii=False)
    db.execute(update(_studies).where(_studies.c.key == known.key).values(**values))
    return str(known.key)


def check_patient(
    db: Connection, institution: str, study_uid: str, attributes: dict[str, Any]
) -> None:
    """Refuse what would be listed among another patient's images (DAT-04).

    Raises
    ------
    MixedPatients
        Images of the study are here, of another patient.
    """
    same = and_(_studies.c.institution == institution, _studies.c.study_uid == study_uid)
    kept = db.execute(select(_studies.c.attributes).where(same)).scalar()
    model = json.loads(kept) if kept is not None else {ANNOUNCED: True}
    if ANNOUNCED not in model and disagree(model, attributes):
        raise MixedPatients(count=2)


def disagree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two models are of two patients; what one does not say is no disagreement."""
    both = zip(patient.of_model(one), patient.of_model(other), strict=True)
    return any(here and there and here != there for here, there in both)


def study_key(db: Connection, institution: str, study_uid: str) -> str:
    """Return the key of a study that is in the index."""
    return str(db.execute(_KEY, {"code": institution, "uid": study_uid}).scalar_one())


def count_repeats(db: Connection, transfer: str | None, repeats: int) -> None:
    """Count what a peer sent again although it was held."""
    db.execute(
        update(_transfers)
        .where(_transfers.c.id == transfer)
        .values(repeats=_transfers.c.repeats + repeats)
    )


def held_frames(db: Connection, instance_id: int) -> set[int]:
    """Return the frames of a slide level that are on the disk."""
    rows = select(index.frames.c.frame).where(index.frames.c.instance == instance_id)
    return set(db.execute(rows).scalars())


def count_frames(db: Connection, instance_id: int) -> int:
    """Return how many frames of a slide level are on the disk."""
    rows = select(func.count()).where(index.frames.c.instance == instance_id)
    return int(db.execute(rows).scalar_one())
