"""Verbs by which a person decides what becomes of a transfer: again, all the same, not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from common import console
from common.errors import UsageError
from sender.sending_verbs import AsJson, Data, data_of

if TYPE_CHECKING:
    from sender.outbox import Transfer

#: What ``release --as`` takes, in both languages.
WAYS = {"参考": "reference", "reference": "reference", "直接": "direct", "direct": "direct"}


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    for verb in (retry, release, recall):
        app.command()(verb)


def retry(
    transfer: Annotated[str, typer.Argument(help="番号の初め / beginning of its id")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """保留・失敗をもう一度送信待ちにする / queue a held or failed transfer again."""
    from sender import sending

    with console.verb(as_json=as_json):
        _queued(sending.retry(data_of(data), transfer), as_json)


def release(
    transfer: Annotated[str, typer.Argument(help="番号の初め / beginning of its id")],
    by: Annotated[str, typer.Option(help="責任者の名前 / who decides")],
    reason: Annotated[str, typer.Option(help="理由 / why")],
    to: Annotated[str | None, typer.Option(help="相手 / partner")] = None,
    way: Annotated[
        str | None, typer.Option("--as", help="参考 (reference) | 直接 (direct) / how it goes")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """保留を責任者の名前で送信待ちにする / let a held transfer go, in a person's name."""
    from sender import sending

    with console.verb(as_json=as_json):
        if way is not None and way not in WAYS:
            raise UsageError(cause=f"--as {way}: {', '.join(WAYS)}")
        known = None if way is None else WAYS[way]
        freed = sending.release(data_of(data), transfer, by=by, reason=reason, to=to, way=known)
        _queued(freed, as_json)


def recall(
    transfer: Annotated[str, typer.Argument(help="番号の初め / beginning of its id")],
    by: Annotated[str, typer.Option(help="責任者の名前 / who decides")],
    reason: Annotated[str, typer.Option(help="理由 / why")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """送った、または送る予定のものを取り消す / take a transfer back; the receiver hides it."""
    from sender import sending

    with console.verb(as_json=as_json):
        name = sending.recall(data_of(data), transfer, by=by, reason=reason).id
        if as_json:
            console.emit({"id": name, "state": "recalled"})
        else:
            console.say(f"取消: {name[:8]}", f"Recalled: {name[:8]}")


def _queued(transfer: Transfer, as_json: bool) -> None:
    if as_json:
        console.emit({"id": transfer.id, "state": str(transfer.state)})
    elif transfer.error:
        console.say(transfer.error["ja"], transfer.error["en"])
    else:
        console.say(f"送信待ち: {transfer.id[:8]}", f"Queued: {transfer.id[:8]}")
