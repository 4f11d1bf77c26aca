"""A page of docs/reference that is made from tables: written, or in CI only compared."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def keep(
    page: Path,
    make: Callable[[], str],
    about: str | None,
    module: str,
    arguments: list[str] | None = None,
) -> int:
    """Write a page, or with ``--check`` compare it; return the exit code.

    Parameters
    ----------
    page : Path
        From the project's folder.
    make : callable
        Returns its text; called after the arguments are known to be right.
    about : str, optional
        What ``--help`` says.
    module : str
        With which it is made: ``python -m MODULE``.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    text = make()
    if not check:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")
    elif not page.exists() or page.read_text("utf-8") != text:
        print(f"{page} is old: run python -m {module} and commit it", file=sys.stderr)
        return 1
    return 0
