"""A room has one purpose: its files and functions stay small and have a name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("common", "sender", "receiver", "conformance", "samples", "tests")
SKIPPED = {"node_modules", "_viewer", "__pycache__"}
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".ts", ".css"} and not SKIPPED & set(path.parts)
)
LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 60
TABLES = {"common/errors.py"}  # one tree, without any function that grows with it
#: Given out as one file, which an auditor reads alone: docs/decisions/0026.
ALONE = {"common/proof/verify.py"}


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body; its docstring and a verb's table of options are left out."""
    docstring = ast.get_docstring(node, clean=False) is not None
    code = node.body[1:] if docstring else node.body
    return (node.end_lineno or 0) - code[0].lineno + 1 if code else 0


def too_long(text: str) -> list[str]:
    """Functions of a Python file past the limit."""
    return [
        f"{node.name} has {length(node)} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and length(node) > LINES_OF_A_FUNCTION
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_has_one_purpose(path: Path) -> None:
    text = path.read_text("utf-8")
    if path.relative_to(ROOT).as_posix() not in TABLES | ALONE:
        assert text.count("\n") <= LINES_OF_A_FILE
    assert path.stem not in {"utils", "util", "helpers", "helper", "misc"}
    if path.suffix == ".py":
        assert not too_long(text)


def test_the_limit_is_seen() -> None:
    assert too_long("def f():\n" + "    x = 1\n" * 61) == ["f has 61 lines"]
    assert not too_long('def f():\n    """W\n\n    W."""\n' + "    x = 1\n" * 60)
