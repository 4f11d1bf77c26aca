"""What was asked with transfers: kept, found again, and never shown of the wrong images.

Request information comes in the signed opening and is kept with the transfer's row in one
transaction (UX-02).  What is asked of a study is what its newest transfer asks, or an
earlier one where the newest asks nothing: more images never hide a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from pydicom import dcmread
from sqlalchemy import Connection, Row, delete, insert, or_, select, tuple_, update

from common import request
from common.errors import NotFound, ProtocolError
from common.link import Opening
from common.states import ABSENT, TransferState, move
from receiver import differences, index, prior_links, statements
from receiver.stored import NOT_RECALLED

_transfers, _studies, _instances = index.transfers, index.studies, index.instances
_asked = index.requests
_CHANGEABLE = {TransferState.SENDING, TransferState.DELIVERED}
_LARGEST = request.LARGEST_FORM + (1 << 20)  # bytes of a file with a form
_TOGETHER = 200  # forms that are asked for at a time
MODALITY = "DOC"  # of a request form, PS3.3 C.7.3.1.1.1
WITHDRAWN_HOURS = 24  # in which a withdrawn announcement is still listed


class Study(Protocol):
    """A study, with what is asked of it."""

    asked: dict[str, Any] | None


def state_of(opening: Opening) -> TransferState:
    """Return the state of a transfer that was opened so."""
    if opening.instances:
        return TransferState.SENDING
    if "withdrawn" in opening.request:
        return TransferState.RECALLED
    return TransferState.ANNOUNCED


def note(db: Connection, institution: str, opening: Opening, at: str | None = None) -> None:
    """Keep what an opening asks, so that its study is found by it.

    Parameters
    ----------
    at : str, optional
        When it was asked; by default now.
    """
    db.execute(delete(_asked).where(_asked.c.transfer == opening.transfer))
    db.execute(
        insert(_asked).values(
            transfer=opening.transfer,
            institution=institution,
            study_uid=opening.study,
            told=request.told(opening.request),
            prior=request.is_prior(opening.request),
            text=request.search_text(opening.request),
            at=at or index.now(),
        )
    )


def reopen(db: Connection, known: Row[Any], opening: Opening, jws: str) -> None:
    """Take an opening of a transfer that is open: images of an announcement, or other words.

    The same words again change nothing, nor does anything after the receipt.

    Raises
    ------
    ProtocolError
        The transfer was withdrawn.
    """
    old = TransferState(known.state)
    if old is TransferState.RECALLED:
        if opening.instances:
            raise ProtocolError(cause="a transfer that was withdrawn")
        return
    said: dict[str, Any] = {
        "priority": opening.priority,
        "purpose": opening.purpose,
        "request": json.dumps(opening.request, ensure_ascii=False),
    }
    same = all(getattr(known, name) == value for name, value in said.items())
    announced = old is TransferState.ANNOUNCED
    if announced and opening.instances:
        said |= {"opened_at": index.now()}  # from now on there is something to wait for
    elif same or not (announced or old in _CHANGEABLE):
        if known.receipted_at is None and statements.read(db, known.id, "opening") != jws:
            # released at the sender and signed anew; the record names the last
            statements.write(db, known.id, "opening", jws)
        return
    if announced:
        said |= {
            "kind": opening.kind,
            "test": opening.test,
            "expected": len(opening.instances),
            "state": move(old, state_of(opening)),
        }
        _name_anew(db, known, opening)
        _drop_placeholder(db, known, opening)
    db.execute(update(_transfers).where(_transfers.c.id == known.id).values(**said))
    statements.write(db, known.id, "opening", jws)
    note(db, known.institution, opening)


def _name_anew(db: Connection, known: Row[Any], opening: Opening) -> None:
    """Let the line of an announcement be that of its images, which came as another study.

    It keeps its key, and with it who claimed it and what was said of it.  The line of images
    that overtook their opening gives way to it; that of a study which was here before does not.
    """
    mine = (_studies.c.institution == known.institution) & (_studies.c.transfer == known.id)
    of_images = (_studies.c.institution == known.institution) & (
        _studies.c.study_uid == opening.study
    )
    row = db.execute(select(_studies).where(mine, _studies.c.study_uid != opening.study)).first()
    ahead = db.execute(select(_studies).where(of_images)).first()
    if row is None or (ahead is not None and _has_begun(db, ahead)):
        return
    arrived = (_instances.c.institution == known.institution) & (
        _instances.c.study_uid == row.study_uid
    )
    if db.execute(select(_instances.c.id).where(arrived).limit(1)).first() is not None:
        return
    said: dict[str, Any] = {"study_uid": opening.study}
    if ahead is not None:
        here = differences.kept(json.loads(row.attributes), json.loads(ahead.attributes))
        said |= {"attributes": json.dumps(here, ensure_ascii=False)}
        db.execute(delete(_studies).where(_studies.c.key == ahead.key))
        prior_links.forget(db, ahead.key)
        index.announce(db, "study", ahead.key)
    db.execute(update(_studies).where(_studies.c.key == row.key).values(**said))
    news = index.tidings  # what was not heard yet is heard of the study that it is now
    old = (news.c.institution == known.institution) & (news.c.study_uid == row.study_uid)
    db.execute(update(news).where(old).values(study_uid=opening.study))
    index.announce(db, "study", row.key)


def _has_begun(db: Connection, study: Row[Any]) -> bool:
    """Whether a study was sent before, or a reader has come to it: its line stays."""
    if study.transfer is not None or study.reading is not None:
        return True
    return any(
        db.execute(select(table.c.study).where(table.c.study == study.key).limit(1)).first()
        for table in (index.standings, index.messages, index.reader_marks, index.forwards)
    )


def _drop_placeholder(db: Connection, known: Row[Any], opening: Opening) -> None:
    """Take the line of an announcement out where its images came under another study."""
    mine = (_studies.c.institution == known.institution) & (_studies.c.transfer == known.id)
    rows = db.execute(select(_studies).where(mine, _studies.c.study_uid != opening.study)).all()
    for row in rows:
        of_study = _instances.c.study_uid == row.study_uid
        images = select(_instances.c.id).where(
            _instances.c.institution == known.institution, of_study
        )
        if db.execute(images.limit(1)).first() is None:
            db.execute(delete(_studies).where(_studies.c.key == row.key))
            prior_links.forget(db, row.key)
            index.announce(db, "study", row.key)


def study_of(db: Connection, transfer: str) -> str:
    """Return the Study Instance UID of a transfer that was opened.

    Raises
    ------
    NotFound
        An older program opened it.
    """
    same = _asked.c.transfer == transfer
    study = db.execute(select(_asked.c.study_uid).where(same)).scalar()
    if study is None:
        raise NotFound(thing=transfer)
    return str(study)


def subordinate(db: Connection, institution: str, opening: Opening) -> bool:
    """Tell whether an opening must not speak for its study: 過去画像 of what is asked now."""
    if not request.is_prior(opening.request):
        return False
    current = select(_studies.c.transfer).join(_asked, _asked.c.transfer == _studies.c.transfer)
    same = (_studies.c.institution == institution) & (_studies.c.study_uid == opening.study)
    return db.execute(current.where(same, _asked.c.prior.is_(False))).first() is not None


def of_studies(db: Connection, key: str | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is asked, by institution and Study Instance UID; the newest of each.

    Images that were taken back ask nothing any more; a withdrawn announcement says so.

    Parameters
    ----------
    key : str, optional
        Of the one study that is asked for.
    """
    rows = (
        select(_asked.c.institution, _asked.c.study_uid, _transfers.c.request)
        .join(_transfers, _transfers.c.id == _asked.c.transfer)
        .where(_asked.c.told.is_(True), _asked.c.prior.is_(False))
        .where(or_(_transfers.c.state != TransferState.RECALLED, _transfers.c.expected == 0))
        .order_by(_asked.c.at)
    )
    if key is not None:
        rows = rows.join(
            _studies,
            (_studies.c.institution == _asked.c.institution)
            & (_studies.c.study_uid == _asked.c.study_uid),
        ).where(_studies.c.key == key)
    return {(row.institution, row.study_uid): json.loads(row.request) for row in db.execute(rows)}


