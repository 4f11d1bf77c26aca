"""A held slide gets the request that it lacked, before any of it is known at the other end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import UsageError
from sender import ingest, slide_request

if TYPE_CHECKING:
    from sender.outbox import Outbox
    from sender.routing import Rule


def complete(
    outbox: Outbox, transfer: str, words: Mapping[str, Any], rules: Sequence[Rule] = ()
) -> None:
    """Make a held slide's transfer anew with what is now known of it.

    Parameters
    ----------
    transfer : str
        Its id.
    words : mapping
        By the keys of :data:`sender.requests.values.COLUMNS`; over what was known before.

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

    values, instances = ingest.take_slide(path, replace(job, options=options), rules, sent)
    if "watched" in job.options:  # a job of that one slide
        outbox.options(job.id, options)
    outbox.completed(row.id, values, instances)
