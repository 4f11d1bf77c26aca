"""The verbs that look after what is stored: scrub, purge, reindex."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from common import console, logs
from common.settings import Receiver, data_folder
from common.verbs import Data, Json, operator


def register(app: typer.Typer) -> None:
    """Add the verbs to the receiver's room."""
    for verb in (scrub, purge, reindex):
        app.command()(verb)


def scrub(
    rate: Annotated[
        int, typer.Option(help="MB/秒、0 は全速 / MB a second, 0: as fast as it can")
    ] = 0,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """保存した画像をすべて読み直して確かめる / read every stored image again and check it."""
    with console.verb(as_json=as_json), _opened(data, "scrub") as (index, store, trail, _):
        from receiver.scrub import Pace, Scrub

        pace = Pace(rate << 20, _pause) if rate else lambda _: None
        work = Scrub(index, store, trail, pace)
        count, _size = work.total()
        with _bar("確認中", "checking") as told:
            found = work.all(lambda so_far: told(so_far.instances, count))
        bad = found.damaged + found.vanished
        console.say(
            f"{found.instances} 枚を確かめ、{bad} 枚が壊れていました"
            + (" (送信側に求め直します)" if bad else ""),
            f"{found.instances} checked, {bad} damaged" + (", asked for again" if bad else ""),
        )
        if as_json:
            console.emit(found.as_json())


def _pause(seconds: float) -> None:
    import time

    time.sleep(seconds)


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="消すものを見るだけ / only show what would go")
    ] = False,
    ahead: Annotated[
        int, typer.Option(min=0, help="何日先まで見るか / with --dry-run: so many days ahead")
    ] = 0,
    hold: Annotated[str | None, typer.Option(help="消さない検査 / study to keep")] = None,
    release: Annotated[str | None, typer.Option(help="保持をやめる検査 / study to let go")] = None,
    reason: Annotated[str | None, typer.Option(help="保持の理由 / why it is kept")] = None,
    operator_name: Annotated[
        str | None, typer.Option("--operator", help="作業者 / who does this")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """完了から日数のたった画像を消す / purge what was done with long enough ago."""
    with console.verb(as_json=as_json), _opened(data, "purge") as (index, store, trail, settings):
        from common.errors import UsageError
        from receiver.purge import Purge

        work = Purge(index, store, trail, settings.purge_days)
        if ahead and not dry_run:
            raise UsageError(cause="--ahead: --dry-run")
        if hold is not None:
            if not (reason or "").strip():
                raise UsageError(cause="--reason")
            work.hold(hold, by=operator(operator_name), reason=str(reason))
        elif release is not None:
            work.release(release, by=operator(operator_name))
        else:
            now = datetime.now(UTC)
            found = work.due(now, ahead) if dry_run else work.run(now, operator(operator_name))
            _listed([one.as_json() for one in found], dry_run=dry_run, as_json=as_json)
            return
        if as_json:
            console.emit({"hold": hold, "release": release})
        else:
            console.say("記録しました", "Kept")


def _listed(found: list[dict[str, Any]], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        console.emit({"dry_run": dry_run, "studies": found})
        return
    for one in found:
        held = "  保持 / held" if one["held"] else ""
        console.tell(f"{one['on']}  {one['study'][:8]}  {one['instances']}{held}")
    verb = ("消す予定", "to be purged") if dry_run else ("消しました", "purged")
    console.say(f"{len(found)} 件を{verb[0]}", f"{len(found)} studies {verb[1]}")


def reindex(data: Data = None, as_json: Json = False) -> None:
    """記録簿をファイルだけから作り直す / make the index again from the files alone."""
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.reindex import Reindex

    with console.verb(as_json=as_json):
        logs.quiet_pydicom()
        folder = data_folder("receiver", data).absolute()
        Node.load(folder, Role.SUPPORTER)
        with _bar("読込中", "reading") as told:
            made = Reindex(folder, told).run()
        console.say(
            f"{made.instances} 枚の記録を作り直しました (照合済 {made.verified}、"
            f"破損 {made.damaged}、別置き {made.aside}、送り直し待ち {made.arriving})。"
            f"元の記録簿: {made.old_index or 'なし'}",
            f"{made.instances} instances indexed ({made.verified} verified, {made.damaged} damaged,"
            f" {made.aside} kept aside, {made.arriving} half-arrived levels to come again)."
            f" Old index: {made.old_index or 'none'}",
        )
        console.say(
            f"読影の状態・印・照会は {made.readings} 件の検査で戻しました。失われる直前の"
            "約10秒の操作は含まれないことがあります。"
            "保管確約の未報告分とサインインは戻りません。保管時刻はファイルの時刻です",
            f"States, marks and queries of {made.readings} studies are restored, perhaps without"
            " the last 10 seconds before the loss. Pending storage commitments and sign-ins are"
            " not; times of storage are those of the files",
        )
        if as_json:
            console.emit(made.as_json())


@contextlib.contextmanager
def _opened(data: Path | None, name: str) -> Iterator[tuple[Any, Any, Any, Receiver]]:
    """Open index, store and an audit trail of the verb's own; the receiver may run beside it."""
    from common import audit, durable
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.index import Index
    from receiver.store import Store

    folder = data_folder("receiver", data).absolute()
    Node.load(folder, Role.SUPPORTER)
    with (
        durable.lock(folder / f"lock.verb.{name}"),
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(audit.Trail(folder / "audit", name)) as trail,
    ):
        yield index, Store(folder / "store"), trail, Receiver.load(folder)


@contextlib.contextmanager
def _bar(ja: str, en: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar to a person at a terminal; gives what is told how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    words = en if console.language() == "en" else ja
    out = Console(stderr=True)
    with Progress(console=out, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(words, total=None)
        yield lambda at, of: bar.update(task, completed=at, total=of)
