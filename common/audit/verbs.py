"""``todoke receiver audit`` and ``todoke sender audit``: read, verify and sign off the trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from common import console
from common.verbs import Data, Json, operator

Person = Annotated[str | None, typer.Option("--operator", help="作業者 / who does this")]
Loaded = Callable[[Path | None], Any]


def rooms(loaded: Loaded, settings: Callable[[Path], Any]) -> tuple[typer.Typer, typer.Typer]:
    """Return the verbs ``audit`` and ``maintenance`` of a room.

    Parameters
    ----------
    loaded : callable
        Gives the node of ``--data``.
    settings : callable
        Gives its settings.
    """
    audit = typer.Typer(no_args_is_help=True, help="監査記録 / the audit trail")
    _reading(audit, loaded)
    _signing(audit, loaded)
    _checking(audit, loaded, settings)
    _keeping(audit, loaded, settings)
    kept = typer.Typer(no_args_is_help=True, help="リモート保守の記録 / remote maintenance")
    _maintenance(kept, loaded)
    return audit, kept


def _reading(app: typer.Typer, loaded: Loaded) -> None:
    @app.command("list")
    def list_(
        since: Annotated[str, typer.Option("--from", help="この日から / from this day")] = "",
        until: Annotated[str, typer.Option("--to", help="この日まで / up to this day")] = "",
        user: Annotated[str, typer.Option(help="利用者 / person")] = "",
        event: Annotated[str, typer.Option(help="出来事 / event")] = "",
        study: Annotated[str, typer.Option(help="検査か患者ID / study or Patient ID")] = "",
        partner: Annotated[str, typer.Option(help="相手のコード / partner's code")] = "",
        who: Person = None,
        data: Data = None,
        as_json: Json = False,
    ) -> None:
        """記録を新しい順に並べる / list the trail; that it was read is noted."""
        from common.audit import reading
        from common.audit.minding import noted

        with console.verb(as_json=as_json):
            folder = loaded(data).data
            wanted = reading.Wanted(since, until, user, event, study, partner)
            found = reading.rows(folder / "audit", wanted)
            asked = {key: value for key, value in wanted.said().items() if key != "study"}
            noted(folder, "audit-read", by=operator(who), lines=len(found), asked=asked)
            if as_json:
                console.emit({"lines": found})
                return
            for row in found:
                person = row.get("user") or row.get("by") or row.get("operator") or "-"
                said = row["en"] if console.language() == "en" else row["ja"]
                console.tell(f"{row['at']}  {person}  {said}  {row.get('outcome', '')}".rstrip())


def _signing(app: typer.Typer, loaded: Loaded) -> None:
    @app.command("sign-off")
    def sign_off(
        since: Annotated[str, typer.Option("--from", help="この日から / from this day")],
        until: Annotated[str, typer.Option("--to", help="この日まで / up to this day")],
        remark: Annotated[str, typer.Option(help="所見 / what was found")] = "",
        who: Person = None,
        data: Data = None,
        as_json: Json = False,
    ) -> None:
        """定期確認を記録する / record a periodic review (AUD-07)."""
        from common.audit import reading
        from common.audit.minding import noted

        with console.verb(as_json=as_json):
            folder = loaded(data).data
            count = len(reading.rows(folder / "audit", reading.Wanted(since, until)))
            words = {"from": since, "to": until, "lines": count, "remark": remark}
            noted(folder, "audit-signed-off", by=operator(who), **words)
            console.say(f"{count} 件の定期確認を記録しました", f"Review of {count} lines recorded")
            if as_json:
                console.emit(words)


def _checking(app: typer.Typer, loaded: Loaded, settings: Callable[[Path], Any]) -> None:
    @app.command()
    def verify(
        heads: Annotated[
            Path | None, typer.Option(help="別に保管した署名 / heads kept elsewhere")
        ] = None,
        data: Data = None,
        as_json: Json = False,
    ) -> None:
        """削除・改変・挿入・切り詰めを探す / look for what was done to the trail."""
        from common.audit import checking
        from common.errors import IntegrityError

        with console.verb(as_json=as_json):
            node = loaded(data)
            kept = heads.read_text("ascii", "replace").split() if heads else []
            report = checking.verify(
                node.data / "audit",
                node.signing_certificate,
                elsewhere=kept,
                years=settings(node.data).audit_years,
            )
            if as_json:
                console.emit(asdict(report))
            for one in report.findings:
                console.say(one.ja, one.en)
            if report.findings:
                raise SystemExit(IntegrityError.exit_code)
            console.say(
                f"{report.lines} 行、署名 {report.heads} 件。異常はありません"
                f" (最後の署名より後 {report.unsigned} 行)",
                f"{report.lines} lines, {report.heads} signed heads, nothing amiss"
                f" ({report.unsigned} lines after the last head)",
            )


def _keeping(app: typer.Typer, loaded: Loaded, settings: Callable[[Path], Any]) -> None:
    @app.command("heads")
    def heads_(data: Data = None) -> None:
        """いまの署名を出す。別の場所に保管する / print the newest heads, to be kept elsewhere."""
        from common.audit import files, heads
        from common.audit.minding import seal

        with console.verb():
            node = loaded(data)
            seal(node, settings(node.data))
            for process in files.processes(node.data / "audit"):
                for head in heads.read(node.data / "audit", process)[-1:]:
                    console.tell(head)

    @app.command()
    def export(who: Person = None, data: Data = None) -> None:
        """DICOMの監査メッセージとして出す / print AuditMessages (PS3.15 A.5), one a line."""
        from common.audit import files, message
        from common.audit.minding import noted

        with console.verb():
            node = loaded(data)
            trails = node.data / "audit"
            source = message.Source(node.institution.code, settings(node.data).room)
            noted(node.data, "audit-exported", by=operator(who))
            for process in files.processes(trails):
                for line in files.lines(trails, process):
                    if line.words is not None:
                        text = message.build(line.words, process, source).decode()
                        console.tell(text.replace("\n", "&#10;"))


def _maintenance(app: typer.Typer, loaded: Loaded) -> None:
    @app.command()
    def begin(
        plan: Annotated[str, typer.Option(help="作業計画の番号 / number of the work plan")],
        vendor: Annotated[str, typer.Option(help="作業する会社 / who works")] = "",
        who: Person = None,
        data: Data = None,
    ) -> None:
        """リモート保守の開始を記録する / record that remote maintenance begins (AUD-11)."""
        _maintained(loaded(data).data, operator(who), begun=True, plan=plan, vendor=vendor)

    @app.command()
    def end(
        result: Annotated[str, typer.Option(help="結果 / result")] = "",
        who: Person = None,
        data: Data = None,
    ) -> None:
        """リモート保守の終わりを記録する / record that it has ended."""
        _maintained(loaded(data).data, operator(who), begun=False, result=result)


def _maintained(folder: Path, who: str, *, begun: bool, **facts: str) -> None:
    from datetime import UTC, datetime

    from common.audit import reading
    from common.audit.minding import noted
    from common.errors import MaintenanceOpen

    with console.verb():
        open_now = reading.maintenance(folder / "audit")
        if begun == (open_now is not None):
            raise MaintenanceOpen(cause=open_now["plan"] if open_now else "end")
        if open_now is not None:
            took = datetime.now(UTC) - datetime.fromisoformat(open_now["at"])
            facts = {"plan": open_now["plan"], **facts, "seconds": f"{took.total_seconds():.0f}"}
        noted(folder, "maintenance-begun" if begun else "maintenance-ended", operator=who, **facts)
        console.say("記録しました", "Recorded")
