"""Writes docs/reference/requirements.md: each requirement with the tests that cite its id.

Run from the project's folder as ``python -m conformance.requirements_page
[--check]``.  A test cites by ``@pytest.mark.requirement("DIR-04")`` on itself,
its class, its module (``pytestmark``) or a parameter, or by its name
(``test_dir_04_...``).  No test is imported: they are read as syntax.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import made_page

TABLE = Path("conformance/requirements.toml")
PAGE = Path("docs/reference/requirements.md")
IN_NAME = re.compile(r"(?:^|_)([a-z]{2,3})_(\d\d)(?=_|$)")
GROUPS = {
    "SUB": "補助事業の範囲 / Scope of the subsidy",
    "DIR": "直接伝送 / Direct transmission",
    "NET": "通信とTLS / Network and TLS",
    "AUT": "認証と権限 / Authentication and access",
    "AUD": "監査と時刻 / Audit and time",
    "DAT": "データの保全 / Data and storage",
    "PRI": "個人情報 / Privacy",
    "CHR": "日本語の氏名 / Japanese names",
    "RAD": "遠隔画像診断 / Teleradiology",
    "WSI": "遠隔病理診断 / Telepathology",
    "DCM": "DICOM",
    "UX": "使う人の流れ / Workflow",
    "EVD": "証拠 / Evidence",
    "OPS": "運用 / Operations",
    "COM": "条項との対応 / Clauses",
    "REG": "薬事 / Regulation",
    "TST": "試験道具 / Test kit",
}


def _marked(nodes: list[Any]) -> Iterator[str]:
    """Ids in calls of ``pytest.mark.requirement`` anywhere below `nodes`."""
    for top in nodes:
        for node in ast.walk(top):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "requirement"
            ):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def _tests(body: list[ast.stmt], inherited: set[str]) -> Iterator[tuple[str, set[str]]]:
    """(test's name, ids it cites) of a module's or a class's body."""
    for node in body:
        if isinstance(node, ast.Assign) and "pytestmark" in {
            target.id for target in node.targets if isinstance(target, ast.Name)
        }:
            inherited = inherited | set(_marked([node.value]))
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests(node.body, inherited | set(_marked(list(node.decorator_list))))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            words = IN_NAME.findall(node.name)
            named = {f"{word.upper()}-{n}" for word, n in words if word.upper() in GROUPS}
            yield node.name, inherited | named | set(_marked(list(node.decorator_list)))


def cited(tests: Path) -> dict[str, list[str]]:
    """Return, for each id, the tests that cite it as ``path::name``, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"), filename=str(path))
        for name, ids in _tests(tree.body, set()):
            for identifier in ids:
                found[identifier].append(f"{path.as_posix()}::{name}")
    return found


def page(table: dict[str, dict[str, str]], tests: dict[str, list[str]]) -> str:
    """Return the page as Markdown."""
    must = [identifier for identifier, row in table.items() if row["priority"] == "M"]
    shown = sum(identifier in tests for identifier in must)
    lines = [
        "<!-- made by `python -m conformance.requirements_page`: change"
        " conformance/requirements.toml or the tests -->",
        "",
        "# 要件と試験 / Requirements and their tests",
        "",
        "要件ごとに、それを示す試験を挙げます。試験のない要件は **open** です。M は必須、S は推奨、"
        "C は任意。ここに書くのは試験の有無という事実だけで、資格の判断ではありません。",
        "",
        "Each requirement with the tests that show it; one without a test says **open**."
        " M must, S should, C could.",
        "",
        f"M: {len(must)}, with tests: {shown}, open: {len(must) - shown}.",
    ]
    for group, title in GROUPS.items():
        lines += [
            "",
            f"## {group}: {title}",
            "",
            "| id | | source | requirement | tests |",
            "|---|---|---|---|---|",
        ]
        for identifier, row in table.items():
            if identifier.split("-")[0] == group:
                by = "<br>".join(f"`{test}`" for test in tests.get(identifier, [])) or "open"
                words = f"{row['ja']}<br>{row['en']}"
                cells = [identifier, row["priority"], row["source"], words, by]
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it; print how many M rows have a test."""
    table = tomllib.loads(TABLE.read_text("utf-8"))["requirement"]
    tests = cited(Path("tests"))
    unknown = sorted(set(tests) - set(table))
    if unknown:
        print(f"cited by tests, not in {TABLE}: {unknown}", file=sys.stderr)
        return 1
    text = page(table, tests)
    print(next(line for line in text.splitlines() if line.startswith("M: ")))
    module = "conformance.requirements_page"
    return made_page.keep(PAGE, lambda: text, __doc__, module, arguments)


if __name__ == "__main__":
    sys.exit(main())
