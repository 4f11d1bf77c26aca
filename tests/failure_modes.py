"""Writes docs/reference/failure-modes.md from the table of failures and the one tree of errors.

Run from the project's folder as ``python -m tests.failure_modes [--check]``.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from common import made_page
from common.errors import of_number

TABLE = Path(__file__).with_suffix(".toml")
PAGE = Path("docs/reference/failure-modes.md")
HEAD = """<!-- made by `python -m tests.failure_modes`: change tests/failure_modes.toml -->

# 故障と対処 / Failure modes

試験で起こしている故障ごとに、画像がどうなるか、利用者に見える番号と言葉を示します。最後の文が対処、\
`…` には場所や原因が入ります。番号の一覧は [errors.md](errors.md) にあります。

For each failure that the tests bring about: what becomes of the images, and the number and words
that a user sees, the last sentence of which is what to do. `…` stands for a place or a cause; all
numbers are in [errors.md](errors.md). `pytest -m MARKER` runs the tests of a marker.
"""
COLUMNS = """\
| 故障 / failure | 画像 / images | 番号 / number | 言葉と対処 / words | 試験 / tests |
|---|---|---|---|---|
"""


class _Dots(dict[str, str]):
    """Facts that differ from case to case."""

    def __missing__(self, _key: str) -> str:
        return "…"


def groups() -> list[dict[str, Any]]:
    """Return the table."""
    found: list[dict[str, Any]] = tomllib.loads(TABLE.read_text("utf-8"))["group"]
    return found


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for group in groups():
        parts.append(f"\n## {group['ja']} / {group['en']}\n\n{COLUMNS}")
        parts += [_row(failure) for failure in group["failures"]]
    return "".join(parts)


def _row(failure: dict[str, Any]) -> str:
    kind = of_number(failure["number"])
    ja, en = (text.format_map(_Dots()) for text in (kind.ja, kind.en))
    words = f"{ja}<br>{en}"
    if remedy := failure.get("remedy_en"):
        words += f". {remedy}"
    tests = [f"`-m {marker}`" for marker in failure.get("markers", ())]
    tests += [f"`{test}`" for test in failure.get("tests", ())]
    cells = (
        f"{failure['ja']}<br>{failure['en']}",
        f"{failure['kept_ja']}<br>{failure['kept_en']}",
        failure["number"],
        words,
        "<br>".join(tests),
    )
    return f"| {' | '.join(cells)} |\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "tests.failure_modes", arguments)


if __name__ == "__main__":
    sys.exit(main())
