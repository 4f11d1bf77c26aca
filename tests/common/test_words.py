"""No string that a person sees claims what only an authority can say (EVD-08)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("common", "sender", "receiver", "conformance", "samples")
CLAIMS = re.compile("補助対象|準拠|適合|fully compliant|eligible for the subsidy")
#: Places that may quote the words, because they name a clause or this very rule: (path, quote).
QUOTES: set[tuple[str, str]] = set()


def python_strings(text: str) -> Iterator[tuple[int, str]]:
    """(line, string) of every literal, docstrings and the parts of f-strings too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lines(text: str) -> Iterator[tuple[int, str]]:
    yield from enumerate(text.splitlines(), 1)


def seen() -> Iterator[tuple[Path, Iterator[tuple[int, str]]]]:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if {"node_modules", "_viewer", "__pycache__"} & set(path.parts) or path.is_dir():
                continue
            if path.suffix == ".py":
                yield path, python_strings(path.read_text("utf-8"))
            elif path.suffix in {".ts", ".css", ".html", ".toml", ".json", ".md"}:
                yield path, lines(path.read_text("utf-8"))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".ci").iterdir()]:
        if path.is_file():
            yield path, lines(path.read_text("utf-8"))


def claims(path: str, strings: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"{path}:{line}: {found[0]}"
        for line, text in strings
        for found in CLAIMS.finditer(text)
        if (path, text.strip()) not in QUOTES
    ]


@pytest.mark.requirement("EVD-08")
def test_nothing_a_person_sees_claims_a_verdict() -> None:
    found: list[str] = []
    files = 0
    for path, strings in seen():
        files += 1
        found += claims(path.relative_to(ROOT).as_posix(), strings)
    assert files > 50, "the lint looked in the wrong place"
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        'say("補助対象です", "")',
        'word = f"{x}は準拠"',
        'def verb():\n    """規格に適合します。"""',
        'x = {"en": "fully compliant"}',
    ],
)
def test_the_lint_sees_a_claim(code: str) -> None:
    assert len(claims("room/file.py", python_strings(code))) == 1
