"""What the outbox keeps of records: their chain by partner, and the anchors of its days."""

from __future__ import annotations

#: `owed`: the partner is to countersign, which one without the link cannot.
#: `ended` is when the transfer ended so: one that is tried again ends, and is recorded, again.
TABLE = """
CREATE TABLE records(
  partner TEXT NOT NULL, number INTEGER NOT NULL, transfer TEXT NOT NULL REFERENCES transfers,
  ended TEXT NOT NULL, name TEXT NOT NULL, day TEXT NOT NULL, state TEXT NOT NULL,
  statement TEXT NOT NULL, certificate TEXT NOT NULL, said TEXT NOT NULL,
  countersignature TEXT, countersigner TEXT, refused TEXT, timestamp TEXT, owed INTEGER NOT NULL,
  PRIMARY KEY(partner, number));
CREATE INDEX records_of ON records(transfer, ended);
CREATE TABLE anchors(
  partner TEXT NOT NULL, day TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  name TEXT NOT NULL, statement TEXT NOT NULL, certificate TEXT NOT NULL,
  countersignature TEXT, countersigner TEXT, refused TEXT, owed INTEGER NOT NULL,
  PRIMARY KEY(partner, day));
CREATE TABLE recorded_since(at TEXT NOT NULL);
INSERT INTO recorded_since VALUES(strftime('%Y-%m-%dT%H:%M:%f','now'))
"""
