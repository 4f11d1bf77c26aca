"""``todoke receiver user``: who may sign in at the viewer."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import console
from common.settings import data_folder

if TYPE_CHECKING:
    from common.web.accounts import Accounts

app = typer.Typer(no_args_is_help=True, help="利用者 / people who may sign in")

Name = Annotated[str, typer.Argument(help="サインイン名 / name typed at sign-in")]
Data = Annotated[
    Path | None, typer.Option("--data", help="データフォルダー / data directory", metavar="DIR")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSONで出す / print JSON")]
FromStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="パスワードを標準入力から読む / read it from stdin"),
]


@app.command()
def add(
    name: Name,
    display: Annotated[str, typer.Option(help="画面に出る名前 / name on the screen")] = "",
    password_stdin: FromStdin = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """利用者を加える / add a person; the password is asked for, never an argument."""
    with console.verb(as_json=as_json), _accounts(data) as accounts:
        user = accounts.add(name, _password(from_stdin=password_stdin), display)
        console.say(f"{user.name} を加えました", f"{user.name} added")
        if as_json:
            console.emit(user.as_json())


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """利用者の一覧 / list people."""
    with console.verb(as_json=as_json), _accounts(data) as accounts:
        names = accounts.names()
        if as_json:
            console.emit({"users": names})
            return
        for one in names:
            stopped = ("  停止中", "  disabled") if one["disabled"] else ("", "")
            words = f"{one['name']}  {one['display']}"
            console.say(words + stopped[0], words + stopped[1])


@app.command()
def disable(name: Name, data: Data = None, as_json: AsJson = False) -> None:
    """利用を止める / let a person sign in no more; open sessions end at once."""
    with console.verb(as_json=as_json), _accounts(data) as accounts:
        accounts.disable(name)
        console.say(f"{name} の利用を止めました", f"{name} is disabled")
        if as_json:
            console.emit({"name": name, "disabled": True})


@app.command()
def password(
    name: Name, password_stdin: FromStdin = False, data: Data = None, as_json: AsJson = False
) -> None:
    """パスワードを変え、止めた利用者を戻す / change a password, and enable again."""
    with console.verb(as_json=as_json), _accounts(data) as accounts:
        accounts.set_password(name, _password(from_stdin=password_stdin))
        console.say(f"{name} のパスワードを変えました", f"Password of {name} changed")
        if as_json:
            console.emit({"name": name})


@contextlib.contextmanager
def _accounts(data: Path | None) -> Iterator[Accounts]:
    """The accounts of a receiver that was set up.

    Raises
    ------
    NotInitialised
    """
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.web.accounts import Accounts
    from receiver.index import Index

    folder = data_folder("receiver", data)
    Node.load(folder, Role.SUPPORTER)
    with contextlib.closing(Index.at(folder)) as index:
        yield Accounts(index)


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
