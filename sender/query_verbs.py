"""The verbs ``queries list|answer|ask``: what the reading room asks, and what is answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console, tidings

if TYPE_CHECKING:
    from sender.outbox import Outbox

app = typer.Typer(no_args_is_help=True, help="照会 / what the reading room asks and is told")
Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]
By = Annotated[str | None, typer.Option("--by", help="だれが / who says it")]
Words = Annotated[str, typer.Argument(help="文 / words")]


@app.command(name="list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="答えたものと送ったものも / answered ones too")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """答えを待つ照会 / queries that wait for an answer."""
    with console.verb(as_json=as_json), _outbox(data) as outbox:
        found = outbox.letters() if everything else outbox.unanswered()
        if as_json:
            console.emit({"queries": [asdict(one) for one in found]})
            return
        lang = 0 if console.language() == "ja" else 1
        for one in found:
            kind = tidings.KINDS[one.kind][lang]
            console.tell(f"{one.id[:8]}  {one.at[:16]}  {kind}  {one.by}  {one.partner}")
            console.tell(f"  {one.text}")
        if not found:
            console.say("照会はありません", "No queries")


@app.command()
def answer(
    query: Annotated[str, typer.Argument(help="照会の番号の初め / beginning of its id")],
    text: Words,
    by: By = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """照会に答える / answer a query."""
    from common.verbs import operator

    with console.verb(as_json=as_json), _outbox(data) as outbox:
        asked = outbox.letter(query)
        made = outbox.write_letter(asked.partner, asked.study, text, operator(by), asked.id)
        _sent(outbox, made, as_json)


@app.command()
def ask(
    transfer: Annotated[str, typer.Argument(help="送信の番号の初め / beginning of its id")],
    text: Words,
    by: By = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """読影室に照会する / ask the reading room something about a study."""
    from common.verbs import operator

    with console.verb(as_json=as_json), _outbox(data) as outbox:
        row = outbox.transfer(transfer)
        made = outbox.write_letter(row.partner, row.study, text, operator(by))
        _sent(outbox, made, as_json)


def _sent(outbox: Outbox, made: str, as_json: bool) -> None:
    """Send at once where no daemon does; say whether it has gone."""
    from sender import hearing, sending_verbs

    folder = outbox.path.parent
    if not sending_verbs.runs(folder):
        for failure in hearing.exchange(folder, outbox):
            console.say(failure.words("ja"), failure.words("en"))
    one = next(letter for letter in outbox.letters() if letter.id == made)
    if as_json:
        console.emit(asdict(one))
    elif one.refused:
        console.say(f"相手が受け取りません {one.refused}", f"The receiver refuses it {one.refused}")
    elif one.sent:
        console.say("届けました", "Delivered")
    else:
        console.say("送信箱に入れました", "In the outbox")


@contextlib.contextmanager
def _outbox(data: Path | None) -> Iterator[Any]:
    from sender import hearing, sending_verbs
    from sender.outbox import Outbox

    folder = sending_verbs.data_of(data)
    with contextlib.closing(Outbox(folder)) as outbox:
        if not sending_verbs.runs(folder):
            for failure in hearing.exchange(folder, outbox):
                console.say(failure.words("ja"), failure.words("en"))
        yield outbox
