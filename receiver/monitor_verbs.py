"""``todoke receiver monitor``: records of monitor checks, by the functions that the page calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from common import console
from common.settings import data_folder
from common.verbs import Data, Json, operator

app = typer.Typer(
    no_args_is_help=True, help="モニターの点検の記録。輝度は測らない / records of monitor checks"
)


@app.command(name="list")
def list_(data: Data = None, as_json: Json = False) -> None:
    """点検の記録 / every check."""
    with console.verb(as_json=as_json), _room(data) as monitors:
        found = monitors.every()
        if as_json:
            console.emit({"checks": found})
            return
        lang = console.language()
        for one in found:
            kind = ("不変性試験", "constancy") if one["grade"] else ("日常点検", "daily check")
            told = ("合格", "passed") if one["passed"] else ("不合格", "failed")
            at = 1 if lang == "en" else 0
            console.tell(
                f"{one['at'][:16]}  {one['serial']}  {kind[at]}  {told[at]}"
                f"  -> {one['due_on']}  {one['display']}"
            )


@app.command()
def record(
    serial: Annotated[str, typer.Argument(help="モニターの製造番号 / serial of the monitor")],
    grade: Annotated[str, typer.Option(help="管理グレード 1A | 1B | 2 / management grade")],
    lmax: Annotated[float, typer.Option(help="最大輝度 cd/m² (輝度計の値) / by the meter")],
    lmin: Annotated[float, typer.Option(help="最小輝度 cd/m² (輝度計の値) / by the meter")],
    deviation: Annotated[
        float | None, typer.Option(help="コントラスト応答の偏差 % / of the contrast response")
    ] = None,
    months: Annotated[int, typer.Option(help="次の不変性試験までの月数 / until the next")] = 6,
    by: Annotated[str | None, typer.Option("--by", help="測った人 / who measured")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """輝度計で測った値を記録する / keep what a luminance meter showed."""
    from receiver.standings import Person

    with console.verb(as_json=as_json), _room(data) as monitors:
        said = {"serial": serial, "grade": grade, "lmax": lmax, "lmin": lmin, "months": months}
        found = monitors.keep(Person(operator(by)), said | {"deviation": deviation})
        if as_json:
            console.emit(found)
            return
        missed = ", ".join(found["constancy"]["misses"])
        if missed:
            console.say(f"グレード{grade}に届きません: {missed}", f"Below grade {grade}: {missed}")
        else:
            console.say(f"グレード{grade}を満たします", f"Meets grade {grade}")


@contextlib.contextmanager
def _room(data: Path | None) -> Iterator[Any]:
    from common import audit, durable
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.index import Index
    from receiver.monitors import Monitors

    folder = data_folder("receiver", data).absolute()
    Node.load(folder, Role.SUPPORTER)
    with (
        durable.lock(folder / "lock.verb.monitor"),
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(audit.Trail(folder / "audit", "monitor")) as trail,
    ):
        yield Monitors(index, trail.note)
