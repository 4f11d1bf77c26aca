"""``todoke receiver oidc``: signing in through the hospital's own service (OpenID Connect)."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common import console
from common.settings import Receiver, data_folder
from common.verbs import Data, Json

if TYPE_CHECKING:
    from common.audit import Trail
    from common.web.vouched import Vouched

app = typer.Typer(
    no_args_is_help=True,
    help="病院の認証サービス (OpenID Connect) / signing in through the hospital's own service",
)

Name = Annotated[str, typer.Argument(help="サインイン名 / name of the account")]
Values = list[str] | None


@dataclass
class _Desk:
    """Settings, accounts and trail of a receiver that was set up."""

    folder: Path
    settings: Receiver
    vouched: Vouched
    trail: Trail

    def note(self, event: str, **facts: Any) -> None:
        """Write down what was done, and who sat at the console."""
        who = {"user": getpass.getuser(), "address": "console", "outcome": "ok"}
        self.trail.note(event, **who, **facts)

    def shown(self) -> dict[str, Any]:
        """Return what is set, the secret but for whether there is one."""
        from receiver.sign_in_service import SECRET

        words = {
            name.removeprefix("oidc_"): value
            for name, value in vars(self.settings).items()
            if name.startswith("oidc_")
        }
        return words | {"secret": (self.folder / SECRET).exists()}


@app.command(name="set")
def set_(
    issuer: Annotated[str | None, typer.Option(help="アドレス / its address")] = None,
    client_id: Annotated[str | None, typer.Option(help="そこでの名前 / our name there")] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="秘密を標準入力から / client secret from stdin")
    ] = False,
    label: Annotated[str | None, typer.Option(help="ボタンの語 / words of the button")] = None,
    ca: Annotated[str | None, typer.Option(help="CAのPEM / file of its CA")] = None,
    name_claim: Annotated[str | None, typer.Option(help="名前のクレーム / for the name")] = None,
    role_claim: Annotated[str | None, typer.Option(help="役割のクレーム / for the role")] = None,
    reader: Annotated[Values, typer.Option(help="読影医になる値 / value for a reader")] = None,
    administrator: Annotated[Values, typer.Option(help="管理者になる値 / administrator")] = None,
    auditor: Annotated[Values, typer.Option(help="監査者になる値 / auditor")] = None,
    acr: Annotated[Values, typer.Option(help="二要素とみなす acr / acr of two factors")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """決める。挙げたものだけが変わる / set it; what is not named stays as it is.

    受信側を起動し直すと効く。 / It holds from the receiver's next start.
    """
    from common import durable
    from receiver import sign_in_service

    given: dict[str, Any] = {
        **{"oidc_issuer": issuer, "oidc_client_id": client_id, "oidc_label": label, "oidc_ca": ca},
        **{"oidc_name_claim": name_claim, "oidc_role_claim": role_claim},
    }
    many = {
        **{"oidc_readers": reader, "oidc_administrators": administrator},
        **{"oidc_auditors": auditor, "oidc_acr": acr},
    }
    given |= {name: tuple(values) for name, values in many.items() if values}
    with console.verb(as_json=as_json), _desk(data) as desk:
        chosen = {name: value for name, value in given.items() if value is not None}
        desk.settings = desk.settings.changed(**chosen)
        desk.settings.check(desk.folder)
        sign_in_service.of(desk.settings, desk.folder)  # or it says what is missing
        if secret_stdin:
            secret = sys.stdin.readline().rstrip("\r\n")
            durable.save(desk.folder / sign_in_service.SECRET, secret.encode(), private=True)
        desk.settings.save(desk.folder)
        desk.note("setting", what="oidc", value=desk.settings.oidc_issuer)
        _say(desk, as_json=as_json)
        console.say("受信側を起動し直してください", "Start the receiver anew")


@app.command()
def show(data: Data = None, as_json: Json = False) -> None:
    """いまの設定を示す / say what is set."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        _say(desk, as_json=as_json)


