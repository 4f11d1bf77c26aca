"""What is kept of records towards each partner, to be looked through for what is missing."""

from __future__ import annotations

from pathlib import Path

from common.proof.ledger import Day, Entry, Ledger
from common.proof.record_file import Folder
from sender.outbox import Outbox
from sender.record_sending import FOLDER
from sender.recorded import today


def partners(folder: Path, outbox: Outbox) -> list[str]:
    """Return the partners of whom records are kept, in the outbox or as files."""
    on_disk = {path.name for path in (folder / FOLDER).glob("*") if path.is_dir()}
    return sorted({one.partner for one in outbox.records()} | on_disk)


def ledger(folder: Path, outbox: Outbox, key: str) -> Ledger:
    """Return what is kept of records to a partner, to be checked."""
    entries = [
        Entry(one.number, one.name, one.transfer, one.state, one.day, one.statement,
              one.certificate, one.countersignature, one.countersigner, one.refused is not None,
              bool(one.owed) and one.countersignature is None and one.refused is None)
        for one in outbox.records(key)
    ]  # fmt: skip
    days = [
        Day(one.day, one.first, one.last, one.statement, one.certificate,
            one.countersignature, one.countersigner)
        for one in outbox.anchors(key)
    ]  # fmt: skip
    return Ledger(key, entries, days, Folder(folder / FOLDER / key), today())
