"""What the outbox knows of watched folders: files taken, cases, and slides that wait."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from common.dicom import uids
from common.states import TransferState
from sender.file_names import printable
from sender.outbox_file import OutboxFile, insert_job


@dataclass(frozen=True, slots=True)
class Case:
    """The study of a case.

    Attributes
    ----------
    created : str
        When its first slide was taken, DT with offset.
    number : int
        Of this slide in it, 1-based.
    patients : int
        Patients that were named for this case.
    """

    study: str
    created: str
    number: int
    patients: int


@dataclass(frozen=True, slots=True)
class HeldSlide:
    """A slide of a watched folder that is held.

    Attributes
    ----------
    fault : str
        Number of the error.
    newer : str
        Id of a later transfer of the same path, or "".
    """

    id: str
    job: int
    path: str
    size: int
    mtime_ns: int
    fault: str
    newer: str


class Watched(OutboxFile):
    """The part of the outbox that serves watched folders."""

    def submit_watched(
        self,
        files: Mapping[Path, tuple[int, int]],
        options: dict[str, Any],
        partner: str = "",
        paths: Iterable[Path] | None = None,
    ) -> int | None:
        """Owe files of a watched folder, and know them from now on.

        Parameters
        ----------
        files : mapping
            Size and mtime in nanoseconds of each file.
        partner : str
            Empty: to whom the rules say.
        paths : iterable of Path, optional
            What of them is read; the rest belongs to it.

        Returns
        -------
        int or None
            The job's number; None where another process has taken these very files.
        """
        rows = [(printable(str(path)), *known) for path, known in files.items()]
        with self._write() as db:
            same = "SELECT 1 FROM watched WHERE path=? AND size=? AND mtime_ns=?"
            if all(db.execute(same, row).fetchone() for row in rows):
                return None
            job = insert_job(db, partner, paths if paths is not None else files, options)
            db.executemany("INSERT OR REPLACE INTO watched VALUES(?,?,?)", rows)
            return job

    def watched(self) -> dict[str, tuple[int, int]]:
        """Return size and mtime of every file that a watched folder gave."""
        return {r[0]: (r[1], r[2]) for r in self._rows("SELECT * FROM watched")}

    def forget(self, paths: Iterable[str]) -> None:
        """Forget files, so that they are taken again once they lie still."""
        with self._write() as db:
            db.executemany("DELETE FROM watched WHERE path=?", [(path,) for path in paths])

    def refused_slides(self) -> list[str]:
        """Return the paths that watched folders gave and of which nothing is sent."""
        rows = self._rows(
            "SELECT DISTINCT r.path FROM refused r JOIN watched w ON w.path=r.path"
            " JOIN jobs j ON j.id=r.job WHERE json_extract(j.options, '$.watched') IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.path=r.path)"
        )
        return [row[0] for row in rows]

    # -- cases ----------------------------------------------------------------

    def case(self, root: str, name: str, patient: str) -> Case:
        """Return the study of a case and patient, made with its first slide."""
        key = root, name, patient
        made = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")
        with self._write() as db:
            db.execute(
                "INSERT OR IGNORE INTO cases(root, name, patient, study, created)"
                " VALUES(?,?,?,?,?)",
                (*key, uids.new_uid(), made),
            )
            row = db.execute(
                "UPDATE cases SET slides=slides+1 WHERE root=? AND name=? AND patient=?"
                " RETURNING *",
                key,
            ).fetchone()
            patients = "SELECT COUNT(*) FROM cases WHERE root=? AND name=?"
            (count,) = db.execute(patients, key[:2]).fetchone()
            return Case(row["study"], row["created"], row["slides"], count)

    # -- slides that are held -------------------------------------------------

    def held_slides(self) -> list[HeldSlide]:
        """Return the held slides that watched folders gave."""
        rows = self._rows(
            "SELECT t.id, t.job, i.path, i.size, i.mtime_ns,"
            " COALESCE(json_extract(t.error, '$.number'), ''),"
            " COALESCE((SELECT n.id FROM jobs k JOIN transfers n ON n.job=k.id"
            "  WHERE k.id>t.job AND k.paths=j.paths ORDER BY n.rowid DESC LIMIT 1), '')"
            " FROM transfers t JOIN instances i ON i.transfer=t.id JOIN jobs j ON j.id=t.job"
            " WHERE t.state='held' AND t.kind='slide'"
            " AND json_extract(j.options, '$.watched') IS NOT NULL GROUP BY t.id"
        )
        return [HeldSlide(*row) for row in rows]

    def unfinished(self, root: str) -> list[str]:
        """Return the transfers of slides of a watched folder that are held or still owed."""
        rows = self._rows(
            "SELECT t.id FROM transfers t JOIN jobs j ON j.id=t.job"
            " WHERE json_extract(j.options, '$.watched.root')=?"
            " AND t.state IN ('held', 'queued', 'sending', 'delivered')",
            root,
        )
        return [row[0] for row in rows]

    def sent_already(self, digest: str, patient: str, but: str = "") -> str | None:
        """Return the transfer that carries the same vendor files for the same patient.

        Parameters
        ----------
        digest : str
            SHA-256 of the vendor's file set.
        but : str
            Id of a transfer that does not count.
        """
        rows = self._rows(
            "SELECT id FROM transfers WHERE source_sha256=?"
            " AND state NOT IN ('held', 'failed', 'recalled')"
            " AND id<>? AND json_extract(slide, '$.patient_id')=? ORDER BY rowid LIMIT 1",
            digest, but, patient,
        )  # fmt: skip
        return rows[0][0] if rows else None

    def options(self, job: int, options: dict[str, Any]) -> None:
        """Keep other options of a job, which a person or a later file completed."""
        with self._write() as db:
            text = json.dumps(options, ensure_ascii=False)
            db.execute("UPDATE jobs SET options=? WHERE id=?", (text, job))

    def may_change(self, transfer: str) -> bool:
        """Tell whether a transfer has not been opened and rests: it may still be completed."""
        held = self._rows(
            "SELECT 1 FROM transfers t WHERE t.id=? AND t.state=? AND NOT EXISTS"
            " (SELECT 1 FROM statements s WHERE s.transfer=t.id)",
            transfer, TransferState.HELD,
        )  # fmt: skip
        return bool(held)

    def may_be_asked(self, transfer: str) -> bool:
        """Tell whether a transfer's request may still be changed: nothing of it is signed."""
        waits = self._rows(
            "SELECT 1 FROM transfers t WHERE t.id=? AND t.state IN ('held', 'queued', 'announced')"
            " AND NOT EXISTS (SELECT 1 FROM statements s WHERE s.transfer=t.id)",
            transfer,
        )
        return bool(waits)
