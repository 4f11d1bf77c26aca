"""Writes docs/reference/bad-inputs.md from the catalogue and the tests that show it.

Run from the project's folder as ``python -m tests.hostile.page [--check]``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from common import made_page
from tests.hostile.catalogue import BadInput, Shown, bad_inputs, collected

PAGE = Path("docs/reference/bad-inputs.md")
HEAD = """<!-- made by `python -m tests.hostile.page`: change tests/hostile/catalogue.toml -->

# 悪い入力 / Bad inputs

壊れた入力・敵意のある入力と、その時に起きること。どの場合も、落ちない、固まらない、メモリーが\
増え続けない、他の相手は待たされない、記録は患者情報なしの1行、保存名の下に何も残らない。\
{variants} 件のうち {tested} 件に試験があり、{later} 件はまだない部分を待つ。

What is broken or hostile, and what happens. For each: no crash, no hang, memory bounded, other
peers unaffected, the log without patient data, nothing under a final name. {tested} of {variants}
variants have a test; {later} wait for a part that is not built yet.

| no. | 期待 / expected | variant | test, or 待つ部分 / waits for |
|---|---|---|---|
"""


def page(inputs: Iterable[BadInput], shown: Iterable[Shown]) -> str:
    """Return the page as Markdown."""
    tests: dict[tuple[int, str], set[str]] = {}
    for one in shown:
        tests.setdefault((one.number, one.variant), set()).add(one.test)
    rows: list[str] = []
    counts = {"variants": 0, "tested": 0, "later": 0}
    for known in inputs:
        first = [str(known.number), f"{known.ja}<br>{known.en}"]
        for variant in known.variants:
            found = sorted(tests.get((known.number, variant), ()))
            where = "<br>".join(f"`{test}`" for test in found)
            if later := known.later.get(variant):
                where = f"({later})"
            counts["variants"] += 1
            counts["tested"] += bool(found)
            counts["later"] += bool(later)
            rows.append(f"| {' | '.join(first)} | {_plain(variant)} | {where or '**open**'} |")
            first = ["", ""]
    return HEAD.format(**counts) + "\n".join(rows) + "\n"


def _plain(words: str) -> str:
    for sign in "\\`*_|<>{[":
        words = words.replace(sign, f"\\{sign}")
    return words


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""

    def made() -> str:
        return page(bad_inputs(), collected())

    return made_page.keep(PAGE, made, __doc__, "tests.hostile.page", arguments)


if __name__ == "__main__":
    sys.exit(main())
