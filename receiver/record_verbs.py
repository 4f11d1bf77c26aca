"""The verbs of evidence records at the receiver: record, records list, records check."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.errors import NotFound, UsageError
from common.settings import data_folder
from common.verbs import Data, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receiver.index import Index

app = typer.Typer(no_args_is_help=True, help="証跡記録 / evidence records")


def register(room: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    room.command()(record)
    room.add_typer(app, name="records")


@contextlib.contextmanager
def _opened(data: Path | None) -> Iterator[tuple[Path, Index]]:
    from common.proof.role import Role, read
    from receiver.index import Index

    folder = data_folder("receiver", data).absolute()
    read(folder, Role.SUPPORTER)
    with contextlib.closing(Index.at(folder)) as index:
        yield folder, index


def record(
    transfer: Annotated[str, typer.Argument(help="番号の初め / beginning of its id")],
    file: Annotated[Path | None, typer.Argument(help="書き出すファイル / file to write")] = None,
    pdf: Annotated[Path | None, typer.Option(help="A4一枚に印刷する / as one A4 page")] = None,
    view: Annotated[str, typer.Option(help="inside 院内用 | outside 提出用")] = "inside",
    instance: Annotated[
        str | None, typer.Option(help="この1枚だけを示す証明を添える / with the proof of this UID")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """1件の証跡記録をファイルに書く / write the record of a transfer as a file."""
    from sqlalchemy import select

    from common.proof import record_file
    from receiver import evidence_files, index, record_page

    with console.verb(as_json=as_json), _opened(data) as (folder, known):
        if view not in record_file.VIEWS or not transfer.isalnum():
            raise UsageError(cause=f"{transfer}, --view {view}")
        if file is None and pdf is None:
            raise UsageError(cause="FILE, --pdf")
        table = index.evidence
        with known.read() as db:
            query = select(table).where(table.c.transfer.startswith(transfer))
            rows = db.execute(query.order_by(table.c.number)).all()
        if len({row.transfer for row in rows}) != 1:
            raise NotFound(thing=f"記録 / record {transfer}")
        kept = evidence_files.kept(known, folder, rows[-1])
        if instance is not None and instance not in {one["uid"] for one in kept.leaves or ()}:
            raise NotFound(thing=instance)
        made = record_file.build(kept, view, [instance] if instance else [])
        if file is not None:
            record_file.save(file, made)
        if pdf is not None:
            record_page.save(known, rows[-1].transfer, made, pdf)
        if as_json:
            console.emit({"transfer": rows[-1].transfer, "number": rows[-1].number})


@app.command("list")
def list_records(data: Data = None, as_json: Json = False) -> None:
    """記録の一覧 / every record, by institution and number."""
    from sqlalchemy import select

    from receiver import index

    with console.verb(as_json=as_json), _opened(data) as (_, known):
        table = index.evidence
        with known.read() as db:
            query = select(table).order_by(table.c.institution, table.c.number)
            rows = [_described(row) for row in db.execute(query).all()]
        if as_json:
            console.emit({"records": rows})
            return
        for row in rows:
            signed = "副署済" if row["countersigned"] else "副署せず"
            console.tell(
                f"{row['institution']} {row['number']:>6} {row['day']} {row['state']:<10}"
                f" {row['transfer'][:8]} {signed}"
            )


def _described(row: Any) -> dict[str, Any]:
    same = ("institution", "number", "transfer", "state", "day", "name")
    return {
        **{name: getattr(row, name) for name in same},
        "countersigned": row.countersignature is not None,
        "refused": json.loads(row.refused) if row.refused else None,
    }


@app.command()
def check(data: Data = None, as_json: Json = False) -> None:
    """記録の欠け・書き換えを調べる / look for missing and edited records."""
    from common.proof.found import tell
    from receiver import evidence_files

    with console.verb(as_json=as_json), _opened(data) as (folder, known):
        found, count = list[Any](), 0
        for ledger in evidence_files.ledgers(known, folder):
            found += ledger.check()
            count += len(ledger.entries)
        tell(found, count, as_json=as_json)