def forms_of(asked: Mapping[str, Any] | None) -> list[str]:
    """Return the SOP Instance UIDs of the request forms of what is asked of a study."""
    return request.forms(asked or {})


def forms_here(db: Connection, studies: Mapping[tuple[str, str], Study]) -> list[Row[Any]]:
    """Return institution, study and state of the request forms that studies name.

    Parameters
    ----------
    studies : mapping
        By institution and Study Instance UID, each with what is asked of it.
    """
    named = [(known[0], uid) for known, study in studies.items() for uid in forms_of(study.asked)]
    rows: list[Row[Any]] = []
    for start in range(0, len(named), _TOGETHER):
        some = named[start : start + _TOGETHER]
        same = tuple_(_instances.c.institution, _instances.c.sop_uid).in_(some)
        columns = _instances.c.institution, _instances.c.study_uid, _instances.c.state
        found: Iterable[Row[Any]] = db.execute(select(*columns).where(same))
        rows += [row for row in found if (row.institution, row.study_uid) in studies]
    return rows


def found(db: Connection, sought: str) -> set[tuple[str, str]]:
    """Return institution and Study Instance UID of the studies whose request has a text."""
    has = _asked.c.text.contains(request.fold(sought), autoescape=True)
    rows = db.execute(select(_asked.c.institution, _asked.c.study_uid).where(has))
    return {(row.institution, row.study_uid) for row in rows}


