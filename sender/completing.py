"""What has not been opened gets the request that it lacked: nobody else knows of it yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import request
from common.errors import RequestOfAnother, UsageError
from common.states import TransferState
from sender import declaring, ingest, slide_request
from sender.declaring import House
from sender.patient import contradict

if TYPE_CHECKING:
    from sender.outbox import Outbox, Transfer
    from sender.routing import Rule

OF_ANOTHER = RequestOfAnother.number


def complete(
    outbox: Outbox,
    transfer: str,
    words: Mapping[str, Any],
    rules: Sequence[Rule] = (),
    house: House = declaring.NOBODY,
) -> None:
    """Make a held slide's transfer anew with what is now known of it.

    Parameters
    ----------
    transfer : str
        Its id.
    words : mapping
        By the keys of :data:`sender.requests.values.COLUMNS`; over what was known before.
    house : House
        As for :func:`sender.ingest.scan`.

    Raises
    ------
    UsageError
        It is no slide, not held, or opened before: the other end knows its headers.
    InputError, SourceChanged
        The slide cannot be read with these words.
    """
    row = outbox.transfer(transfer)
    if row.kind != "slide" or not outbox.may_change(row.id):
        raise UsageError(cause=f"{row.id}: {row.kind}, {row.state}")
    job = outbox.job(row.job)
    watched = job.options.get("watched") or {"root": "", "case": None, "words": {}}
    known = {**watched.get("words", {}), **words}
    if "name" in words:  # a name that was typed is not put together with an older one's kana
        known = {k: v for k, v in known.items() if k in words or k not in {"kana", "roman"}}
    options = slide_request.options(
        outbox, Path(watched["root"]), watched["case"], known, job.options
    )
    path = Path(outbox.instances(row.id)[0].path)

    def sent(digest: str, patient: str) -> str | None:
        return outbox.sent_already(digest, patient, but=row.id)

    values, instances = ingest.take_slide(path, replace(job, options=options), rules, sent, house)
    if "watched" in job.options:  # a job of that one slide
        outbox.options(job.id, options)
    outbox.completed(row.id, values, instances)


def ask(outbox: Outbox, row: Transfer, words: Mapping[str, Any]) -> None:
    """Give DICOM images, or an announcement, their request, over what was known before.

    Images that were held for a request of another patient go on with the right one.

    Parameters
    ----------
    words : mapping
        By the keys of :data:`sender.requests.values.COLUMNS`.

    Raises
    ------
    UsageError
        It is on its way, or its opening has been signed; or the words say what the images
        say themselves.
    RequestOfAnother
        The words are of another patient.
    """
    said = {"00100020": words.get("patient_id"), "00100030": words.get("birth_date")}
    if contradict(said, row.attributes):
        raise RequestOfAnother
    told = {key: words[key] for key in slide_request.TOLD if words.get(key)}
    values = {key: words[key] for key in ("priority", "purpose") if words.get(key)}
    if not told and not values:
        raise UsageError(cause=f"{row.id}: --reason, --clinical, ...")
    known = row.request | told
    request.check(known)
    if row.state is TransferState.HELD and (row.error or {}).get("number") == OF_ANOTHER:
        values |= {"state": TransferState.QUEUED, "error": None, "finished": None}
    if row.state is TransferState.ANNOUNCED:
        values |= {"started": None}  # the receiver is told anew
    outbox.ask(row.id, known, **values)
