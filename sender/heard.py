"""What the outbox knows from its receivers alone: that a reader opened a study, or was done.

It stands apart from what this end knows itself: a study that somebody looked at is not
thereby received (Q&A Q8 「受領」), and a month's report counts each by its own source.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from common.errors import UsageError
from common.news import READINGS, Reading
from common.states import TransferState, move
from sender.watched import Watched

_KEEP = """
INSERT INTO heard(transfer, opened, done) VALUES(?, ?, ?)
ON CONFLICT(transfer) DO UPDATE SET
  opened=COALESCE(opened, excluded.opened), done=COALESCE(done, excluded.done)
"""


class Heard(Watched):
    """The part of the outbox that keeps what receivers say of their readers."""

    def heard_until(self, partner: str) -> str:
        """Return up to where a partner has been heard, empty at first."""
        rows = self._rows("SELECT until FROM heard_until WHERE partner=?", partner)
        return str(rows[0][0]) if rows else ""

    def hear(self, partner: str, states: Iterable[Reading], until: str) -> None:
        """Keep what a partner says of its readers; of transfers that are not its own nothing.

        Parameters
        ----------
        until : str
            From where to ask next.
        """
        ours = "SELECT state FROM transfers WHERE id=? AND partner=?"
        with self._write() as db:
            for one in states:
                row = db.execute(ours, (one.transfer, partner)).fetchone()
                if row is None:
                    continue
                done = one.at if one.state is TransferState.DONE else None
                db.execute(_KEEP, (one.transfer, one.at, done))
                if TransferState(row[0]) not in (TransferState.RECEIPTED, *READINGS):
                    continue  # looked at before it was receipted, or held for an inquiry
                with contextlib.suppress(UsageError):  # opened again after it was done
                    new = move(TransferState(row[0]), one.state)
                    db.execute("UPDATE transfers SET state=? WHERE id=?", (new, one.transfer))
            if until:
                db.execute("INSERT OR REPLACE INTO heard_until VALUES(?, ?)", (partner, until))

    def sizes(self, transfers: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return by transfer how many instances it has, and their bytes together."""
        sums = "SELECT COUNT(*), COALESCE(SUM(length), 0) FROM instances WHERE transfer=?"
        return {one: tuple(self._rows(sums, one)[0]) for one in transfers}

    def readings(self) -> dict[str, dict[str, Any]]:
        """Return by transfer when it was opened and done, as its receiver said."""
        rows = self._rows("SELECT transfer, opened, done FROM heard")
        return {row["transfer"]: {"opened": row["opened"], "done": row["done"]} for row in rows}
