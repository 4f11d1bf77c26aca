"""The receiver's index: which partner sent what, and how far it has got.

Tables in SQLAlchemy Core, so that the same statements run on SQLite (default) and PostgreSQL.
On SQLite every connection is in WAL with synchronous FULL, and SQLite's answers are checked.
A study is known by *institution and* UID: two institutions never share a row.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy import Index as RowIndex
from sqlalchemy.exc import DBAPIError

from common import database, durable
from common.errors import DatabaseUnsafe
from common.web import account_tables
from receiver import (
    evidence_tables,
    forward_tables,
    marks_tables,
    monitor_tables,
    purge_tables,
    reading_tables,
    request_tables,
    slide_tables,
    writing,
)

SCHEMA_VERSION = 3
CONNECTIONS = 48  # kept open; one for each thread that answers requests
metadata = MetaData()

schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

#: Ends that may send: todoke senders (kind ``todoke``) and other products (kind ``dicom``).
partners = Table(
    "partners",
    metadata,
    Column("code", String(16), primary_key=True),  # institution code, the issuer of patient IDs
    Column("name", Text, nullable=False),
    Column("kind", String(8), nullable=False),  # todoke | dicom
    Column("aet", String(16), nullable=False),
    Column("fingerprint", String(64)),  # SHA-256 of the leaf, kind dicom only
    Column("ca", Text),  # PEM of the CA of a kind dicom partner
    Column("signing_certificate", Text),  # PEM, pinned at pairing
    Column("added_at", String(32), nullable=False),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("secret_digest", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("code", String(16), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("used_at", String(32)),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("institution", String(16), ForeignKey("partners.code"), nullable=False),
    Column("kind", String(8), nullable=False),  # dicom | slide
    Column("state", String(16), nullable=False),
    Column("priority", String(8), nullable=False),  # urgent | soon | routine
    Column("purpose", String(12), nullable=False),  # diagnosis | advice
    Column("test", Boolean, nullable=False),
    Column("expected", Integer),
    Column("request", Text, nullable=False),  # JSON, request information
    Column("opened_at", String(32), nullable=False),
    Column("closed_at", String(32)),
    Column("receipted_at", String(32)),
    Column("repeats", Integer, nullable=False, default=0),  # same instance again, counted
)

#: What both ends signed of a transfer, see :mod:`receiver.statements`.
statements = Table(
    "statements",
    metadata,
    Column("transfer", String(32), ForeignKey("transfers.id"), primary_key=True),
    Column("kind", String(8), primary_key=True),  # opening | closing | receipt
    Column("part", Integer, primary_key=True),  # 0-based
    Column("text", Text, nullable=False),  # JWS as received
)

studies = Table(
    "studies",
    metadata,
    Column("key", String(32), primary_key=True),  # random; what addresses in the viewer carry
    Column("institution", String(16), ForeignKey("partners.code"), nullable=False),
    Column("study_uid", String(64), nullable=False),
    Column("transfer", String(32)),  # the newest
    Column("attributes", Text, nullable=False),  # DICOM JSON model of patient and study level
    Column("reading", String(8)),  # opened | reading | done
    Column("done_at", String(32)),  # when a reader had done with it
    Column("held", Text),  # JSON: by, reason, at; not purged while it is
    Column("changed_at", String(32), nullable=False),
    UniqueConstraint("institution", "study_uid"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),  # random; the file name
    Column("institution", String(16), nullable=False),
    Column("transfer", String(32), index=True),
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("sop_uid", String(64), nullable=False),
    Column("sop_class", String(64), nullable=False),
    Column("transfer_syntax", String(64)),
    Column("state", String(8), nullable=False),  # expected | received | stored | verified
    Column("number", Integer),  # Instance Number, where it is one
    Column("path", Text),  # relative to the store
    Column("prefix_length", Integer),  # bytes of preamble and group 0002 before the data set
    Column("length", Integer),  # of the data set
    Column("pixel_offset", Integer),  # of the Pixel Data value in the data set; None without
    Column("frames", Integer),
    Column("frame_table", LargeBinary),  # uint64 LE pairs (offset in the data set, length)
    Column("prefix", LargeBinary),  # bytes in front of each frame of a slide level as sent
    Column("d1", String(64)),
    Column("d2", String(64)),
    Column("d3", String(64)),
    Column("attributes", LargeBinary),  # zlib of the DICOM JSON model without bulk data
    Column("stored_at", String(32)),
    UniqueConstraint("institution", "sop_uid"),
    # a list counts every instance: from this index alone, past the blobs of the rows
    RowIndex("instances_counted", "institution", "study_uid", "series_uid", "state", "frames"),
)

#: Instances whose attributes are still to be made: few, and found without a look at the others.
_undescribed = RowIndex(
    "instances_undescribed",
    instances.c.state,
    instances.c.id,
    sqlite_where=instances.c.attributes.is_(None),
    postgresql_where=instances.c.attributes.is_(None),
)

#: Frames of a slide that are on the disk; the resume bitmap is made from these rows.
frames = Table(
    "frames",
    metadata,
    Column("instance", Integer, ForeignKey("instances.id"), primary_key=True),
    Column("frame", Integer, primary_key=True),  # 0-based
    Column("digest", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

#: Storage Commitment that was asked for and not reported yet (PS3.4 annex J).
commitments = Table(
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("institution", String(16), ForeignKey("partners.code"), nullable=False),
    Column("transaction_uid", String(64), nullable=False),
    Column("requested", LargeBinary, nullable=False),  # zlib of JSON: [SOP class, instance] pairs
    Column("asked_at", String(32), nullable=False),
    UniqueConstraint("institution", "transaction_uid"),
)

#: Where a product takes reports of Storage Commitment that we dial back with.
commit_addresses = Table(
    "commit_addresses",
    metadata,
    Column("institution", String(16), ForeignKey("partners.code"), primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
)

#: TLS certificates that stand for partners, so that they can be revoked one by one.
certificates = Table(
    "certificates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),  # SHA-256 of the leaf
    Column("institution", String(16), nullable=False),
    Column("serial", String(40)),  # hexadecimal; only of our own CA, whose list names it
    Column("expires_at", String(32), nullable=False),
    Column("revoked_at", String(32)),
    Column("reason", Text),
    RowIndex("certificates_of", "institution"),
)

#: Revocation lists of other CAs, as files that somebody keeps up to date.
revocation_lists = Table(
    "revocation_lists",
    metadata,
    Column("institution", String(16), ForeignKey("partners.code"), primary_key=True),
    Column("path", Text, nullable=False),
)

#: What other processes of this receiver are told; read on a change of PRAGMA data_version.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),  # study | frames
    Column("study", String(32), nullable=False),
    Column("data", Text, nullable=False),  # JSON
    sqlite_autoincrement=True,
)

_TELL = insert(events)

#: Frames that readers wait for, see :mod:`receiver.waiting`.
wanted = Table(
    "wants",  # "wanted" of older indexes did not know who waits
    metadata,
    Column("reader", String(64), primary_key=True),
    Column("instance", Integer, ForeignKey("instances.id"), primary_key=True),
    Column("frame", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
)

#: Instances that are damaged and asked for again, until what came is read back.
repairs = Table(
    "repairs",
    metadata,
    Column("instance", Integer, ForeignKey("instances.id"), primary_key=True),
    Column("found_at", String(32), nullable=False),
    Column("cause", String(16), nullable=False),  # changed | vanished | frames
    Column("tries", Integer, nullable=False),  # how often what came was damaged too
    Column("refused", Text),  # JSON: words of why it will not come again
)

#: Instances that a reader was refused for what lies on the disk: read back first of all.
suspects = Table("suspects", metadata, Column("instance", Integer, primary_key=True))

evidence, anchors = evidence_tables.define(metadata)
requests = request_tables.define(metadata)
reader_marks, prior_links = marks_tables.define(metadata)
standings, reading_steps = reading_tables.states(metadata)
messages, calls, alarms, tidings = reading_tables.words(metadata)
recalls, recalled_forwards = reading_tables.recalls(metadata)
slide_marks, rescans, label_checks = slide_tables.define(metadata)
purges = purge_tables.define(metadata)
monitor_checks = monitor_tables.define(metadata)
forward_targets, forward_rules = forward_tables.agreed(metadata)
forwards, forward_items, forward_receipts, forward_commits = forward_tables.forwards(metadata)

#: How far work has come that goes on after a restart, by its name.
marks = Table(
    "marks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)


def now() -> str:
    """Return the time as the index writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Index:
    """A receiver's index.

    Parameters
    ----------
    url : str
        SQLAlchemy address, e.g. ``sqlite:////data/index.sqlite``.

    Raises
    ------
    DatabaseUnsafe
        SQLite does not take the journal mode that keeps its promises, or the
        index is of a newer version.
    """

    def __init__(self, url: str) -> None:
        # without a limit above: the event loop asks here too, and must not wait for threads;
        # values stay out of errors, and so out of logs
        self.engine: Engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=-1,
            pool_use_lifo=True,  # each that is used fills a cache of its own
        )
        # SQLite lets one write at a time, and who has to wait for it sleeps and looks again:
        # threads of one process wait for one another here, and are woken
        self._turn: Any = contextlib.nullcontext()
        if self.engine.dialect.name == "sqlite":
            self._turn = writing.Turn()
            event.listen(self.engine, "connect", _checked)
            event.listen(self.engine, "begin", _begin_immediate)
        with _passing():
            metadata.create_all(self.engine)
            _undescribed.create(self.engine, checkfirst=True)  # an older index has none
        with self.write() as db:
            account_tables.migrate(db)
            version = db.execute(select(schema.c.version)).scalar()
            if version is None:
                db.execute(insert(schema).values(version=SCHEMA_VERSION))
            elif not 1 <= version <= SCHEMA_VERSION:
                raise DatabaseUnsafe(cause=f"schema {version}, program {SCHEMA_VERSION}")
            elif version < SCHEMA_VERSION:
                for step in _STEPS[version - 1 :]:
                    step(db)
                db.execute(update(schema).values(version=SCHEMA_VERSION))

    @classmethod
    def at(cls, data: Path) -> Index:
        """Open the index of a data directory."""
        durable.make_folder(data)
        return cls(f"sqlite:///{data / 'index.sqlite'}")

    @contextmanager
    def write(self, *, hint: bool = False) -> Iterator[Connection]:
        """One short transaction that holds the write lock from its first statement.

        Parameters
        ----------
        hint : bool
            What is written promises nothing to anybody, so it waits for no disk: a loss
            of power may undo it. Commits after it are as safe as ever.

        Raises
        ------
        StorageError, DiskFull
            Another process held the lock for too long, or there is no room: nothing
            was written, and trying again can help.
        SyncFailed, DatabaseDamaged
            Nothing that is said of this index is true any more.
        """
        with (
            _passing(),
            self.engine.connect().execution_options(todoke_write=True) as db,
            self._turn,
            writing.lightly(db) if hint else contextlib.nullcontext(),
            db.begin(),
        ):
            yield db

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view."""
        with _passing(), self.engine.connect() as db, db.begin():
            yield db

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _move_statements(db: Connection) -> None:
    """Bring what was signed out of the transfers' rows, where it was at first."""
    db.exec_driver_sql(
        "INSERT INTO statements"
        " SELECT id, 'opening', 0, opening FROM transfers WHERE opening IS NOT NULL"
        " UNION ALL SELECT id, 'closing', 0, closing FROM transfers WHERE closing IS NOT NULL"
        " UNION ALL SELECT id, 'receipt', 0, receipt FROM transfers WHERE receipt IS NOT NULL"
    )
    db.exec_driver_sql("UPDATE transfers SET opening=NULL, closing=NULL, receipt=NULL")


