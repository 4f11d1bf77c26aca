"""The tables of docs/benchmarks.md, written from what a bench printed and never by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import NotFound, UsageError
from conformance.bench.table import cells, heads, left_out, reaches

VERDICTS = {True: "reached", False: "**missed**", None: ""}


def load(path: Path) -> dict[str, Any]:
    """Read what ``todoke bench NAME --json`` printed.

    Raises
    ------
    NotFound
        There is no such file.
    UsageError
        It holds something else.
    """
    try:
        words = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotFound(thing=path) from error
    except (OSError, ValueError) as error:
        raise UsageError(cause=f"{path}: {error}") from error
    if not isinstance(words, dict) or not {"machine", "cases", "left_out"} <= words.keys():
        raise UsageError(cause=f"{path}: todoke bench NAME --json")
    return words


def page(words: dict[str, Any]) -> str:
    """Return command, date and machine, how many goals are reached, the rows, what was left out."""
    rows = [*_rows(words), *_left_out(words)]
    return "\n".join([*_machine(words["machine"]), "", _summary(words["cases"]), "", *rows])


def _summary(cases: list[dict[str, Any]]) -> str:
    judged = [reaches(row) for row in cases if reaches(row) is not None]
    ja = f"{len(judged)}行のうち{sum(map(bool, judged))}行が目標に届きました。"
    en = f"Of {len(judged)} rows {sum(map(bool, judged))} reach their goal."
    if beside := len(cases) - len(judged):
        ja += f"目標のない比較が{beside}行あります。"
        en += f" {beside} more stand side by side, without a goal."
    return f"{ja} / {en}"


def _machine(machine: dict[str, Any]) -> Iterator[str]:
    load, peers = machine["load"], machine["peers"]
    versions = ", ".join(f"{name} {number or '-'}" for name, number in peers.items())
    facts = {
        "command": f"`{machine['command']}`",
        "date": machine["date"],
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}",
        "system": f"{machine['system']}, Python {machine['python']}, {machine['openssl']}",
        "todoke": machine["todoke"],
        "peers": versions,
        "where": f"{machine['folder']}; rows on disk: {machine['disk']}",
        "page cache": machine["page_cache"]["en"],
        "load, 1 / 5 / 15 min": f"before {_load(load['before'])}, after {_load(load['after'])}",
    }
    if slide := machine.get("slide"):
        width, height = slide["pixels"]
        megabytes = f"{slide['bytes'] / 1e6:.1f} MB"
        facts["slide"] = (
            f"{width} x {height}, {slide['tiles']} tiles of {slide['tile']} at level 0, {megabytes}"
        )
    if browser := machine.get("browser"):
        facts["browser"] = f"Chromium {browser['chromium']}; WebGL: {browser['webgl']}"
    if cores := machine.get("cores_of"):
        facts["cores"] = f"server {_cores(cores['server'])}, load {_cores(cores['load'])}"
    yield from ("| | |", "|---|---|")
    yield from (_line((name, fact)) for name, fact in facts.items())


def _load(averages: list[float] | None) -> str:
    return "-" if averages is None else " / ".join(f"{one:g}" for one in averages)


def _cores(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "any"


def _rows(words: dict[str, Any]) -> Iterator[str]:
    named = heads(words, "en")
    yield _line((*named, ""))
    yield "|---" * (len(named) + 1) + "|"
    for row in words["cases"]:
        reached = VERDICTS[reaches(row)]
        yield _line((*(cell.replace(" ×", "") for cell in cells(row)), reached))


def _left_out(words: dict[str, Any]) -> Iterator[str]:
    if words["left_out"]:
        yield ""
        yield from (f"- {_escaped(left_out(row, 'en'))}" for row in words["left_out"])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(cell: str) -> str:
    """Keep a cell in its place: no bar, no line break."""
    return " ".join(cell.replace("|", "\\|").split())