def words(own: Mapping[str, Any], asked: Mapping[str, Any] | None, key: str) -> dict[str, Any]:
    """Return what a page says of a study's request.

    Parameters
    ----------
    own : mapping
        The request of its newest transfer.
    asked : mapping or None
        What :func:`of_studies` found of it.
    """
    prior = request.is_prior(own)
    said = dict(own if prior or request.told(own) or asked is None else asked)
    shown = [
        {"key": item.key, "ja": item.ja, "en": item.en, "text": said[item.key]}
        for item in request.ITEMS
        if said.get(item.key)
    ]
    links = [f"/api/studies/{key}/forms/{uid}" for uid in request.forms(said)]
    return {
        "request": said,
        "request_items": shown,
        "request_forms": links,
        "requested": request.told(said),
        "prior": prior,
    }


def lacking(db: Connection, institution: str, opening: Opening) -> list[str]:
    """Return the request forms that an opening names and of which nothing is here."""
    own = {slot.uid for slot in opening.instances}
    named = [uid for uid in request.forms(opening.request) if uid not in own]
    if not named:
        return []
    here = select(_instances.c.sop_uid).where(
        _instances.c.institution == institution,
        _instances.c.study_uid == opening.study,
        _instances.c.sop_uid.in_(named),
        _instances.c.state.not_in(ABSENT),
    )
    held = set(db.execute(here).scalars())
    return [uid for uid in named if uid not in held]


def form(known: index.Index, store: Path, key: str, uid: str) -> bytes:
    """Return the PDF of a study's request form, its bytes as the sender had them.

    Parameters
    ----------
    store : Path
        Folder that the paths of the index are relative to.

    Raises
    ------
    NotFound
        The study has no such form, or it is not here.
    """
    with known.read() as db:
        row = db.execute(
            select(_instances.c.path)
            .join(
                _studies,
                (_studies.c.institution == _instances.c.institution)
                & (_studies.c.study_uid == _instances.c.study_uid),
            )
            .where(
                _studies.c.key == key,
                _instances.c.sop_uid == uid,
                _instances.c.sop_class == request.PDF,
                _instances.c.state.not_in(ABSENT),
                NOT_RECALLED,
            )
        ).one_or_none()
    if row is None or row.path is None:
        raise NotFound(thing="form")
    path = store / row.path
    try:
        if path.stat().st_size > _LARGEST:
            raise NotFound(thing="form")
        whole = dcmread(BytesIO(path.read_bytes()))
        data = bytes(whole.get("EncapsulatedDocument") or b"")
        length = whole.get("EncapsulatedDocumentLength")
        return data[: int(length)] if length is not None else data
    except NotFound:
        raise
    except Exception as failure:  # pydicom raises anything on hostile bytes
        raise NotFound(thing="form") from failure