def _know_what_is_done(db: Connection) -> None:
    """Let studies say when they were done and whether they are held."""
    known = {column["name"] for column in inspect(db).get_columns(studies.name)}
    for name, kind in (("done_at", "VARCHAR(32)"), ("held", "TEXT")):
        if name not in known:
            db.exec_driver_sql(f"ALTER TABLE studies ADD COLUMN {name} {kind}")


#: What brings an index of version 1, 2, ... to the next; new tables are there already.
_STEPS = (_move_statements, _know_what_is_done)


def mark(db: Connection, name: str, value: str) -> None:
    """Keep how far some work has come."""
    db.execute(delete(marks).where(marks.c.name == name))
    db.execute(insert(marks).values(name=name, value=value))


def marked(db: Connection, name: str) -> str | None:
    """Return how far some work had come."""
    return db.execute(select(marks.c.value).where(marks.c.name == name)).scalar()


def announce(db: Connection, kind: str, study: str, **data: Any) -> None:
    """Tell the other processes, with the transaction that made it true."""
    db.execute(_TELL, {"kind": kind, "study": study, "data": json.dumps(data)})


def check(data: Path) -> None:
    """Have SQLite judge the index of a data directory, read from the disk and not from memory.

    Raises
    ------
    DatabaseDamaged
    """
    path = data / "index.sqlite"
    durable.forget(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        database.check(connection, path)


@contextmanager
def _passing() -> Iterator[None]:
    """Tell what passes from what no process outlives, see :func:`common.database.failure_of`."""
    try:
        yield
    except DBAPIError as failure:
        error = database.failure_of(failure.orig, "index") if failure.orig else None
        if error is None:
            raise
        raise error from failure


def _checked(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    with database.named("index"):
        durable.safe_sqlite(connection)


def _begin_immediate(db: Connection) -> None:
    writes = db.get_execution_options().get("todoke_write")
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
