"""The verbs of a running receiver: run, status."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from common import console, logs
from common.settings import data_folder

Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    app.command()(run)
    app.command()(status)


def run(data: Data = None, as_json: AsJson = False) -> None:
    """受信を始める / open the doors and serve until Ctrl-C."""
    from receiver import run as running

    with console.verb(as_json=as_json):
        logs.begin()

        def ready(words: dict[str, Any]) -> None:
            if as_json:
                console.emit(words)
            else:
                console.say(f"受信できます。ビューア: {words['viewer']}",
                            f"Ready. Viewer: {words['viewer']}")  # fmt: skip

        running.run(data_folder("receiver", data).absolute(), ready)


def status(data: Data = None, as_json: AsJson = False) -> None:
    """届いたものの様子 / what has arrived, and how far it is."""
    from sqlalchemy import func, select

    from common.proof.identity import Node
    from common.proof.role import Role
    from common.states import WORDS, TransferState
    from receiver import index, upkeep
    from receiver.index import Index

    with console.verb(as_json=as_json):
        folder = data_folder("receiver", data)
        node = Node.load(folder, Role.SUPPORTER)
        with contextlib.closing(Index.at(folder)) as known:
            standing = upkeep.standing(node, known)
        with contextlib.closing(Index.at(folder)) as known, known.read() as db:
            held = (
                select(index.instances.c.transfer, func.count().label("arrived"))
                .where(index.instances.c.state != "expected")
                .group_by(index.instances.c.transfer)
                .subquery()
            )
            rows = db.execute(
                select(index.transfers, held.c.arrived)
                .outerjoin(held, held.c.transfer == index.transfers.c.id)
                .order_by(index.transfers.c.opened_at)
            ).all()
        lang = console.language()
        listed = [
            {
                "id": row.id,
                "institution": row.institution,
                "kind": row.kind,
                "state": row.state,
                "arrived": row.arrived or 0,
                "expected": row.expected,
                "repeats": row.repeats,
                "test": row.test,
                "opened_at": row.opened_at,
            }
            for row in rows
        ]
        if as_json:
            console.emit({"transfers": listed} | standing)
            return
        for ja, en in standing["warnings"]:
            console.say(ja, en)
        for one in listed:
            words = WORDS[TransferState(one["state"])]
            word = words.en if lang == "en" else words.ja
            console.tell(f"{word}  {one['arrived']}/{one['expected'] or '?'}  {one['id'][:8]}")
