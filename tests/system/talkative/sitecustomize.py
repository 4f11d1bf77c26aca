"""Makes one place of one process fail with a message that quotes a patient, where the file says so.

A folder with this file first on PYTHONPATH does it to every process started with it, once
the file TODOKE_SAYS names that place.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

#: Module, class (or nothing) and callable that fails, by the name of the place.
PLACES = {
    "dicom thread": ("receiver.placing", "Placing", "run"),
    "web handler": ("receiver.transfers", "", "open_transfer"),
    "viewer handler": ("receiver.worklist", "Worklist", "rows"),
    "filler": ("receiver.descriptions", "", "undescribed"),
    "sender's scan": ("sender.ingest", "", "scan"),
    "sender's delivery": ("sender.delivery", "Delivery", "deliver"),
    "sender's engine": ("sender.engine", "Engine", "_owed"),
}


def _fail(place: str, before: Any) -> Any:
    file = Path(os.environ["TODOKE_SAYS"])

    def failing(*given: Any, **named: Any) -> Any:
        now, _, words = file.read_text("utf-8").partition("\n")
        if now == place:
            file.write_text("", "utf-8")  # once
            raise RuntimeError(words)
        return before(*given, **named)

    return failing


class _Finder(importlib.abc.MetaPathFinder):
    """Spoils a module as soon as it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        wanted = {place: row for place, row in PLACES.items() if row[0] == name}
        if not wanted:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executing(module: ModuleType) -> None:
            execute(module)
            for place, (_, owner, called) in wanted.items():
                holder = getattr(module, owner) if owner else module
                setattr(holder, called, _fail(place, getattr(holder, called)))

        spec.loader.exec_module = executing  # type: ignore[method-assign]
        return spec


if "TODOKE_SAYS" in os.environ:
    sys.meta_path.insert(0, _Finder())
