"""``todoke sender block``: patients who do not want their images sent."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.errors import UsageError
from sender.sending_verbs import AsJson, Data, data_of

if TYPE_CHECKING:
    from sender.safety.blocked import Blocked, Entry

block = typer.Typer(
    no_args_is_help=True,
    help="送信に同意しない患者 (IDは鍵付きハッシュで保存) / patients who object to being sent",
)
PatientId = Annotated[
    str | None, typer.Argument(help="患者ID。省くと尋ねる (履歴に残らない) / asked for if left out")
]
Issuer = Annotated[
    str, typer.Option(help="IDの発行者。省くとどの発行者でも / who issued the ID; all if left out")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the sender's room."""
    app.add_typer(block, name="block")


def _audit(data: Data, event: str, entry: Entry, by: str) -> None:
    """Note a change of the list; an entry is told by when it was made, never by its patient."""
    from common.audit import Trail

    with contextlib.closing(Trail(data_of(data) / "audit", "block")) as trail:
        trail.note(event, user=by, entry=entry.added, any_issuer=not entry.issuer)


def _list_of(data: Data) -> Blocked:
    from sender.safety.blocked import Blocked

    return Blocked(data_of(data))


def _asked(given: str | None) -> str:
    if given is None:
        return str(typer.prompt("患者ID / patient ID", hide_input=True, err=True))
    return given


@block.command("add")
def add(
    patient_id: PatientId = None,
    by: Annotated[str, typer.Option(help="登録した人 / who enters it")] = "",
    reason: Annotated[
        str, typer.Option(help="理由 (氏名は書かない) / why, without the patient's name")
    ] = "",
    issuer: Issuer = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """この患者の画像を送らないようにする / send nothing of a patient from now on."""
    with console.verb(as_json=as_json):
        entry = _list_of(data).add(_asked(patient_id), issuer, by=by, reason=reason)
        _audit(data, "patient-blocked", entry, by.strip())
        console.say(
            f"登録しました: {entry.number}。これからこの患者の画像は保留になります",
            f"Entered: {entry.number}. Whatever is of this patient is held from now on",
        )
        if as_json:
            console.emit(_shown(entry))


@block.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """登録を並べる (患者IDは表示できない) / list the entries; IDs cannot be shown."""
    with console.verb(as_json=as_json):
        entries = _list_of(data).entries()
        if as_json:
            console.emit({"blocked": [_shown(one) for one in entries]})
            return
        for one in entries:
            console.tell(f"{one.number}  {one.added[:10]}  {one.by}  {one.reason}".rstrip())
        if not entries:
            console.say("登録はありません", "Nobody is on the list")


@block.command("remove")
def remove(
    patient_id: PatientId = None,
    by: Annotated[str, typer.Option(help="外した人 / who takes it off")] = "",
    issuer: Issuer = "",
    number: Annotated[
        str | None, typer.Option(help="患者IDの代わりに、一覧の番号 / as the list calls it")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """申出が取り下げられたとき、登録を外す / take an entry off, when it was withdrawn."""
    with console.verb(as_json=as_json):
        known = _list_of(data)
        if not by.strip():
            raise UsageError(cause="--by")
        if number is not None:
            entry = known.remove_number(number)
        else:
            entry = known.remove(_asked(patient_id), issuer)
        _audit(data, "patient-unblocked", entry, by.strip())
        console.say(
            f"外しました: {entry.number}。保留中のものは todoke sender retry で送れます",
            f"Taken off: {entry.number}. What is held goes with todoke sender retry",
        )
        if as_json:
            console.emit(_shown(entry))


def _shown(entry: Entry) -> dict[str, Any]:
    words = asdict(entry) | {"number": entry.number, "any_issuer": not entry.issuer}
    return {key: words[key] for key in ("number", "any_issuer", "added", "by", "reason")}
