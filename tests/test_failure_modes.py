"""The table of failures: every number, test and marker in it is there, and the page is of it."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

from common.errors import of_number
from tests import failure_modes

ROOT = Path(__file__).parent.parent
FAILURES = [failure for group in failure_modes.groups() for failure in group["failures"]]
FIELDS = {"number", "ja", "en", "kept_ja", "kept_en"}
every = pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure["en"])


@every
def test_a_failure_has_a_number_and_words(failure: dict[str, Any]) -> None:
    assert FIELDS <= failure.keys() <= FIELDS | {"tests", "markers", "remedy_en"}
    assert all(failure[field] for field in FIELDS)
    kind = of_number(failure["number"])
    assert kind.number == failure["number"], "no such number"
    assert "。" in kind.ja, "what happened, and what to do"
    said = ". " in kind.en or "; " in kind.en
    assert said is not ("remedy_en" in failure), "what happened, and what to do, once"


@every
def test_a_failure_is_brought_about(failure: dict[str, Any]) -> None:
    assert failure.get("tests") or failure.get("markers"), "said, and not tested"
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    markers = {
        row.split(":")[0].split("(")[0] for row in known["tool"]["pytest"]["ini_options"]["markers"]
    }
    assert set(failure.get("markers", ())) <= markers
    for test in failure.get("tests", ()):
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert not name or name in _tests(ROOT / file), test


def _tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_page_is_of_the_table() -> None:
    page = (ROOT / failure_modes.PAGE).read_text("utf-8")
    assert page == failure_modes.page(), "run make check and commit it"
