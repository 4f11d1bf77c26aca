"""The verb of a scanner's folder: watch."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console

if TYPE_CHECKING:
    from sender.watching import Standing

Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]
_WAITING = {
    "growing": ("書込み待ち", "being written"),
    "unreadable": ("まだ開けない", "cannot be opened yet"),
    "request": ("依頼情報待ち", "request being written"),
}


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    app.command()(watch)


def watch(
    folder: Annotated[Path, typer.Argument(help="スキャナーの出力フォルダー / scanner's folder")],
    to: Annotated[str | None, typer.Option(help="相手 (省けば規則か唯一の相手) / partner")] = None,
    settle: Annotated[
        float | None, typer.Option(help="書込みが止まってからの秒数 / seconds without a change")
    ] = None,
    priority: Annotated[str, typer.Option(help="urgent | soon | routine")] = "",
    purpose: Annotated[str, typer.Option(help="diagnosis | advice")] = "",
    spacing: Annotated[
        float | None, typer.Option(help="画素間隔 µm (ファイルに無いとき) / pixel size")
    ] = None,
    attest: Annotated[
        str | None, typer.Option(help="画素間隔を確かめた人 / who attests the pixel size")
    ] = None,
    label: Annotated[
        bool | None, typer.Option(help="ラベル画像を送る / send the label (may show a name)")
    ] = None,
    macro: Annotated[
        bool | None, typer.Option(help="全体写真を送る / send the macro (may show a name)")
    ] = None,
    case_from: Annotated[
        str | None, typer.Option(help="症例のまとめ方 sidecar | folder | name:REGEX / one case")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="今ある分で終わる / end when done")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """スキャナーの出力フォルダーを見張って送る / watch a scanner's folder and send its slides."""
    from common import logs
    from common.errors import UsageError
    from common.link import PRIORITIES, PURPOSES
    from common.settings import Sender
    from sender import watching
    from sender.doors.way import Way
    from sender.leaving import REPORTING, by_signals
    from sender.sending_verbs import data_of

    with console.verb(as_json=as_json):
        where = data_of(data)
        if priority not in ("", *PRIORITIES) or purpose not in ("", *PURPOSES):
            raise UsageError(cause=f"{priority} {purpose}")
        settings = Sender.load(where)
        seconds = settings.settle_seconds if settle is None else settle
        if not 0 < seconds < 86_400:
            raise UsageError(cause=f"--settle {settle}")
        partner, rule = _partner(where, to)
        way = Way(
            folder.absolute(),
            partner=partner,
            priority=priority or rule,
            purpose=purpose or ("diagnosis" if rule else ""),
            settle=seconds,
            spacing=attested(spacing, attest),
            send_label=settings.send_label if label is None else label,
            send_macro=settings.send_macro if macro is None else macro,
            case_from=case_from or settings.watch_case_from,
            recoding=settings.recoding(),
            hurried=once,
        )
        logs.quiet_pydicom()
        run = watching.Watch(where, way, once=once)
        by_signals(run.stop.set, REPORTING)
        with _shown(as_json) as tell:
            words = run.run(tell)
        _report(words, as_json)
        if once and (code := watching.exit_code(words)):
            raise SystemExit(code)


def _partner(data: Path, to: str | None) -> tuple[str, str]:
    """Return the partner's key and the priority that is usual: both empty where rules decide."""
    from sender import routing
    from sender.partners import find_partner

    if to is None and routing.load(data):
        return "", ""
    return find_partner(data, to).key, "routine"


def attested(spacing: float | None, by: str | None) -> tuple[float, str] | None:
    """Return a pixel size that a person gave, and who it was.

    Raises
    ------
    UsageError
        No pixel size that a slide can have.
    """
    import getpass

    from common.errors import UsageError
    from sender.requests import values

    if spacing is None:
        return None
    try:
        um = values.spacing(spacing)
    except values.Wrong as failure:
        raise UsageError(cause=f"--spacing: {failure}") from failure
    if by is None:
        with contextlib.suppress(OSError, KeyError, ImportError):  # an account without a name
            by = getpass.getuser()
    return um, by or "sender"


@contextlib.contextmanager
def _shown(as_json: bool) -> Iterator[Callable[[Standing], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    ja = console.language() == "ja"
    said: dict[str, object] = {}
    if not as_json:
        console.say("見張っています。Ctrl-C で終わります", "Watching; Ctrl-C ends it")
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    )  # fmt: skip
    quiet = as_json or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("見張り中" if ja else "watching", total=None)

        def tell(now: Standing) -> None:
            words = "送信中" if now.total else "見張り中"
            english = "sending" if now.total else "watching"
            waits = f" ({len(now.waiting)})" if now.waiting else ""
            bar.update(
                task, description=(words if ja else english) + waits,
                total=now.total or None, completed=now.held,
            )  # fmt: skip
            if not as_json:
                _say_changes(now, said)

        yield tell


def _say_changes(now: Standing, said: dict[str, object]) -> None:
    """Say what differs from the time before: who watches wants a line for each, once."""
    lang = console.language()
    for path, why in now.waiting.items():
        if said.get(str(path)) != why:
            said[str(path)] = why
            ja, en = _WAITING[why]
            console.say(f"{path.name}: {ja}", f"{path.name}: {en}")
    for one in now.transfers:
        if said.get(one.id) != (one.state, one.error):
            said[one.id] = (one.state, one.error)
            from common.states import WORDS

            words = WORDS[one.state]
            error = one.error[lang] if one.error else ""
            console.say(
                f"{one.id[:8]}: {words.ja}  {error}".rstrip(),
                f"{one.id[:8]}: {words.en}  {error}".rstrip(),
            )


def _report(words: dict[str, Any], as_json: bool) -> None:
    if as_json:
        console.emit(words)
        return
    lang = console.language()
    for one in words["transfers"]:
        error = one["error"][lang] if one["error"] else ""
        line = f"{one[f'state_{lang}']}  {one['held']}/{one['of']}  {one['id'][:8]}"
        console.tell(f"{line}  {error}".rstrip())
    for row in words["refused"]:
        console.say(f"送らない: {row['path']}: {row['ja']}", f"{row['path']}: {row['en']}")
    for path, why in words["waiting"].items():
        ja, en = _WAITING[why]
        console.say(f"まだ: {path}: {ja}", f"not yet: {path}: {en}")
