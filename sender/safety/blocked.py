"""Patients who do not want their images sent (AUT-09): known by keyed HMACs alone.

The list names nobody.  Who has the file without its key learns nothing of it, and
who has both must know an ID to ask for it.  Neither ID nor HMAC goes into a log.

The guidance lets a patient object (同意しがたい旨の申出), so an entry errs on the side
of not sending: width, letter case and padding of an ID make no difference, an entry
without an issuer holds for every issuer, and one with an issuer also for images that
name none.
"""

from __future__ import annotations

import hmac
import json
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import durable
from common.dicom import patient
from common.errors import NotFound, PatientBlocked, SettingsError, UsageError

VERSION = 1
_FILE, _KEY = "blocked.json", "blocked.key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One objection.

    Attributes
    ----------
    id : str
        HMAC-SHA-256 of the Patient ID, in hex.
    issuer : str
        HMAC of ID and issuer; "" for whoever issued it.
    by, reason : str
        Who entered it, and why, as typed: without the patient's name.
    """

    id: str
    issuer: str
    by: str
    reason: str
    added: str

    @property
    def number(self) -> str:
        """What it is called on the command line."""
        return (self.issuer or self.id)[:8]


class Blocked:
    """The list in a data directory; read anew where its file has changed."""

    def __init__(self, data: Path) -> None:
        self._file, self._key_file = data / _FILE, data / _KEY
        self._stamp: tuple[int, int, int] | None = None
        self._entries: list[Entry] = []
        self._key = b""

    def entries(self) -> list[Entry]:
        """Return the entries, the oldest first.

        Raises
        ------
        SettingsError
            The list or its key cannot be read: nothing may be sent past it.
        """
        try:
            known = self._file.stat()
        except FileNotFoundError:
            self._stamp, self._entries = None, []
            return []
        except OSError as failure:
            raise self._unreadable(failure) from failure
        stamp = known.st_size, known.st_mtime_ns, known.st_ino
        if stamp != self._stamp:
            self._entries, self._key = self._read(), self._read_key()
            self._stamp = stamp
        return list(self._entries)

    def _read(self) -> list[Entry]:
        try:
            words = json.loads(self._file.read_bytes())
            if words["version"] != VERSION:
                raise ValueError(f"version {words['version']}")
            return [Entry(**one) for one in words["entries"]]
        except (OSError, ValueError, TypeError, KeyError) as failure:
            raise self._unreadable(failure) from failure

    def _read_key(self) -> bytes:
        try:
            key = self._key_file.read_bytes()
        except OSError as failure:
            raise self._unreadable(failure) from failure
        if len(key) != _KEY_BYTES:
            raise self._unreadable(ValueError("length of the key"))
        return key

    def _unreadable(self, failure: Exception) -> SettingsError:
        return SettingsError(path=self._file, key="blocked", cause=type(failure).__name__)

    def add(self, patient_id: str, issuer: str, *, by: str, reason: str) -> Entry:
        """Enter a patient; the same again changes nothing.

        Raises
        ------
        UsageError
            No ID, or no person.
        """
        if not patient.plain(patient_id) or not by.strip():
            raise UsageError(cause="PATIENT_ID, --by")
        entries = self.entries()
        if not entries and not self._key_file.exists():
            durable.save(self._key_file, secrets.token_bytes(_KEY_BYTES), private=True)
        self._key = self._read_key()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        words = by.strip(), reason.strip(), at
        entry = Entry(self._of_id(patient_id), self._of_issuer(patient_id, issuer), *words)
        for known in entries:
            if (known.id, known.issuer) == (entry.id, entry.issuer):
                return known
        self._save([*entries, entry])
        return entry

    def remove(self, patient_id: str, issuer: str) -> Entry:
        """Take a patient off the list, with the same issuer as entered.

        Raises
        ------
        NotFound
        """
        entries = self.entries()
        named = self._of_id(patient_id), self._of_issuer(patient_id, issuer)
        found = [one for one in entries if entries and (one.id, one.issuer) == named]
        return self._without(entries, found)

    def remove_number(self, number: str) -> Entry:
        """Take an entry off the list by what ``block list`` calls it.

        Raises
        ------
        NotFound
        """
        entries = self.entries()
        found = [one for one in entries if len(number) >= 8 and one.number == number[:8]]
        return self._without(entries, found)

    def _without(self, entries: list[Entry], found: list[Entry]) -> Entry:
        if len(found) != 1:
            raise NotFound(thing="block")
        self._save([one for one in entries if one != found[0]])
        return found[0]

    def _save(self, entries: Iterable[Entry]) -> None:
        words = {"version": VERSION, "entries": [asdict(one) for one in entries]}
        durable.save(self._file, json.dumps(words, ensure_ascii=False, indent=1).encode())

    def blocks(self, patient_id: Any, issuer: Any) -> bool:
        """Whether nothing of a patient may be sent.

        Raises
        ------
        SettingsError
        """
        entries = self.entries()
        if not entries or not patient.plain(patient_id):
            return False
        of_id, issued = self._of_id(patient_id), self._of_issuer(patient_id, issuer)
        return any(
            hmac.compare_digest(one.id, of_id)
            and (not one.issuer or not issued or hmac.compare_digest(one.issuer, issued))
            for one in entries
        )

    def check(self, model: dict[str, Any]) -> None:
        """Refuse what is of a blocked patient.

        Parameters
        ----------
        model : dict
            DICOM JSON of the patient level, as a transfer has it.

        Raises
        ------
        PatientBlocked
        SettingsError
        """
        number, issuer, _ = patient.of_model(model)
        if self.blocks(number, issuer):
            raise PatientBlocked

    def _of_id(self, patient_id: Any) -> str:
        return self._mac("id", _folded(patient_id))

    def _of_issuer(self, patient_id: Any, issuer: Any) -> str:
        issued = _folded(issuer)
        return self._mac("issuer", _folded(patient_id), issued) if issued else ""

    def _mac(self, *words: str) -> str:
        # as JSON: no two lists of words give the same bytes
        return hmac.digest(self._key, json.dumps(words).encode(), "sha256").hex()


def _folded(value: Any) -> str:
    return unicodedata.normalize("NFKC", patient.plain(value)).casefold()
