"""``todoke receiver user``: who may sign in at the viewer."""

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

if TYPE_CHECKING:
    from common.audit import Trail
    from common.web.accounts import Accounts
    from receiver.index import Index

app = typer.Typer(no_args_is_help=True, help="利用者 / people who may sign in")

Name = Annotated[str, typer.Argument(help="サインイン名 / name typed at sign-in")]
Role = Annotated[
    str,
    typer.Option(help="役割: reader 読影医・病理医、administrator 管理者、auditor 監査者 / role"),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="パスワードを標準入力から読む / read it from stdin"),
]


@dataclass
class _Desk:
    """Accounts of a receiver, its index, and its audit trail of the console."""

    accounts: Accounts
    index: Index
    trail: Trail

    def note(self, of: str, what: str, **facts: Any) -> None:
        """Write down what was done with an account, and who sat at the console."""
        who = getpass.getuser()
        words = {"user": who, "address": "console", "of": of, "what": what, "outcome": "ok"}
        self.trail.note("account", **words, **facts)


@app.command()
def add(
    name: Name,
    display: Annotated[str, typer.Option(help="画面に出る名前 / name on the screen")] = "",
    role: Role = "reader",
    password_stdin: FromStdin = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """利用者を加える / add a person; the password is asked for, never an argument."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        user = desk.accounts.add(name, _password(from_stdin=password_stdin), display, role)
        desk.note(user.name, "added", role=role)
        console.say(f"{user.name} を加えました", f"{user.name} added")
        if as_json:
            console.emit(user.as_json())


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """利用者の一覧: 役割、二要素目 / list people, their roles and factors."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        names = desk.accounts.names()
        if as_json:
            console.emit({"users": names})
            return
        for one in names:
            stopped = ("  停止中", "  disabled") if one["disabled"] else ("", "")
            factors = "+".join(one["factors"]) or "-"
            words = f"{one['name']}  {one['display']}  {one['role']}  {factors}"
            words += f"  {one['seal']}" if "seal" in one else ""
            words += "  " + ",".join(one["institutions"]) if "institutions" in one else ""
            console.say(words + stopped[0], words + stopped[1])


@app.command()
def role(name: Name, role: Annotated[str, typer.Argument(help="reader | administrator | auditor")],
         data: Data = None, as_json: AsJson = False) -> None:  # fmt: skip
    """役割を変える / give a person another role; open sessions end at once."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        desk.accounts.set_role(name, role)
        desk.note(name, "role", role=role)
        console.say(f"{name} の役割を {role} にしました", f"{name} is {role} now")
        if as_json:
            console.emit({"name": name, "role": role})


@app.command()
def institutions(
    name: Name,
    codes: Annotated[
        list[str] | None, typer.Argument(help="医療機関コード / codes of partners", metavar="CODE")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="制限をやめる / lift the limit")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """見られる依頼元を限る / limit a person to the studies of some institutions.

    コードも --all もなければ、いまの設定を示す。変えるとサインインし直しになる。
    / Without codes or --all it says what is set. A change ends the person's sessions.
    """
    from receiver import sight

    with console.verb(as_json=as_json), _desk(data) as desk:
        known = desk.accounts.known(name)
        if codes or every:
            chosen = None if every else codes
            limit = sight.limit(desk.accounts, desk.index, known, chosen)
            desk.note(known, "institutions", institutions=limit)
        else:
            limit = next(
                one.get("institutions") for one in desk.accounts.names() if one["name"] == known
            )
        if as_json:
            console.emit({"name": known, "institutions": limit})
            return
        words = ("全ての依頼元", "every institution")
        if limit is not None:
            words = (", ".join(limit),) * 2
        console.say(f"{known} が見られるのは: {words[0]}", f"{known} may see: {words[1]}")


@app.command()
def disable(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """利用を止める / let a person sign in no more; open sessions end at once."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        desk.accounts.disable(name)
        desk.note(name, "disabled")
        console.say(f"{name} の利用を止めました", f"{name} is disabled")
        if as_json:
            console.emit({"name": name, "disabled": True})


@app.command()
def password(
    name: Name, password_stdin: FromStdin = False, data: Data = None, as_json: AsJson = False
) -> None:
    """パスワードを変え、止めた利用者を戻す / change a password, and enable again."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        desk.accounts.set_password(name, _password(from_stdin=password_stdin))
        desk.note(name, "password")
        console.say(f"{name} のパスワードを変えました", f"Password of {name} changed")
        if as_json:
            console.emit({"name": name})


@app.command()
def reset(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """二要素目と復旧コードを消す / clear second factors; the next sign-in enrols anew.

    本人であることを確かめてから行う。 / Make sure first that it is the person who asks.
    """
    with console.verb(as_json=as_json), _desk(data) as desk:
        cleared = desk.accounts.reset(name)
        desk.note(name, "reset", factors=cleared)
        console.say(
            f"{name} の二要素目 {cleared} 件と復旧コードを消しました。次のサインインで登録します",
            f"{cleared} second factors of {name} and the recovery codes are cleared."
            " The next sign-in enrols anew",
        )
        if as_json:
            console.emit({"name": name, "cleared": cleared})


@app.command()
def recovery(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """復旧コードを作り直す / make recovery codes anew; shown this once, each good once."""
    from common.errors import UsageError

    with console.verb(as_json=as_json), _desk(data) as desk:
        known = desk.accounts.known(name)
        if not desk.accounts.factors.of(known):
            raise UsageError(cause=f"{known}: 二要素目が未登録 / no second factor yet")
        codes = desk.accounts.factors.new_recovery(known)
        desk.note(known, "recovery-codes")
        if as_json:
            console.emit({"name": known, "recovery": codes})
            return
        for code in codes:
            console.say(code, code)


@app.command()
def seal(
    name: Name,
    display: Annotated[str, typer.Option(help="画面に出る名前 / name on the screen")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """非常時アカウントを封印する / seal an account for emergencies; its password is shown once.

    印刷して封筒に入れ、金庫に保管する。使うと警報が出て、4時間後に使えなくなる。
    / Print it, put it into an envelope, lock it away. Its use raises an alarm; four hours
    later it is disabled until it is sealed again.
    """
    with console.verb(as_json=as_json), _desk(data) as desk:
        word = desk.accounts.seal(name, display)
        who = {"user": getpass.getuser(), "address": "console"}
        desk.trail.note("break-glass", **who, of=name, what="sealed", outcome="ok")
        if as_json:
            console.emit({"name": name, "password": word})
            return
        console.say(f"{name}: {word}", f"{name}: {word}")
        console.say(
            "1度だけ表示します。封筒に入れて保管してください",
            "Shown this once. Keep it in a sealed envelope",
        )


@app.command()
def sessions(
    name: Annotated[str | None, typer.Argument(help="サインイン名 / name")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """開いているセッションの一覧 / list open sessions."""
    from datetime import datetime

    with console.verb(as_json=as_json), _desk(data) as desk:
        found = desk.accounts.sessions.of(desk.accounts.known(name) if name else None)
        if as_json:
            console.emit({"sessions": found})
            return
        for one in found:
            since = datetime.fromtimestamp(one["made_at"]).astimezone().isoformat(" ", "minutes")
            locked = ("  ロック中", "  locked") if one["locked"] else ("", "")
            words = f"{one['id']}  {one['user']}  {one['address']}  {since}"
            console.say(words + locked[0], words + locked[1])


@app.command()
def end(
    name: Name,
    session: Annotated[
        str | None, typer.Option("--session", help="この1つだけ / this one alone", metavar="ID")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """セッションを終わらせる / end a person's sessions."""
    with console.verb(as_json=as_json), _desk(data) as desk:
        known = desk.accounts.known(name)
        ended = desk.accounts.sessions.end_all(known, id=session)
        desk.note(known, "sessions-ended", sessions=ended)
        console.say(f"{ended} 件を終わらせました", f"{ended} ended")
        if as_json:
            console.emit({"name": known, "ended": ended})


@contextlib.contextmanager
def _desk(data: Path | None) -> Iterator[_Desk]:
    """The accounts of a receiver that was set up, and its trail.

    Raises
    ------
    NotInitialised
    """
    from common.audit import Trail
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.web.accounts import Accounts
    from receiver.index import Index

    folder = data_folder("receiver", data)
    Node.load(folder, Role.SUPPORTER)
    settings = Receiver.load(folder)
    with (
        contextlib.closing(Index.at(folder)) as index,
        contextlib.closing(Trail(folder / "audit", "console")) as trail,
    ):
        yield _Desk(Accounts(index, second_factor=settings.second_factor), index, trail)


def _password(*, from_stdin: bool) -> str:
    """Ask for a password, twice at a terminal.

    Raises
    ------
    UsageError
        The two differ, or there is neither a terminal nor ``--password-stdin``.
    """
    from common.errors import UsageError

    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError(cause="--password-stdin")
    words = "Password: " if console.language() == "en" else "パスワード: "
    typed = getpass.getpass(words)
    if getpass.getpass(words) != typed:
        raise UsageError(cause="2回の入力が違います / the two differ")
    return typed
