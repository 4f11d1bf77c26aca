"""The verb of readers' marks at the receiver: marks list."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import typer

from common import console
from common.settings import data_folder
from common.verbs import Data, Json

app = typer.Typer(no_args_is_help=True, help="読影医の印 / readers' marks")


def register(room: typer.Typer) -> None:
    """Add the verb to the receiver's room."""
    room.add_typer(app, name="marks")


@app.callback()
def _marks() -> None:
    """読影医が画像に付けた印 / what readers have marked on images."""


@app.command("list")
def list_marks(data: Data = None, as_json: Json = False) -> None:
    """誰がどの検査に幾つ付けたか / how many, by reader and study."""
    from receiver import marks
    from receiver.index import Index

    with console.verb(as_json=as_json):
        folder = data_folder("receiver", data).absolute()
        with contextlib.closing(Index.at(folder)) as known:
            found = [asdict(one) for one in marks.kept(known)]
        if as_json:
            console.emit({"marks": found})
            return
        for one in found:
            console.tell(
                f"{one['at']}  {one['reader']}  {one['study']}  "
                f"印 / marks {one['marks']}  ★ {one['keys']}"
            )
        if not found:
            console.say("印はありません", "No marks")
