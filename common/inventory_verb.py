"""``todoke inventory``: what is installed on this machine, for the ledger (OPS-05)."""

from __future__ import annotations

import typer

from common import console
from common.verbs import Json

app = typer.Typer(add_completion=False)


@app.command()
def inventory(as_json: Json = False) -> None:
    """導入されたソフトウェアと部品の一覧 / what is installed, on which side and for what."""
    from common import inventory as room

    with console.verb(as_json=as_json):
        found = room.installed()
        if as_json:
            console.emit(found)
            return
        from rich.console import Console
        from rich.table import Table

        of = 1 if console.language() == "en" else 0
        console.tell(f"todoke {found['todoke']}  {found['machine']['system']}")
        heads = ("部品", "側", "用途", "送受信・表示", "Q&A", "版"), (
            "part", "side", "for", "send/receive/show", "Q&A", "version")  # fmt: skip
        table = Table(*heads[of])
        versions = {one["name"]: one["installed"] or "-" for one in found["libraries"]}
        for part in [*room.parts(), *room.libraries()]:
            own = versions.get(part.name, found["todoke"])
            table.add_row(
                part.name, room.SIDES[part.side][of], room.serving(part, of),
                room.necessity(part, of), room.in_the_qa(part, of), own,
            )  # fmt: skip
        Console().print(table)
        none = ("含まないもの", "not in it")[of]
        for gap in found["absent"]:
            console.tell(f"{none}: {gap[('ja', 'en')[of]]} ({', '.join(gap['qa'])})")
