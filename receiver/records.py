"""What only the index knows, once more as files: from them and the images it can be made again.

A process beside the doors writes them, some seconds after the fact, so no arrival
waits for them::

    records/small.json             partners, their addresses and certificates, who is revoked;
                                   accounts, invitations, purges, where studies may be
                                   handed on, checks of monitors
    records/studies/KEY.json       a study's row
    records/transfers/ID.json      a transfer's row, and beside it what was signed:
    records/transfers/ID.opening, ID.closing, ID.receipt
    records/readings/KEY.json      what readers did with a study, and what was said of it
    records/news/CODE.json         what an institution may not have heard yet
    records/recalls.json           what senders took back (:mod:`receiver.reading_records`)

The institution of an image is in none: its folder is named by a digest of it and of
the series (:mod:`receiver.store`).  Each file carries the SHA-256 of its own rows.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, LargeBinary, Table, insert, select

from common import durable
from common.web import account_tables
from receiver import index, reading_records, statements
from receiver.index import Index

VERSION = 1
KINDS = ("opening", "closing", "receipt")
SMALL: tuple[Table, ...] = (
    index.partners,
    index.commit_addresses,
    index.certificates,  # a partner without any is taken for one that was never revoked
    index.revocation_lists,
    index.invitations,
    index.purges,
    account_tables.users,
    account_tables.factors,  # without them an account would ask for its password alone
    account_tables.recovery_codes,
    account_tables.old_passwords,
    account_tables.vouchers,
    index.forward_targets,  # the list that was agreed on (PRI-06)
    index.forward_rules,
    index.monitor_checks,
)
_transfers, _studies = index.transfers, index.studies


def folder(data: Path) -> Path:
    """Return where the records of a data directory lie."""
    return data / "records"


class Records:
    """Keeps the records of an index up to date."""

    def __init__(self, database: Index, data: Path) -> None:
        self.index = database
        self.folder = folder(data)
        for name in ("studies", "transfers", reading_records.FOLDER, reading_records.NEWS):
            durable.make_folder(self.folder / name)
        self._kept: dict[Path, str] = {}  # SHA-256 of the rows in each file
        self._prints: dict[str, str] = {}  # by study what its readers had done

    def keep(self) -> int:
        """Write what has changed since; return the number of files written or removed."""
        changed = 0
        with self.index.read() as db:
            small = {table.name: _rows(db, table) for table in SMALL if _exists(db, table)}
            changed += self._save(self.folder / "small.json", small)
            for row in db.execute(select(_transfers)).all():
                changed += self._transfer(db, row._asdict())
            keys = set()
            for row in db.execute(select(_studies)).all():
                keys.add(f"{row.key}.json")
                changed += self._save(self.folder / "studies" / f"{row.key}.json", row._asdict())
            changed += self._readings(db)
        for path in (self.folder / "studies").glob("*.json"):
            if path.name not in keys:  # purged
                durable.remove(path)
                self._kept.pop(path, None)
                changed += 1
        return changed

    def _readings(self, db: Connection) -> int:
        """Write what readers did with each study of which anything has changed, and the news."""
        reading = reading_records
        changed = self._save(self.folder / reading.RECALLS, reading.recalls(db))
        for name, prints, rows in (
            (reading.FOLDER, reading.prints(db), reading.rows),
            (reading.NEWS, reading.news_prints(db), reading.news),
        ):
            for key, found in prints.items():
                known = reading.fingerprint(found)
                if self._prints.get(key) != known:
                    changed += self._save(self.folder / name / f"{key}.json", rows(db, key))
                    self._prints[key] = known
            for path in (self.folder / name).glob("*.json"):
                if path.stem not in prints:
                    durable.remove(path)
                    self._kept.pop(path, None)
                    self._prints.pop(path.stem, None)
                    changed += 1
        return changed

    def _transfer(self, db: Connection, row: dict[str, Any]) -> int:
        path = self.folder / "transfers" / f"{row['id']}.json"
        if not self._differs(path, row):
            return 0
        for kind in KINDS:  # an opening too is said anew: images follow an announcement
            text = statements.read(db, row["id"], kind)
            if text is not None and text != statement(self.folder, row["id"], kind):
                durable.save(path.with_suffix(f".{kind}"), text.encode("ascii"), private=True)
        return self._save(path, row)

    def _differs(self, path: Path, rows: Any) -> bool:
        if path not in self._kept and (known := _sealed(path)) is not None:
            self._kept[path] = known["sha256"]
        return self._kept.get(path) != _digest(rows)

    def _save(self, path: Path, rows: Any) -> int:
        if not self._differs(path, rows):
            return 0
        digest = _digest(rows)
        words = {"version": VERSION, "sha256": digest, "rows": rows}
        durable.save(path, json.dumps(words, ensure_ascii=False).encode(), private=True)
        self._kept[path] = digest
        return 1


def read(path: Path) -> Any | None:
    """Return the rows of a record; None where there is none, or not as it was written."""
    words = _sealed(path)
    return None if words is None else words["rows"]


def restore(db: Connection, path: Path) -> list[str]:
    """Put the small tables into an empty index; return the names of those that were there."""
    found = read(path / "small.json") or {}
    for table in SMALL:
        rows = [_values(table, row) for row in found.get(table.name, [])]
        if rows:
            table.create(db, checkfirst=True)
            db.execute(insert(table), rows)
    return sorted(found)


def transfers(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of transfers, the oldest first."""
    rows = [row for one in (path / "transfers").glob("*.json") if (row := read(one))]
    yield from sorted(rows, key=lambda row: (row["opened_at"], row["id"]))


def statement(path: Path, transfer: str, kind: str) -> str | None:
    """Return what was signed of a transfer."""
    try:
        return (path / "transfers" / f"{transfer}.{kind}").read_text("ascii")
    except (OSError, ValueError):
        return None


def studies(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of studies."""
    for one in sorted((path / "studies").glob("*.json")):
        if row := read(one):
            yield row


def readings(path: Path) -> Iterator[tuple[str, dict[str, list[dict[str, Any]]]]]:
    """Yield the key of each study that readers had to do with, and what they did."""
    for one in sorted((path / reading_records.FOLDER).glob("*.json")):
        if said := read(one):
            yield one.stem, said


def news(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the newest news of each institution."""
    for one in sorted((path / reading_records.NEWS).glob("*.json")):
        yield read(one) or []


def _sealed(path: Path) -> dict[str, Any] | None:
    try:
        words = json.loads(path.read_bytes())
        sound = words["version"] == VERSION and words["sha256"] == _digest(words["rows"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return words if sound else None


def _digest(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _exists(db: Connection, table: Table) -> bool:
    return bool(db.dialect.has_table(db, table.name))


def _rows(db: Connection, table: Table) -> list[dict[str, Any]]:
    binary = {column.name for column in table.c if isinstance(column.type, LargeBinary)}
    found = []
    for row in db.execute(select(table)).mappings():
        found.append(
            {
                name: base64.b64encode(value).decode() if name in binary and value else value
                for name, value in row.items()
            }
        )
    return found


def _values(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    binary = {column.name for column in table.c if isinstance(column.type, LargeBinary)}
    return {
        name: base64.b64decode(value) if name in binary and value else value
        for name, value in row.items()
    }
