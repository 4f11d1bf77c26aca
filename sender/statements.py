"""What was signed of a transfer, as the outbox keeps it: megabytes each, so piece by piece.

In the transfer's own row every change of its state would write them all again.
"""

from __future__ import annotations

import sqlite3

#: `facts`: JSON of how the connections were, for the record; not signed by itself.
#: `stopped`: at which stop its receiver was told (:mod:`sender.stopped`).
KINDS = ("opening", "closing", "receipt", "facts", "stopped")
TABLE = """
CREATE TABLE statements(
  transfer TEXT NOT NULL REFERENCES transfers, kind TEXT NOT NULL, part INTEGER NOT NULL,
  text TEXT NOT NULL, PRIMARY KEY(transfer, kind, part));
"""
#: What moves them out of the transfers' rows, where they were at first.
MOVE = """
INSERT INTO statements
  SELECT id, 'opening', 0, opening FROM transfers WHERE opening IS NOT NULL
  UNION ALL SELECT id, 'closing', 0, closing FROM transfers WHERE closing IS NOT NULL
  UNION ALL SELECT id, 'receipt', 0, receipt FROM transfers WHERE receipt IS NOT NULL;
UPDATE transfers SET opening=NULL, closing=NULL, receipt=NULL;
"""
_PART = 1 << 18  # characters


def write(db: sqlite3.Connection, transfer: str, kind: str, text: str | None) -> None:
    """Keep a statement instead of the one before; None keeps none."""
    db.execute("DELETE FROM statements WHERE transfer=? AND kind=?", (transfer, kind))
    for part, start in enumerate(range(0, len(text or ""), _PART)):
        values = transfer, kind, part, (text or "")[start : start + _PART]
        db.execute("INSERT INTO statements VALUES(?,?,?,?)", values)


def read(db: sqlite3.Connection, transfer: str, kind: str) -> str | None:
    """Return a statement as it was signed, or None."""
    parts = "SELECT text FROM statements WHERE transfer=? AND kind=? ORDER BY part"
    whole = ""  # grows where it stands; a join would need the room twice
    for (text,) in db.execute(parts, (transfer, kind)):
        whole += text
    return whole or None
