"""The 100 bad inputs and their variants, and which tests show them.

Run as ``python -m tests.hostile.catalogue FILE`` it collects the whole suite and
writes what carries the mark ``badinput`` to FILE as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = Path(__file__).with_name("catalogue.toml")


@dataclass(frozen=True)
class BadInput:
    """One number: what is expected, its variants, and the parts that some wait for."""

    number: int
    ja: str
    en: str
    variants: tuple[str, ...]
    later: dict[str, str]


@dataclass(frozen=True)
class Shown:
    """A test that shows a variant; `skipped` says why it would not run."""

    number: int
    variant: str
    test: str
    skipped: str


def bad_inputs() -> list[BadInput]:
    """Read the catalogue."""
    words = tomllib.loads(CATALOGUE.read_text("utf-8"))
    return [
        BadInput(int(number), row["ja"], row["en"], tuple(row["variants"]), row.get("later", {}))
        for number, row in words.items()
    ]


def collected() -> list[Shown]:
    """Collect the whole suite in a process of its own and return what shows a variant."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "shown.json"
        line = [sys.executable, "-m", "tests.hostile.catalogue", str(out)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not out.exists():
            raise RuntimeError(f"the suite cannot be collected:\n{done.stdout}{done.stderr}")
        return [Shown(**one) for one in json.loads(out.read_text("utf-8"))]


def faults(inputs: Iterable[BadInput], shown: Iterable[Shown]) -> Iterator[str]:
    """Say everything in which catalogue and tests disagree."""
    tests: dict[tuple[int, str], list[Shown]] = {}
    for one in shown:
        tests.setdefault((one.number, one.variant), []).append(one)
    for known in inputs:
        for variant in known.variants:
            found = tests.pop((known.number, variant), [])
            if variant in known.later:
                for one in found:
                    yield f"{known.number} {variant!r}: waits for a later part, and {one.test}"
            elif not found:
                yield f"{known.number} {variant!r}: no test"
            for one in found:
                if one.skipped:
                    yield f"{known.number} {variant!r}: {one.test} is skipped: {one.skipped}"
        if strange := set(known.later) - set(known.variants):
            yield f"{known.number}: later names no variant: {sorted(strange)}"
    for (number, variant), found in tests.items():
        yield f"{number} {variant!r}: not in the catalogue, {found[0].test}"


def _skipped(item: pytest.Item) -> str:
    for mark in item.iter_markers():
        if mark.name in {"skip", "xfail"} or (mark.name == "skipif" and any(mark.args)):
            return str(mark.kwargs.get("reason", mark.name))
    return ""


class _Collecting:
    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            test = item.nodeid.partition("[")[0]
            for mark in item.iter_markers("badinput"):
                number, variant = mark.args
                one = Shown(number, variant, test, _skipped(item))
                self.shown.append(vars(one))


def main(out: str) -> int:
    """Collect in this process."""
    plugin = _Collecting()
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", "tests"]
    code = pytest.main(words, plugins=[plugin])
    Path(out).write_text(json.dumps(plugin.shown), "utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
