"""Writes docs/reference/components.md from the table of components.

Run from the project's folder as ``python -m common.components_page [--check]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import inventory, made_page
from common.inventory import SIDES

PAGE = Path("docs/reference/components.md")
HEAD = """<!-- made by `python -m common.components_page`: change common/components.toml -->

# 構成部品の一覧 / Components

対象経費区分表の下書きです。どの部品がどちら側で何のために働き、Q&A第2版のどの番号がそのような物に\
ついて述べているかを記します。費用がどう扱われるかは、都道府県・厚生労働省が判断します。導入した機械の\
版つきの一覧は `todoke inventory --json` で出ます。

A draft for the division of costs: which part works on which side and for what, and which number of
the Q&A (2nd edition) speaks of such a thing. How a cost is treated is for the prefecture and the
ministry to say. `todoke inventory --json` lists what a machine has installed, with versions.

## todoke

| part | side | for | to send, receive, show | Q&A | what it does |
|---|---|---|---|---|---|
"""
LIBRARIES = """
## ほかの人が作った部品 / Libraries

It is the part of todoke that uses a library of which the Q&A speaks.

| library | side | for | to send, receive, show | what for |
|---|---|---|---|---|
"""
ABSENT = """
## 含まないもの / What is not in it

| what | Q&A |
|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    text = HEAD
    for part in inventory.parts():
        side = " / ".join(SIDES[part.side])
        both = [" / ".join(say(part, of) for of in (0, 1)) for say in (
            inventory.serving, inventory.necessity)]  # fmt: skip
        said = inventory.in_the_qa(part, 0)
        text += f"| {part.name} | {side} | {' | '.join(both)} | {said} | {part.ja}<br>{part.en} |\n"
    text += LIBRARIES
    for one in inventory.libraries():
        side, need = SIDES[one.side][0], inventory.necessity(one, 0)
        serving = inventory.serving(one, 0)
        text += f"| {one.name} | {side} | {serving} | {need} | {one.ja} / {one.en} |\n"
    text += ABSENT
    for gap in inventory.absent():
        text += f"| {gap['ja']} / {gap['en']} | {', '.join(gap['qa'])} |\n"
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "common.components_page", arguments)


if __name__ == "__main__":
    sys.exit(main())
