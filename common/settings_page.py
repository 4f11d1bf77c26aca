"""Writes docs/reference/settings.md from the one table of options.

Run as ``python -m common.settings_page docs/reference/settings.md``.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from common import durable
from common.errors import TodokeError
from common.settings import Receiver, Sender, toml


def page() -> str:
    """Return the reference page of every setting, in Markdown."""
    lines = [
        "# 設定 / Settings",
        "",
        "<!-- made by `python -m common.settings_page docs/reference/settings.md` -->",
        "",
        "`DATA/receiver.toml` と `DATA/sender.toml` に書く。環境変数が優先する。",
        "リストはコンマ区切り。",
        "`DATA` は `--data`、`TODOKE_DATA`、利用者のデータフォルダーの順に決まる。",
        "",
        "Written in `DATA/receiver.toml` and `DATA/sender.toml`. The environment wins; lists are",
        "separated by commas. `DATA` is `--data`, else `TODOKE_DATA`, else the user's data folder.",
    ]
    for kind in (Receiver, Sender):
        lines += ["", f"## {kind.title[0]} / {kind.title[1]}: `{kind.room}.toml`", ""]
        lines += ["| key | environment | default | 意味 / meaning |", "|---|---|---|---|"]
        for row in fields(kind):
            name = f"TODOKE_{kind.room}_{row.name}".upper()
            words = f"{row.metadata['ja']}<br>{row.metadata['en']}"
            lines.append(f"| `{row.name}` | `{name}` | `{toml(row.default)}` | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        durable.save(Path(sys.argv[1]), page().encode())
    except (IndexError, TodokeError):
        raise SystemExit("python -m common.settings_page docs/reference/settings.md") from None
