"""Resident memory of whole processes and of what they started, as the system counts it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Peaks:
    """Most resident memory that each process had so far, in MB, by what it is."""

    found: dict[str, float] = field(default_factory=dict)

    def look(self, roots: list[int]) -> None:
        """Look at what runs below some processes now."""
        for name, pid in processes(roots):
            with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
                self.found[name] = max(self.found.get(name, 0.0), _peak(pid))


def processes(roots: list[int]) -> Iterator[tuple[str, int]]:
    """Yield what each process below these is, and its number."""
    for pid in itertools.chain.from_iterable(map(_tree, roots)):
        with contextlib.suppress(OSError, ValueError):
            yield _name(pid), pid


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    at = words.index("-m") + 1
    return " ".join(words[at + 1 : at + 3]) if words[at] == "common.command" else words[at]


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise ValueError(pid)
