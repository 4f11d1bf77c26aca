"""``todoke receiver forward``: hand studies to the hospital's certified viewer or PACS (REG-02)."""

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
    no_args_is_help=True,
    help="診断用ビューア・PACSへの転送 / hand-off to the certified viewer or PACS",
)
target_app = typer.Typer(
    no_args_is_help=True, help="転送先の一覧 (取り決めたものだけ) / the agreed list of targets"
)
rule_app = typer.Typer(no_args_is_help=True, help="自動で転送する規則 / rules of forwarding")
app.add_typer(target_app, name="target")
app.add_typer(rule_app, name="rule")

Study = Annotated[str, typer.Argument(help="検査の番号 / key of the study")]
Name = Annotated[str, typer.Argument(help="転送先の名前 / name of the target")]
By = Annotated[str | None, typer.Option("--by", help="読影者 / who does it")]
Operator = Annotated[str | None, typer.Option("--operator", help="作業者 / who does this")]


@target_app.command(name="add")
def add_target(
    name: Name,
    agreed: Annotated[
        str, typer.Option(help="取り決めの文書 (契約・手順書の番号) / where it was agreed on")
    ],
    dicom: Annotated[str | None, typer.Option(help="HOST:PORT, C-STORE")] = None,
    aet: Annotated[str, typer.Option(help="相手のAEタイトル / its AE title")] = "ANY-SCP",
    ca: Annotated[
        Path | None,
        typer.Option(help="TLSで信頼する証明書 (PEM)。無ければ暗号化しない / trust for TLS"),
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="フォルダー / folder")] = None,
    operator_name: Operator = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """転送先を加える / put a target on the agreed list."""
    from common.errors import UsageError
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, note):
        by = operator(operator_name)
        if (dicom is None) == (folder is None):
            raise UsageError(cause="--dicom | --folder")
        if dicom is not None:
            target = forward_targets.dicom(name, dicom, aet, ca, agreed, by)
        else:
            target = forward_targets.folder(name, Path(str(folder)), agreed, by)
        forward_targets.add(index, target, note)
        if as_json:
            console.emit(target.as_json())
        else:
            console.say(f"加えました: {target.place}", f"Added: {target.place}")


@target_app.command(name="list")
def list_targets(data: Data = None, as_json: Json = False) -> None:
    """転送先の一覧 / the agreed list."""
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, _note):
        found = forward_targets.listed(index)
        if as_json:
            console.emit({"targets": [one.as_json() for one in found]})
            return
        for one in found:
            console.tell(f"{one.name}  {one.place}  {one.agreed}")


@target_app.command(name="remove")
def remove_target(
    name: Name, operator_name: Operator = None, data: Data = None, as_json: Json = False
) -> None:
    """転送先を除く / take a target off the list."""
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, note):
        forward_targets.remove(index, name, operator(operator_name), note)
        if as_json:
            console.emit({"removed": name})


@rule_app.command(name="add")
def add_rule(
    name: Name,
    modality: Annotated[str | None, typer.Option(help="種別 (CT など) / modality")] = None,
    partner: Annotated[str | None, typer.Option(help="施設コード / institution code")] = None,
    operator_name: Operator = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """今後届く検査を自動で転送する / forward what comes from now on by itself."""
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, note):
        by = operator(operator_name)
        number = forward_targets.add_rule(index, name, modality, partner, by, note)
        if as_json:
            console.emit({"rule": number})
        else:
            console.say(f"規則 {number}", f"Rule {number}")


@rule_app.command(name="list")
def list_rules(data: Data = None, as_json: Json = False) -> None:
    """規則の一覧 / every rule."""
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, _note):
        found = forward_targets.rules(index)
        if as_json:
            console.emit({"rules": found})
            return
        for one in found:
            console.tell(
                f"{one['id']}  {one['target']}  {one['modality'] or '*'}  {one['partner'] or '*'}"
            )


