"""`todoke samples`: synthetic data, marked 試験."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from common.console import emit, say, verb

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="合成サンプル / synthetic samples"
)


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="書き出し先 / where to write")],
    only: Annotated[
        str | None,
        typer.Option(help="ct,mr,slide,forged; slide は全形式も / slide: every format too"),
    ] = None,
    seed: Annotated[int, typer.Option(help="乱数の種 / seed")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="小さな組 / a small set")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を stdout へ")] = False,
) -> None:
    """合成サンプルを作る / make synthetic samples."""
    from samples.make import make_samples

    with verb(as_json=as_json):
        made = make_samples(
            folder, only=tuple(only.split(",")) if only else None, seed=seed, quick=quick
        )
        for one in made:
            say(f"{folder / one.path}: {one.files} 件", f"{folder / one.path}: {one.files} files")
        if as_json:
            emit({"version": 1, "test": True, "seed": seed, "made": [asdict(one) for one in made]})


@app.command()
def demo(
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="送るもの。なければ合成サンプル / what to send"),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="受領で終わる / end after the receipts")
    ] = False,
    spacing: Annotated[
        float | None, typer.Option(help="スライドの画素間隔 µm / pixel size of a slide")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="小さな組 / a small set")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を stdout へ")] = False,
) -> None:
    """このマシンで送信・受信・閲覧を試す / sender, receiver and viewer on this machine."""
    from samples import demo as room

    with verb(as_json=as_json):
        code = room.run(source or [], once=once, as_json=as_json, spacing=spacing, quick=quick)
    if code:
        raise SystemExit(code)
