"""The verb of both ends that hands over the records of provision to third parties (AUD-08)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.verbs import Data, Json, operator

if TYPE_CHECKING:
    from common.provision import Records

First = Annotated[str, typer.Option("--from", help="この日から YYYY-MM-DD / from this day")]
Last = Annotated[str, typer.Option("--to", help="この日まで YYYY-MM-DD / up to this day")]
Csv = Annotated[Path | None, typer.Option(help="表計算用に書き出す / write for a spreadsheet")]
Person = Annotated[str | None, typer.Option("--operator", help="作業者 / who does this")]


def register(
    room: typer.Typer,
    folder: Callable[[Path | None], Path],
    records: Callable[[Path, str, str], Records],
    help_: str,
) -> None:
    """Add ``provision-records`` to a room.

    Parameters
    ----------
    folder : callable
        Gives the data folder of ``--data``.
    records : callable
        Given the folder and the first and last day: the records of that end.
    help_ : str
        What the verb does there.
    """

    @room.command("provision-records", help=help_)
    def provision_records(
        first: First = "",
        last: Last = "",
        csv: Csv = None,
        who: Person = None,
        data: Data = None,
        as_json: Json = False,
    ) -> None:
        with console.verb(as_json=as_json):
            at = folder(data)
            _deliver(at, records(at, first, last), csv, operator(who), as_json=as_json)


def _deliver(at: Path, found: Records, csv: Path | None, who: str, *, as_json: bool) -> None:
    """Note that patient data leave, then hand them over."""
    from common import durable
    from common.audit.minding import noted

    to = "csv" if csv else "json" if as_json else "console"
    span: dict[str, Any] = {"first": found.first or None, "last": found.last or None}
    noted(at, "provision-exported", by=who, to=to, records=len(found.rows), **span)
    if csv is not None:
        durable.save(csv.absolute(), found.csv(console.language()), private=True)
        console.say(f"書き出しました: {csv}", f"Written: {csv}")
    if as_json:
        console.emit(found.as_json())
    elif csv is None:
        _print(found)


def _print(found: Records) -> None:
    from common.provision import NOTES

    of = 1 if console.language() == "en" else 0
    for one in found.rows:
        row = one.row(found.end, of, found.zone)
        heads = found.heads(of)
        for head, value in zip(heads, row.values(), strict=True):
            console.tell(f"{head}: {value}")
        console.tell("")
    console.say(
        f"{len(found.rows)} 件 (ほかに試験 {found.tests} 件)",
        f"{len(found.rows)} records ({found.tests} tests have none)",
    )
    for ja, en in NOTES:
        console.say(ja, en)