@app.command()
def off(data: Data = None, as_json: Json = False) -> None:
    """やめる。利用者名とパスワードはそのまま / turn it off; names and passwords stay."""
    from receiver import sign_in_service

    with console.verb(as_json=as_json), _desk(data) as desk:
        desk.settings = desk.settings.changed(oidc_issuer="")
        desk.settings.save(desk.folder)
        (desk.folder / sign_in_service.SECRET).unlink(missing_ok=True)
        desk.note("setting", what="oidc", value="")
        _say(desk, as_json=as_json)
        console.say("受信側を起動し直してください", "Start the receiver anew")


@app.command(name="test")
def try_(data: Data = None, as_json: Json = False) -> None:
    """サービスに尋ねてみる / ask the service what it says of itself, and for its keys."""
    from common.errors import UsageError
    from common.web.oidc_provider import Provider
    from receiver import sign_in_service

    with console.verb(as_json=as_json), _desk(data) as desk:
        service = sign_in_service.of(desk.settings, desk.folder)
        if service is None:
            raise UsageError(cause="receiver oidc set --issuer")
        found = Provider(service).look()
        words = {name: found.get(name) for name in ("issuer", "authorization_endpoint", "keys")}
        if as_json:
            console.emit(words)
            return
        console.say(
            f"{words['issuer']}: 使えます (鍵 {words['keys']} 個)",
            f"{words['issuer']}: can be used ({words['keys']} keys)",
        )


@app.command()
def link(
    name: Name,
    subject: Annotated[str, typer.Option(help="サービスでの sub / its sub there")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """いまの利用者を、サービスの人と結び付ける / say which person of the service an account is.

    本人であることを確かめてから行う。 / Make sure first that it is the same person.
    """
    from common.errors import UsageError

    with console.verb(as_json=as_json), _desk(data) as desk:
        if not desk.settings.oidc_issuer:  # a person of no service is nobody
            raise UsageError(cause="receiver oidc set --issuer")
        desk.vouched.link(name, desk.settings.oidc_issuer, subject)
        desk.note("account", of=name, what="linked", subject=subject)
        if as_json:
            console.emit({"name": name, "subject": subject})
        console.say(f"{name} を結び付けました", f"{name} is linked")


@app.command()
def unlink(name: Name, data: Data = None, as_json: Json = False) -> None:
    """結び付きを消す / let an account be entered through the service no more."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        gone = desk.vouched.unlink(name)
        desk.note("account", of=name, what="unlinked", links=gone)
        if as_json:
            console.emit({"name": name, "links": gone})
        console.say(f"{gone} 件を消しました", f"{gone} removed")


@app.command()
def links(data: Data = None, as_json: Json = False) -> None:
    """結び付きの一覧 / list which account is whom."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        found = desk.vouched.links()
        if as_json:
            console.emit({"links": found})
            return
        for one in found:
            words = f"{one['user']}  {one['issuer']}  {one['subject']}"
            console.say(words, words)


def _say(desk: _Desk, *, as_json: bool) -> None:
    shown = desk.shown()
    if as_json:
        console.emit(shown)
        return
    for name, value in shown.items():
        words = f"{name}: {', '.join(value) if isinstance(value, tuple) else value}"
        console.say(words, words)


@contextlib.contextmanager
def _desk(data: Path | None) -> Iterator[_Desk]:
    """Open the settings, accounts and trail of a receiver.

    Raises
    ------
    NotInitialised
    """
    from common.audit import Trail
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.web.accounts import Accounts
    from common.web.vouched import Vouched
    from receiver.index import Index

    folder = data_folder("receiver", data)
    Node.load(folder, Role.SUPPORTER)
    with (
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(Trail(folder / "audit", "console")) as trail,
    ):
        # what the environment says is not written into the file
        settings = Receiver.load(folder, {})
        yield _Desk(folder, settings, Vouched(Accounts(index)), trail)
