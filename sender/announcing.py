"""予告: a transfer that is opened before its images exist, and is closed by them.

The announcement and its images are one transfer with one id: the receiver shows the
same line from 予告 to 受領済.  Images join an announcement that is named, or the only one
that can be meant: of the same study, or of the same patient for images that did not exist
when it was made.  Images for comparison (過去画像) never close one.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from common import request
from common.dicom import uids
from common.errors import (
    AnnouncementGone,
    InputError,
    MixedPatients,
    NotFound,
    ProtocolError,
    TodokeError,
    UsageError,
)
from common.link import check_uid
from common.states import TransferState
from sender import correspondence_tables
from sender.patient import PATIENT_ID, contradict, disagree, first

if TYPE_CHECKING:
    from sender.outbox import Instance, Job

_MODALITY, _STUDY, _STUDY_DATE = "00080060", "0020000D", "00080020"
_OPEN = (
    "SELECT id, study, attributes, request, priority, purpose, created FROM transfers"
    " WHERE state='announced' AND partner=? AND json_extract(request, '$.withdrawn') IS NULL"
    " ORDER BY rowid"
)


def new(
    partner: str,
    level: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    priority: str,
    purpose: str,
) -> dict[str, Any]:
    """Return the values of an announcement.

    Parameters
    ----------
    level : mapping
        Patient and study level in the DICOM JSON model, with a Study Instance UID.

    Raises
    ------
    UsageError
        It names no patient: nothing could join it.
    """
    if not first(level, PATIENT_ID):
        raise UsageError(cause="--patient-id")
    return {
        "id": secrets.token_hex(16),
        "partner": partner,
        "kind": "dicom",
        "state": TransferState.ANNOUNCED,
        "priority": priority,
        "purpose": purpose,
        "study": first(level, _STUDY),
        "attributes": _json(level),
        "request": _json(asked),
        "test": False,
    }


def level(
    words: Mapping[str, Any], modality: str | None, study: str | None, description: str | None
) -> dict[str, Any]:
    """Return patient and study level of an announcement, in the DICOM JSON model.

    Raises
    ------
    UsageError
        A value cannot stand in its element.
    """
    import pydicom

    from sender.requests import values
    from sender.slides.elements import put

    said = {
        "PatientID": words.get("patient_id"),
        "PatientName": values.person_name(words),
        "PatientBirthDate": words.get("birth_date"),
        "PatientSex": words.get("sex"),
        "AccessionNumber": words.get("accession_number"),
        "Modality": modality,
        "StudyDescription": description,
        "StudyInstanceUID": study or uids.new_uid(),
    }
    made = pydicom.Dataset()
    try:
        check_uid(said["StudyInstanceUID"])
        for keyword, value in said.items():
            if value:
                put(made, keyword, value)
    except (InputError, ProtocolError) as failure:
        raise UsageError(cause=failure.facts.get("cause", "")) from failure
    return dict(made.to_json_dict())


def joined(
    db: sqlite3.Connection, job: Job, found: Sequence[tuple[dict[str, Any], list[Instance]]]
) -> dict[int, str]:
    """Return which transfers of a job close an announcement, by place; one closes one.

    Values are changed in place: what the announcement asked stays asked, under what the
    job says itself; what was to join one and cannot is held.
    """
    ids: dict[int, str] = {}
    for place, (values, _) in enumerate(found):
        if values["state"] != TransferState.QUEUED or not values["partner"]:
            continue
        if request.is_prior(json.loads(values["request"])):
            continue
        rows = [r for r in db.execute(_OPEN, (values["partner"],)) if r["id"] not in ids.values()]
        named = job.options.get("for")
        if named and ids:
            continue  # the announcement that was named has its images
        row = _named(rows, named, values) if named else _meant(rows, values)
        if row is not None:
            ids[place] = row["id"]
            _take_over(row, values, job.options)
            correspondence_tables.rename(db, values["partner"], row["study"], values["study"])
    return ids


def _named(rows: Sequence[sqlite3.Row], named: str, values: dict[str, Any]) -> sqlite3.Row | None:
    from sender.outbox import fault

    row = next((row for row in rows if row["id"] == named), None)
    error: TodokeError | None = None
    if row is None:
        error = AnnouncementGone(transfer=named[:8], cause=values["partner"])
    elif disagree(json.loads(row["attributes"]), json.loads(values["attributes"])):
        error = MixedPatients(count=2)
    if error is None:
        return row
    values |= {"state": TransferState.HELD, "error": fault(error)}
    return None


def _meant(rows: Sequence[sqlite3.Row], values: Mapping[str, Any]) -> sqlite3.Row | None:
    level = json.loads(values["attributes"])
    can = [row for row in rows if not disagree(json.loads(row["attributes"]), level)]
    of_study = [row for row in can if row["study"] == values["study"]]
    if of_study:
        return of_study[0]
    of_patient = [row for row in can if _of_patient(row, level)]
    # which of two is meant nobody knows: a person names it with --for
    return of_patient[0] if len(of_patient) == 1 else None


def _of_patient(row: sqlite3.Row, level: Mapping[str, Any]) -> bool:
    said = json.loads(row["attributes"])
    if not first(said, PATIENT_ID) or first(said, PATIENT_ID) != first(level, PATIENT_ID):
        return False
    if contradict({_MODALITY: first(said, _MODALITY)}, level):
        return False
    day = datetime.fromisoformat(row["created"]).astimezone().strftime("%Y%m%d")
    return first(level, _STUDY_DATE) >= day  # "" of images without a date is before any day


def _take_over(row: sqlite3.Row, values: dict[str, Any], options: Mapping[str, Any]) -> None:
    asked = json.loads(row["request"]) | json.loads(values["request"])
    values["request"] = _json(asked)
    for key in ("priority", "purpose"):
        if not options.get(key):
            values[key] = row[key]


def withdraw(db: sqlite3.Connection, transfer: str, by: str, reason: str, at: str) -> None:
    """Note that an announcement is withdrawn; it ends when the receiver knows.

    Raises
    ------
    UsageError
        It is no open announcement, or no person or reason is named.
    """
    if not by.strip() or not reason.strip():
        raise UsageError(cause="--by, --reason")
    row = db.execute("SELECT state, request FROM transfers WHERE id=?", (transfer,)).fetchone()
    if row is None:
        raise NotFound(thing=transfer)
    if row["state"] != TransferState.ANNOUNCED:
        raise UsageError(cause=f"{transfer}: {row['state']}")
    asked = json.loads(row["request"]) | {"withdrawn": {"by": by, "reason": reason, "at": at}}
    request.check(asked)
    values = _json(asked), transfer
    db.execute("UPDATE transfers SET request=?, started=NULL WHERE id=?", values)


def told(db: sqlite3.Connection, transfer: str, sent: Mapping[str, Any], at: str) -> None:
    """Keep that the receiver knows of an announcement, or that it is withdrawn.

    Parameters
    ----------
    sent : mapping
        The request as it was sent: where it has changed since, it is owed again.
    """
    row = db.execute("SELECT state, request FROM transfers WHERE id=?", (transfer,)).fetchone()
    if row["state"] != TransferState.ANNOUNCED or json.loads(row["request"]) != sent:
        return  # images have closed it meanwhile, or a person has changed it
    if "withdrawn" in sent:
        ended = TransferState.RECALLED, at, transfer
        db.execute("UPDATE transfers SET state=?, finished=?, error=NULL WHERE id=?", ended)
    else:
        values = at, transfer
        db.execute("UPDATE transfers SET started=?, error=NULL, attempts=0 WHERE id=?", values)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