@rule_app.command(name="remove")
def remove_rule(
    number: Annotated[int, typer.Argument(help="規則の番号 / number of the rule")],
    operator_name: Operator = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """規則を除く / take a rule away."""
    from receiver import forward_targets

    with console.verb(as_json=as_json), _room(data) as (index, note):
        forward_targets.remove_rule(index, number, operator(operator_name), note)
        if as_json:
            console.emit({"removed": number})


@app.command()
def study(
    key: Study,
    target: Annotated[str, typer.Option("--to", help="転送先の名前 / name of the target")],
    again: Annotated[
        bool, typer.Option("--again", help="全部を送り直す / send all of it once more")
    ] = False,
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """検査を転送する。受信側の動作中に送られる / forward a study; the running receiver sends it."""
    from receiver.forwarding import Forwarding
    from receiver.standings import Person

    with console.verb(as_json=as_json), _room(data) as (index, note):
        asked = Forwarding(index, note)
        made = asked.ask(key, Person(operator(by)), target, again=again)
        if as_json:
            console.emit({"forward": made})
        else:
            console.say(f"転送を受け付けました: {made}", f"Taken: {made}")


@app.command(name="list")
def list_(data: Data = None, as_json: Json = False) -> None:
    """転送の一覧と状態 / every forward and how far it is."""
    from receiver import forwarding

    with console.verb(as_json=as_json), _room(data) as (index, _note):
        found = forwarding.every(index)
        if as_json:
            console.emit({"forwards": found})
            return
        lang = console.language()
        for one in found:
            why = f"  {one['error'][lang]}" if one["error"] else ""
            count = one["recalled"]
            gone = f"取消 {count}枚" if lang == "ja" else f"{count} recalled since"
            taken = f"  {gone} {' '.join(filter(None, one['settled'] or ()))}" if count else ""
            console.tell(
                f"{one['at'][:16]}  {one['study'][:8]}  {one['target']}"
                f"  {one[f'state_{lang}']} {one['sent']}/{one['total']}{_kept(one)}{taken}{why}"
            )


def _kept(one: dict[str, Any]) -> str:
    """Say what the target promised (PS3.4 annex J)."""
    kept = one["commitment"]
    if kept is None:
        return ""
    count = f" {kept['failed']}" if kept["failed"] else ""
    return f"  {kept[f'state_{console.language()}']}{count}"


@app.command()
def settle(
    forward: Annotated[str, typer.Argument(help="転送の番号 / id of the forward")],
    by: By = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """取消済みの画像を転送先で処置したと記録する / what was recalled is seen to at the target."""
    from receiver import forward_recalls
    from receiver.standings import Person

    with console.verb(as_json=as_json), _room(data) as (index, note):
        forward_recalls.settle(index, forward, Person(operator(by)), note)
        if as_json:
            console.emit({"settled": forward})


@app.command()
def receipt(
    forward: Annotated[str, typer.Argument(help="転送の番号 / id of the forward")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """転送の受領証 (署名付き) / the signed receipts of a forward."""
    from common.errors import NotFound
    from receiver import forwarding

    with console.verb(as_json=as_json), _room(data) as (index, _note):
        found = forwarding.receipts(index, forward)
        if not found:
            raise NotFound(thing=f"receipt {forward}")
        if as_json:
            console.emit({"receipts": found})
            return
        for text in found:
            console.tell(text)


@contextlib.contextmanager
def _room(data: Path | None) -> Iterator[tuple[Any, Any]]:
    from common import audit, durable
    from common.proof.identity import Node
    from common.proof.role import Role
    from receiver.index import Index

    folder = data_folder("receiver", data).absolute()
    Node.load(folder, Role.SUPPORTER)
    with (
        durable.lock(folder / "lock.verb.forward"),
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(audit.Trail(folder / "audit", "forward")) as trail,
    ):
        yield index, trail.note
