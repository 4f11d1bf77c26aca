"""Writes docs/reference/errors.md from the one tree of errors.

Run from the project's folder as ``python -m common.errors_page [--check]``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from common import made_page
from common.errors import TodokeError

PAGE = Path("docs/reference/errors.md")
HEAD = """<!-- made by `python -m common.errors_page`: change common/errors.py -->

# エラー番号 / Errors

画面・記録・電話で伝える番号です。終了コードはコマンドの結果 (0 すべて届いた、2 指定、20番台 入力、\
40番台 保存、60番台 通信)、DIMSE と HTTP は相手の装置に返す値です。

The number is what a person reads out. Exit codes: 0 all delivered, 2 usage, 20s input, 40s storage,
60s network. DIMSE (PS3.7 annex C) and HTTP are what a peer is told; *again* says whether trying
again by itself can help.

| number | name | exit | DIMSE | HTTP | again | words |
|---|---|---|---|---|---|---|
"""


def tree(root: type[TodokeError] = TodokeError) -> Iterator[type[TodokeError]]:
    """Yield every class of common/errors.py, the root first."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == TodokeError.__module__:
            yield from tree(child)


def page() -> str:
    """Return the page as Markdown, in the order of the numbers."""
    lines = [
        f"| {kind.number} | {kind.__name__} | {kind.exit_code} | {kind.dimse_status:04X}H"
        f" | {kind.http_status} | {'yes' if kind.retryable else 'no'}"
        f" | {kind.ja}<br>{kind.en} |"
        for kind in sorted(tree(), key=lambda kind: kind.number)
    ]
    return HEAD + "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "common.errors_page", arguments)


if __name__ == "__main__":
    sys.exit(main())
