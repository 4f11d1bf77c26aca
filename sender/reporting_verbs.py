"""The verb of what was done in a month: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.verbs import Data, Json


def register(app: typer.Typer) -> None:
    """Add the verb to the sender's room."""
    app.command()(report)


def report(
    month: Annotated[str, typer.Option(help="YYYY-MM", metavar="YYYY-MM")],
    csv: Annotated[
        Path | None, typer.Option(help="表計算用に書き出す / write for a spreadsheet")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """月の利用実績 (患者情報なし) / what was sent in a month, without patient data."""
    from common import usage_table
    from sender import reporting
    from sender.sending_verbs import data_of

    with console.verb(as_json=as_json):
        usage_table.deliver(reporting.month(data_of(data), month), csv, as_json=as_json)
