"""Instances of the index as DICOMweb addresses them, and their bytes on the disk."""

from __future__ import annotations

import json
import os
import re
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, select, tuple_
from starlette.requests import Request

from common import durable
from common.errors import ImageDamaged, NotFound, SeveralInstitutions, StorageError
from common.states import InstanceState, TransferState
from receiver import attributes, descriptions, index, sight
from receiver.facts import LIGHT
from receiver.index import Index

KEPT_TABLES = 64  # frame tables in memory; a big slide level has 2 MB
PIECE = 1 << 18  # bytes of one read of a whole object

_instances, _frames, _transfers = index.instances, index.frames, index.transfers
#: Condition on the table of instances: its sender did not take it back.  What is recalled stays,
#: with its records, and no reader reaches it.
NOT_RECALLED = ~exists().where(
    _transfers.c.id == _instances.c.transfer, _transfers.c.state == TransferState.RECALLED
)
#: UIDs as they come in an address: what PS3.5 9.1 allows, and what devices make of it.
_UID = re.compile(r"[0-9.]{1,64}")
_CODE = re.compile(r"[0-9A-Za-z]{1,16}")


@dataclass(frozen=True, slots=True)
class Address:
    """What a DICOMweb path names; None is *any*."""

    institution: str | None = None
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    among: frozenset[str] | None = None  # the institutions that who asks may see

    @classmethod
    def of(cls, request: Request) -> Address:
        """Read the parts of a request's path, within what who asks may see.

        Raises
        ------
        NotFound
            A part is no UID.
        """
        params = request.path_params
        for level in ("study", "series", "instance"):
            if level in params and not _UID.fullmatch(params[level]):
                raise NotFound(thing="UID")
        if "institution" in params and not _CODE.fullmatch(params["institution"]):
            raise NotFound(thing="institution")
        return cls(
            params.get("institution"),
            params.get("study"),
            params.get("series"),
            params.get("instance"),
            sight.institutions(request.scope),
        )

    def where(self) -> Any:
        """Return the condition on the table of instances; what was recalled does not meet it."""
        columns = {
            _instances.c.institution: self.institution,
            _instances.c.study_uid: self.study,
            _instances.c.series_uid: self.series,
            _instances.c.sop_uid: self.instance,
        }
        named = [column == value for column, value in columns.items() if value is not None]
        if self.among is not None:
            named.append(_instances.c.institution.in_(self.among))
        return and_(NOT_RECALLED, *named)


def one_institution(rows: list[Row[Any]]) -> None:
    """Refuse a UID that several institutions sent.

    Raises
    ------
    SeveralInstitutions
        They are told apart by the root ``/dicomweb/at/{institution}`` only.
    """
    codes = sorted({row.institution for row in rows})
    if len(codes) > 1:
        raise SeveralInstitutions(cause=", ".join(codes))


