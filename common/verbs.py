"""What every verb's line has in common: its options, and questions to a person."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.errors import UsageError

Data = Annotated[
    Path | None,
    typer.Option("--data", help="データフォルダー (省略時 TODOKE_DATA) / data directory"),
]
Json = Annotated[bool, typer.Option("--json", help="結果をJSONで出す / print JSON")]


def ask(given: str | None, option: str, ja: str, en: str, default: str = "") -> str:
    """Return what was given on the line, else ask the person at the terminal.

    Parameters
    ----------
    given : str, optional
        Value of the option.
    option : str
        Its name, for the error where nobody can be asked.
    ja, en : str
        The question.
    default : str
        Taken on an empty answer, and where nobody can be asked.

    Raises
    ------
    UsageError
        There is no value and no terminal.
    """
    if given is not None:
        return given
    if not sys.stdin.isatty():
        if default:
            return default
        raise UsageError(cause=option)
    question = en if console.language() == "en" else ja
    answer: str = typer.prompt(question, default=default or None, err=True)
    return answer


def operator(given: str | None) -> str:
    """Return the person at the console: as given, else the user of this machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        user = "unknown"
    return ask(given, "--operator", "作業者の名前", "Operator's name", user)
