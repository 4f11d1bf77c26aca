"""Whether the index has changed, for who waits for news without asking for rows."""

from __future__ import annotations

import threading
from typing import Any

from receiver.index import Index


class Changes:
    """Whether other connections have written, asked of the database at next to no cost.

    SQLite counts the commits of *other* connections in ``PRAGMA data_version``; of
    another engine every question is answered with yes.
    """

    def __init__(self, database: Index) -> None:
        self._sqlite = database.engine.dialect.name == "sqlite"
        self._connection: Any = database.engine.raw_connection()  # it counts per connection
        self._connection.detach()
        self._cursor = self._connection.cursor()  # kept: it is asked with every tile
        self._one = threading.Lock()  # a cursor is not asked by two threads at once
        self._version: int | None = None

    def version(self) -> int | None:
        """Return a number that another commit changes; None where the engine counts none.

        Whoever keeps what it read asks *before* it reads: what is kept under a number
        is what was true when the number was.
        """
        if not self._sqlite:
            return None
        with self._one:
            return int(self._cursor.execute("PRAGMA data_version").fetchone()[0])

    def seen(self) -> bool:
        """Return whether something was written since this was asked last."""
        version = self.version()
        changed, self._version = version is None or version != self._version, version
        return changed

    def close(self) -> None:
        """Close the connection."""
        self._cursor.close()
        self._connection.close()
