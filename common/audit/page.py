"""Writes docs/reference/audit.md: its words stand in page.md, its tables in the code.

Run from the project's folder as ``python -m common.audit.page [--check]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import made_page
from common.audit import checking
from common.audit.events import EVENTS, OTHER

PAGE = Path("docs/reference/audit.md")
HEAD = Path(__file__).with_name("page.md")


def page() -> str:
    """Return the page as Markdown."""
    found = ["| name | 日本語 | English |", "|---|---|---|"]
    found += [
        f"| `{name}` | {ja.format(p='記録', n='N')} | {en.format(p='trail', n='N')} |"
        for name, (ja, en) in checking.WORDS.items()
    ]
    rows = [
        f"| `{name}` | {one.ja}<br>{one.en} | {one.id.value} {one.id.meaning}"
        f" | {one.type.value} {one.type.system} | {one.action} |"
        for name, one in [*EVENTS.items(), ("…", OTHER)]
    ]
    return HEAD.read_text("utf-8").replace("{found}", "\n".join(found)) + "\n".join(rows) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "common.audit.page", arguments)


if __name__ == "__main__":
    sys.exit(main())
