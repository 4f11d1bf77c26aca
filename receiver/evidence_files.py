"""Evidence records as a receiver has them on its disk: read, checked, and put into a new index."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from common.errors import RecordDiffers, TodokeError
from common.proof import jws, record, record_file
from common.proof.ledger import Day, Entry, Ledger
from receiver import index
from receiver.index import Index

log = logging.getLogger("todoke.evidence")
FOLDER = "evidence"
_records, _anchors = index.evidence, index.anchors


def path_of(data: Path, institution: str, number: int) -> Path:
    """Return where a record lies as a file."""
    return data / FOLDER / institution / f"{number:08d}.json"


def anchor_path(data: Path, institution: str, day: str) -> Path:
    """Return where an anchor lies as a file."""
    return data / FOLDER / institution / f"anchor-{day}.json"


def kept(known: Index, data: Path, row: Row[Any]) -> record_file.Kept:
    """Return all that is kept of a record; its leaves are those of its own file."""
    said = record.read_record(jws.payload(row.statement))
    file = record_file.read(path_of(data, row.institution, row.number)) or {}
    leaves = file.get("instances")
    with known.read() as db:
        anchors = _anchor_of(db, row)
    return record_file.Kept(
        record=row.statement,
        countersignature=row.countersignature,
        sender=row.certificate,
        receiver=row.countersigner,
        leaves=leaves if isinstance(leaves, list) else None,
        count=said.instances["count"],
        anchors=anchors,
    )


def _anchor_of(db: Connection, row: Row[Any]) -> list[dict[str, Any]]:
    of_day = (_anchors.c.institution == row.institution) & (_anchors.c.day == row.day)
    found = db.execute(select(_anchors).where(of_day)).one_or_none()
    if found is None or not found.first <= row.number <= found.last:
        return []
    within = _records.c.number.between(found.first, found.last)
    mine = (_records.c.institution == row.institution) & within
    names = db.execute(select(_records.c.name).where(mine).order_by(_records.c.number)).scalars()
    place = row.number - found.first
    entry = record_file.anchor_entry
    return [entry(found.statement, found.countersignature, list(names), place)]


def ledgers(known: Index, data: Path) -> list[Ledger]:
    """Return what is kept of the records of each sender, to be checked."""
    with known.read() as db:
        rows = db.execute(select(_records).order_by(_records.c.number)).all()
        days = db.execute(select(_anchors).order_by(_anchors.c.day)).all()
    on_disk = {one.name for one in (data / FOLDER).glob("*") if one.is_dir()}
    today = datetime.now(UTC).date().isoformat()
    return [
        Ledger(
            code,
            [_entry(row) for row in rows if row.institution == code],
            [_day(row) for row in days if row.institution == code],
            record_file.Folder(data / FOLDER / code),
            today,
        )
        for code in sorted({row.institution for row in rows} | on_disk)
    ]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        row.number, row.name, row.transfer, row.state, row.day, row.statement, row.certificate,
        row.countersignature, row.countersigner, row.refused is not None,
    )  # fmt: skip


def _day(row: Row[Any]) -> Day:
    return Day(
        row.day, row.first, row.last, row.statement, row.certificate,
        row.countersignature, row.countersigner,
    )  # fmt: skip


def restore(db: Connection, data: Path) -> int:
    """Put the records and anchors that lie as files into a new index; return how many.

    What cannot be read is said and left where it is: the daily check then names its number.
    """
    count = 0
    for folder in sorted((data / FOLDER).glob("*")):
        for number, file in record_file.Folder(folder).items():
            try:
                db.execute(insert(_records).values(**_values(folder.name, number, file or {})))
                count += 1
            except (TodokeError, KeyError, TypeError, ValueError, IndexError):
                log.error("record %s of %s cannot be read; not restored", number, folder.name)
        for path in sorted(folder.glob("anchor-*.json")):
            try:
                words = json.loads(path.read_bytes())
                said = record.read_anchor(jws.payload(words["statement"]))
                names = ("statement", "certificate", "countersignature", "countersigner")
                values = {one: words[one] for one in names}
                values |= {"day": said.day, "first": said.first, "last": said.last}
                name = record.name(words["statement"])
                db.execute(insert(_anchors).values(institution=folder.name, name=name, **values))
            except (TodokeError, OSError, KeyError, TypeError, ValueError, IndexError):
                log.error("%s of %s cannot be read; not restored", path.stem, folder.name)
    return count


def _values(institution: str, number: int, file: dict[str, Any]) -> dict[str, Any]:
    said = record.read_record(jws.payload(file["record"]))
    if said.number != number:
        raise ValueError(number)
    below = file["countersignature"]
    refused = RecordDiffers(cause="?").as_json()
    return {
        "institution": institution,
        "number": number,
        "name": record.name(file["record"]),
        "transfer": said.transfer,
        "state": said.state,
        "day": str(said.times["signed"])[:10],
        "statement": file["record"],
        "certificate": file["certificates"]["sender"],
        "countersignature": below,
        "countersigner": file["certificates"]["receiver"],
        "refused": None if below else json.dumps(refused, ensure_ascii=False),
        "kept_at": index.now(),
    }
