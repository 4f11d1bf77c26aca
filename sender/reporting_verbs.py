"""The verbs of what was done: report of a month, records of provision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import console, provision_verb
from common.verbs import Data, Json

if TYPE_CHECKING:
    from common.provision import Records


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    app.command()(report)
    help_ = "第三者提供の記録 (個情法29条) / records of provision to third parties"
    provision_verb.register(app, _folder, _provisions, help_)


def _folder(data: Path | None) -> Path:
    from sender.sending_verbs import data_of

    return data_of(data)


def _provisions(data: Path, first: str, last: str) -> Records:
    from sender import provisions

    return provisions.records(data, first, last)


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
