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
    from samples.foreseen import foreseen
    from samples.make import make_samples

    with verb(as_json=as_json):
        made = make_samples(
            folder, only=tuple(only.split(",")) if only else None, seed=seed, quick=quick
        )
        for one in made:
            say(f"{folder / one.path}: {one.files} 件", f"{folder / one.path}: {one.files} files")
            if one.about and one.expected:
                ja, en = foreseen(one.expected)
                say(f"    {one.about['ja']} → {ja}", f"    {one.about['en']} -> {en}")
        if as_json:
            emit({"version": 1, "test": True, "seed": seed, "made": [asdict(one) for one in made]})


@app.command()
def slide(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="書き出し先 / where to write")],
    size: Annotated[str, typer.Option(metavar="WxH", help="画素数 / pixels")] = "12288x9216",
    colour: Annotated[str, typer.Option(help="rgb | ycbcr")] = "ycbcr",
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="JPEG, 1-100")] = None,
    seed: Annotated[int, typer.Option(min=0, help="乱数の種 / seed")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を stdout へ")] = False,
) -> None:
    """大きさを選んでスライドを1枚作る / make one slide of a chosen size."""
    from samples.make import make_slide

    with verb(as_json=as_json):
        made = make_slide(folder, size=size, colour=colour, quality=quality, seed=seed)
        say(f"{folder / made.path}", f"{folder / made.path}")
        if as_json:
            words = asdict(made) | {"path": str(folder / made.path)}
            emit({"version": 1, "test": True, "seed": seed, **words})


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


@app.command()
def selftest(
    acceptance: Annotated[
        bool, typer.Option("--acceptance", help="検収記録を書く / write the acceptance record")
    ] = False,
    operator_name: Annotated[
        str | None, typer.Option("--operator", help="確認する者 / who accepts")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="導入した送信側。なければ試験用に設ける / an installed sender"),
    ] = None,
    to: Annotated[str | None, typer.Option(help="相手 (1つなら省ける) / partner")] = None,
    out: Annotated[Path, typer.Option(help="書き出し先 / where to write")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="JSON を stdout へ")] = False,
) -> None:
    """送信から受領までを試す / send samples to the end, and see what holds."""
    from common.console import language, tell
    from common.verbs import operator
    from samples import acceptance as room

    with verb(as_json=as_json):
        say("合成サンプルで送受信を確かめています…", "Checking a transfer with synthetic samples…")
        made = room.run(operator(operator_name), data, to)
        written = room.write(made, out) if acceptance else []
        if as_json:
            emit({**made.as_json(), "written": [str(path) for path in written]})
        else:
            for point in made.as_json()["points"]:
                tell(f"{'○' if point['holds'] else '×'} {point[language()]}  {point['detail']}")
        for path in written:
            say(f"書き出しました: {path}", f"Written: {path}")
        if made.failed:
            raise SystemExit(1)
