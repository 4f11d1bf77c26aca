"""How a verb speaks: words on stderr, one JSON object on stdout, exit code by the error tree."""

from __future__ import annotations

import json
import locale
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from common.errors import TodokeError

_chosen: list[str] = []


def choose_language(lang: str | None) -> None:
    """Set the language of this run; None follows the locale."""
    _chosen[:] = [lang] if lang else []


def language() -> str:
    """Return ``'ja'`` or ``'en'``: ``--lang``, then TODOKE_LANG, then the locale, then Japanese."""
    if _chosen:
        return _chosen[0]
    named = os.environ.get("TODOKE_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG")
    named = named or locale.getlocale()[0] or ""
    return "en" if named.lower().startswith("en") else "ja"


def say(ja: str, en: str) -> None:
    """Say one line to the person at the console."""
    print(en if language() == "en" else ja, file=sys.stderr, flush=True)


def tell(line: str) -> None:
    """Print one line of a verb's result."""
    print(line, flush=True)


def emit(value: Any) -> None:
    """Print the one JSON object of a verb."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str), flush=True)


def interrupted() -> NoReturn:
    """Say that Ctrl-C ended a verb; without a traceback, and with the code of shells."""
    say("中断しました", "Interrupted")
    raise SystemExit(130) from None


@contextmanager
def verb(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error of the tree into its words and its exit code."""
    try:
        yield
    except TodokeError as error:
        if as_json:
            emit({"error": error.as_json()})
        print(error.words(language()), file=sys.stderr, flush=True)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt:
        interrupted()
