"""The verbs of what was done: report of a month, records of provision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import console, provision_verb
from common.settings import data_folder
from common.verbs import Data, Json

if TYPE_CHECKING:
    from common.provision import Records


def register(app: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    app.command()(report)
    help_ = "第三者から受けた提供の記録 (個情法30条) / records of what third parties provided"
    provision_verb.register(app, _folder, _provisions, help_)


def _folder(data: Path | None) -> Path:
    return data_folder("receiver", data).absolute()


def _provisions(data: Path, first: str, last: str) -> Records:
    from receiver import provisions

    return provisions.records(data, first, last)


def report(
    month: Annotated[str, typer.Option(help="YYYY-MM", metavar="YYYY-MM")],
    csv: Annotated[
        Path | None, typer.Option(help="表計算用に書き出す / write for a spreadsheet")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """月の利用実績 (患者情報なし) / what came in in a month, without patient data."""
    from common import usage_table
    from receiver import reporting

    with console.verb(as_json=as_json):
        folder = data_folder("receiver", data).absolute()
        usage_table.deliver(reporting.month(folder, month), csv, as_json=as_json)