class Stored:
    """Finds instances and reads their bytes."""

    def __init__(self, database: Index, root: Path) -> None:
        self.index = database
        self.root = root
        self._tables: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, address: Address, *, expected: bool = False) -> list[Row[Any]]:
        """Return the rows (LIGHT) of what an address names, in order.

        Parameters
        ----------
        expected : bool
            Also slots that nothing has arrived for.

        Raises
        ------
        NotFound
            There is nothing.
        SeveralInstitutions
        """
        query = select(*LIGHT).where(address.where())
        with self.index.read() as db:
            rows: list[Any] = list(db.execute(query.order_by(_instances.c.id)))
        one_institution(rows)
        if not expected:
            damaged = InstanceState.DAMAGED
            rows = [row for row in rows if row.path is not None or row.state == damaged]
        if not rows:
            raise NotFound(thing="UID")
        rows.sort(key=lambda row: (row.series_uid, row.number is None, row.number or 0, row.id))
        return rows

    def attributes(self, rows: list[Row[Any]]) -> Iterator[tuple[Row[Any], bytes]]:
        """Yield each row with its packed attributes; rows without any are left out."""
        by_id = {row.id: row for row in rows}
        for some in descriptions.pieces(list(by_id)):
            with self.index.read() as db:
                found = descriptions.packed(db, self.root, some)
            for number in some:
                if one := found.get(number):
                    yield by_id[number], one

    def guessed(self, rows: list[Row[Any]]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return by institution and study what marks a guess in the studies of some rows."""
        studies = {(row.institution, row.study_uid) for row in rows}
        table = index.studies
        asked = select(table.c.institution, table.c.study_uid, table.c.attributes).where(
            tuple_(table.c.institution, table.c.study_uid).in_(studies)
        )
        with self.index.read() as db:
            return {
                (one.institution, one.study_uid): attributes.marked(json.loads(one.attributes))
                for one in db.execute(asked)
            }

    def missing(self, row: Row[Any], numbers: list[int]) -> list[int]:
        """Return which of some frames (0-based) are not on the disk.

        Raises
        ------
        ImageDamaged
            They were, and are no longer what was acknowledged.
        """
        damaged = row.state == InstanceState.DAMAGED
        if row.path is None and not damaged:
            return numbers
        if row.state not in {InstanceState.RECEIVED, InstanceState.DAMAGED}:
            return []
        query = select(_frames.c.frame).where(
            _frames.c.instance == row.id, _frames.c.frame.in_(numbers)
        )
        with self.index.read() as db:
            here = set(db.execute(query).scalars())
        absent = [number for number in numbers if number not in here]
        if damaged and absent:
            raise ImageDamaged
        return absent

    def spans(self, row: Row[Any], numbers: list[int]) -> list[tuple[int, int]] | None:
        """Return offset in the file and length of frames (0-based).

        Returns
        -------
        list of (int, int) or None
            None where frames are no runs of bytes and need a parser.
        """
        table = self.table(row)
        if not table:
            return None
        found = [struct.unpack_from("<QQ", table, 16 * number) for number in numbers]
        return [(row.prefix_length + offset, size) for offset, size in found]

    def read(self, row: Row[Any], spans: list[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of spans of an instance's file.

        Raises
        ------
        ImageDamaged
            The file is not there, or not as long as the index says.
        """
        fd = self.open(row)
        try:
            parts = [durable.read_at(fd, size, offset) for offset, size in spans]
        finally:
            os.close(fd)
        if any(len(part) != size for part, (_, size) in zip(parts, spans, strict=True)):
            raise ImageDamaged
        return parts

    def whole(self, row: Row[Any]) -> Iterator[bytes]:
        """Yield an instance's file in pieces.

        Raises
        ------
        ImageDamaged
            The file is not there, or not as long as the index says; no client takes
            what it has got for the whole.
        """
        end = row.prefix_length + row.length
        fd = self.open(row)
        try:
            for at in range(0, end, PIECE):
                piece = durable.read_at(fd, min(PIECE, end - at), at)
                if len(piece) != min(PIECE, end - at):
                    raise ImageDamaged
                yield piece
        finally:
            os.close(fd)

    def open(self, row: Row[Any]) -> int:
        """Open the file of an instance for reading; the caller closes it.

        Raises
        ------
        ImageDamaged
            It is not there.
        """
        path = self.path(row)
        try:
            return durable.open_file(path)
        except StorageError:
            if path.exists():
                raise
            raise ImageDamaged from None

    def path(self, row: Row[Any]) -> Path:
        """Return where an instance lies.

        A level gets its final name just before the index says so: either may be there.
        """
        path = self.root / str(row.path)
        if path.suffix == ".part" and not path.exists():
            return path.with_suffix(".dcm")
        return path

    def table(self, row: Row[Any]) -> bytes:
        """Return uint64 LE pairs of offset in the data set and length; empty without frames."""
        kept = (row.key, row.path, row.length)
        with self._lock:
            if kept in self._tables:
                self._tables.move_to_end(kept)
                return self._tables[kept]
        with self.index.read() as db:
            table = _table_of(db, row.id)
        with self._lock:
            self._tables[kept] = table
            while len(self._tables) > KEPT_TABLES:
                self._tables.popitem(last=False)
        return table


def _table_of(db: Connection, number: int) -> bytes:
    found = db.execute(select(_instances.c.frame_table).where(_instances.c.id == number)).scalar()
    return bytes(found or b"")
