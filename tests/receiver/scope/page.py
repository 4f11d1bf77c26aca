"""Writes docs/reference/scope.md from the scope table.

Run from the project's folder as ``python -m tests.receiver.scope.page [--check]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import made_page
from tests.receiver.scope.scope import KINDS, rows

PAGE = Path("docs/reference/scope.md")
HEAD = """<!-- made by `python -m tests.receiver.scope.page` (of scope.toml) -->

# 閲覧画面の範囲 / Scope of the viewer

閲覧画面の全ての画面・道具・経路と、それが応えるQ&A第2版 (または交付要綱) の番号です (SUB-08)。\
ここにない画面・道具・経路があると、試験が失敗します。画像管理・レポート・UPSの機能は含みません \
(SUB-13, Q8)。費用がどう扱われるかは、都道府県・厚生労働省が判断します。

Every page, tool and route of the viewer, with the number of the Q&A (2nd edition), or of the
guideline (要綱), that it serves. A test fails on anything that has no row here. Archive, reporting
and UPS functions are not included. How a cost is treated is for the prefecture and the ministry to
say.
"""
COLUMNS = "| | Q&A | 何のため / what for | 何 / which |\n|---|---|---|---|\n"
TITLES = {"page": "画面 / Pages", "tool": "道具 / Tools", "route": "経路 / Routes"}


def page() -> str:
    """Return the page as Markdown."""
    table, text = rows(), HEAD
    for kind in KINDS:
        text += f"\n## {TITLES[kind]}\n\n{COLUMNS}"
        for row in (row for row in table if row.kind == kind):
            which = ", ".join(f"`{one}`" for one in (*row.pages, *row.keys, *row.routes))
            serves = f"{row.serves_ja}<br>{row.serves_en}"
            text += f"| {row.ja}<br>{row.en} | {', '.join(row.qa)} | {serves} | {which} |\n"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "tests.receiver.scope.page", arguments)


if __name__ == "__main__":
    sys.exit(main())
