"""Tables of people: accounts, what they prove themselves with, their sessions."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)

MAX_NAME = 64

metadata = MetaData()
users = Table(
    "users",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),  # as typed at sign-in, case folded
    Column("display", Text, nullable=False),
    Column("password", Text, nullable=False),  # Argon2id, PHC string
    Column("disabled", Boolean, nullable=False),
    Column("made_at", Float, nullable=False),  # seconds since 1970
    # reader | administrator | auditor; accounts of before there were roles are readers
    Column("role", String(16), nullable=False, server_default="reader"),
    # a password too short to stand alone: this account signs in with two factors or not at all
    Column("short", Boolean, nullable=False, server_default="0"),
    Column("seal", String(8)),  # sealed | open: an account for emergencies (AUT-05)
    Column("open_until", Float),  # seconds since 1970, of one that was opened
    # JSON list of the institution codes that the account is limited to; null: no limit
    Column("institutions", Text),
)
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the session's number
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False),
    Column("made_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
    Column("id", String(16)),  # what a list of sessions names it by
    Column("stage", String(8), nullable=False, server_default="full"),  # second | enrol | full
    Column("locked_at", Float),
    Column("address", Text, nullable=False, server_default=""),
    Column("pending", Text),  # what an enrolment or a passkey's answer is checked against, once
    Column("failures", Integer, nullable=False, server_default="0"),
)
factors = Table(
    "factors",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False, index=True),
    Column("kind", String(8), nullable=False),  # totp | passkey
    Column("label", Text, nullable=False),
    Column("secret", Text, nullable=False),  # base32 (RFC 6238), or the COSE public key, base64url
    Column("credential", Text, unique=True),  # of a passkey: its identifier, base64url
    Column("rp_id", Text),  # of a passkey: the host name that it belongs to
    Column("counter", Integer, nullable=False),  # the last time step taken, or signature counter
    Column("made_at", Float, nullable=False),
    Column("used_at", Float),
)
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of 80 random bits
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False, index=True),
    Column("used_at", Float),
)
old_passwords = Table(
    "old_passwords",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False, index=True),
    Column("password", Text, nullable=False),  # Argon2id, PHC string
)
#: Who a sign-in service knows, and which account that is (OpenID Connect Core 2: iss and sub).
vouchers = Table(
    "vouchers",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False, index=True),
    Column("made_at", Float, nullable=False),
    Column("used_at", Float),
)


def migrate(db: Connection) -> None:
    """Give tables of an older version the columns that they lack; new tables are not made."""
    there = inspect(db)
    for table in (users, sessions):
        if not there.has_table(table.name):
            continue
        known = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(db.dialect)
                value = column.server_default
                default = f" NOT NULL DEFAULT '{value.arg}'" if value is not None else ""  # type: ignore[attr-defined]
                db.exec_driver_sql(
                    f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}{default}"
                )
