"""`todoke conformance`: test a receiver over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.console import emit, language, say, verb

if TYPE_CHECKING:
    from conformance.case import Result
    from conformance.runner import Report
    from conformance.target import Target

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="試験: 受信側を外から試す / tests of a receiver, over the wire",
)

AsJson = Annotated[bool, typer.Option("--json", help="結果を JSON で / print JSON")]


@app.command("list")
def list_cases(as_json: AsJson = False) -> None:
    """試験項目の一覧 / list the cases."""
    from conformance.cases import AREAS
    from conformance.catalogue import as_json as catalogue

    with verb(as_json=as_json):
        if as_json:
            emit(catalogue())
            return
        for area in AREAS:
            say(f"{area.title.ja} ({area.prefix})", f"{area.title.en} ({area.prefix})")
            for case in area:
                say(f"  {case.id}  {case.title.ja}", f"  {case.id}  {case.title.en}")


@app.command()
def receiver(
    address: Annotated[str, typer.Option("--address", help="HOST:PORT")],
    aet: Annotated[str, typer.Option("--aet", help="相手の AE タイトル / called AE title")],
    calling_aet: Annotated[
        str, typer.Option("--calling-aet", help="こちらの AE タイトル / our AE title")
    ],
    cert: Annotated[Path | None, typer.Option(help="こちらの証明書 / our certificate, PEM")] = None,
    key: Annotated[Path | None, typer.Option(help="その鍵 / its key, PEM")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="相手の証明書の認証局 / CA of the receiver, PEM")
    ] = None,
    server_name: Annotated[
        str | None, typer.Option(help="証明書にある名前 / name in its certificate")
    ] = None,
    no_tls: Annotated[
        bool, typer.Option("--no-tls", help="TLSなしの受け口 / a door without TLS")
    ] = False,
    query_dicomweb: Annotated[
        str | None, typer.Option(metavar="URL", help="DICOMweb で読み戻す / read back by DICOMweb")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="DICOMweb への見出し; @FILE で秘密を渡す / header, or @FILE for secrets"),
    ] = None,
    read_back: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="保存先から読み戻す / read back files")
    ] = None,
    aside: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="その中の、拒んだ画像を除けておく所 / where it keeps refused ones",
        ),
    ] = None,
    test_ca_key: Annotated[
        Path | None, typer.Option(help="受信側が信頼する試験用認証局の鍵 / key of a test CA, PEM")
    ] = None,
    test_ca: Annotated[
        Path | None, typer.Option(help="その証明書 (なければ --ca) / its certificate, PEM")
    ] = None,
    tls_profile: Annotated[str | None, typer.Option(help="jp-high13 | dicom-b12 (TLS-002)")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="HTML・JUnit・JSON を書く / write reports")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CASE", help="TLS-001, STO ... (repeatable)")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.5, help="応答を待つ秒 / seconds to wait")] = 5.0,
    yes: Annotated[bool, typer.Option("--yes", help="尋ねずに送る / do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """受信側を試す (合成患者の画像だけを送る) / test a receiver with synthetic patients."""
    from conformance import cases, runner
    from conformance import report as reports
    from conformance.options import Paths, look_inside, new_run, target_of
    from conformance.session import Session

    with verb(as_json=as_json):
        paths = Paths(cert, key, ca, test_ca_key, test_ca)
        target = target_of(
            address, aet, calling_aet, paths, no_tls, server_name, timeout, tls_profile
        )
        chosen = runner.choose(cases.CASES, only or [])
        inside = look_inside(target, paths, query_dicomweb, header or [], read_back, aside)
        _ask(target, yes)
        done = runner.run(Session(target, new_run(), inside), chosen, _tell)
        if report is not None:
            for path in reports.write(done, report):
                say(f"報告: {path}", f"report: {path}")
        _conclude(done)
        if as_json:
            emit(done.as_json())
    raise typer.Exit(done.exit_code)


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="dicom | slide | tiles | viewer | coding | table")
    ] = "",
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="table: --json の出力を Markdown に / its JSON as Markdown。"
            "coding: 画像のフォルダー / a folder of images。"
            "slide, tiles: 自分のSVS (省略時は合成) / an SVS of your own, else one is made",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="1回だけ、小さく / one round")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="書き込む所 (省略時 tmpfs) / where to write, else a tmpfs"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP",
            help="loopback, start ... ; slide: push, zoom, urgent-beside-ct; "
            "viewer: ct, memory, slides, line, job",
        ),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="回数 / rounds")] = None,
    slices: Annotated[int | None, typer.Option(min=1, help="枚数 / slices of a series")] = None,
    as_json: AsJson = False,
) -> None:
    """速さを測る、ほかの製品と交互に / benchmarks, in turn with other products."""
    from common.console import tell
    from common.errors import NotFound

    with verb(as_json=as_json):
        if name == "table" and files:
            from conformance.bench import markdown

            for page in [markdown.page(markdown.load(path)) for path in files]:
                tell(f"{page}\n")
            return
        if name == "coding" and files and len(files) == 1 and files[0].is_dir():
            from conformance.bench import coding

            rows = coding.measure(files[0])
            if as_json:
                emit({"series": rows})
            else:
                tell(coding.page(rows))
            return
        if _is_of_slides(name, files or [], only or []) and not slices:
            given = next(iter(files or []), None)
            words = _bench_of_slides(name, given, folder, quick, rounds, only or [])
        elif name == "viewer" and not files:
            words = _bench_of_viewer(only or [], folder, quick, rounds, slices)
        elif name == "dicom" and not files:
            words = _bench_of_series(only or [], folder, quick, rounds, slices)
        else:
            raise NotFound(thing=" ".join(["bench", name, *map(str, files or [])]).strip())
        from conformance.bench import dicom, table

        if as_json:
            emit(words)
        else:
            table.show(words)
    if dicom.failed(words):
        raise typer.Exit(1)


def _bench_of_series(
    only: list[str], folder: Path | None, quick: bool, rounds: int | None, slices: int | None
) -> dict[str, Any]:
    from conformance.bench import cases, dicom

    groups = [group.name for group in cases.groups(only)]
    plan, *folders = dicom.plan_of(folder, only, quick=quick, rounds=rounds, slices=slices)
    with folders[0], folders[1]:
        return dicom.measure(plan, groups)


def _bench_of_viewer(
    only: list[str], folder: Path | None, quick: bool, rounds: int | None, slices: int | None
) -> dict[str, Any]:
    from conformance.bench import dicom
    from conformance.bench.viewer import measure

    groups = measure.groups_of(only)
    plan, *folders = dicom.plan_of(
        folder, only, quick=quick, rounds=rounds, slices=slices, name="viewer"
    )
    with folders[0], folders[1]:
        return measure.measure(plan, groups)


def _is_of_slides(name: str, files: list[Path], only: list[str]) -> bool:
    return len(files) <= 1 and (name == "slide" or (name == "tiles" and not only))


def _bench_of_slides(
    name: str,
    given: Path | None,
    folder: Path | None,
    quick: bool,
    rounds: int | None,
    only: list[str],
) -> dict[str, Any]:
    from common.errors import NotFound
    from conformance.bench import dicom

    if given is not None and not given.is_file():
        raise NotFound(thing=given)
    plan, *folders = dicom.plan_of(
        folder, only, quick=quick, rounds=rounds, slices=None, name=name, given=given is not None,
        on_disk=name == "tiles",
    )  # fmt: skip
    with folders[0], folders[1]:
        if name == "slide":
            from conformance.bench.slides import push

            return push.measure(plan, given, only)
        from conformance.bench.tiles import serve

        return serve.measure(plan, given)


def _ask(target: Target, yes: bool) -> None:
    """Ask before anything is written to another machine; a script says ``--yes``."""
    import sys

    from common.errors import UsageError

    if target.is_loopback or yes:
        return
    where = f"{target.host}:{target.port} ({target.called_aet})"
    if not sys.stdin.isatty():
        raise UsageError(cause=f"{where}: --yes")
    say(
        f"{where} へ合成患者 (TODOKE-TEST) の画像を送り、残します",
        f"Images of synthetic patients (TODOKE-TEST) will be sent to {where} and stay there",
    )
    question = "Go on?" if language() == "en" else "続けますか?"
    if not typer.confirm(question, err=True):
        raise UsageError(cause=where)


def _tell(result: Result) -> None:
    from conformance.case import VERDICT_WORDS

    case, words, seen = result.case, VERDICT_WORDS[result.verdict], result.observed
    ja, en = (" 要確認", " look here") if result.remark else ("", "")
    say(
        f"{case.id} {words.ja}{ja}: {case.title.ja}: {seen.ja}",
        f"{case.id} {words.en}{en}: {case.title.en}: {seen.en}",
    )


def _conclude(done: Report) -> None:
    from conformance.case import VERDICT_WORDS

    for left in done.left:
        say(
            f"残したもの: {left.label} {left.patient_id} study {left.study_uid} "
            f"instance {left.sop_instance_uid}",
            f"left behind: {left.label} {left.patient_id} study {left.study_uid} "
            f"instance {left.sop_instance_uid}",
        )
    counts = done.counts
    say(
        "、".join(f"{VERDICT_WORDS[verdict].ja} {count}" for verdict, count in counts.items()),
        ", ".join(f"{VERDICT_WORDS[verdict].en} {count}" for verdict, count in counts.items()),
    )
