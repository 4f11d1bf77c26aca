"""The bench's result as a person reads it."""

from __future__ import annotations

import statistics
from typing import Any

from common.console import language


def show(words: dict[str, Any]) -> None:
    """Print the machine and one row a case."""
    from rich.console import Console
    from rich.table import Table

    ja = language() == "ja"
    machine = words["machine"]
    heads = (
        ("測定", "相手", "こちら 秒", "相手 秒", "比", "目標", "CPU 秒", "最大 MB")
        if ja
        else ("case", "peer", "ours s", "peer s", "ratio", "goal", "CPU s", "peak MB")
    )
    table = Table(*heads, title=f"{machine['cpu']} x {machine['cores']}  {machine['date']}")
    for row in words["cases"]:
        why = row["reason"]
        table.add_row(
            row["case"],
            row["peer"],
            spread(row["ours_s"]),
            spread(row["peer_s"]),
            why["ja" if ja else "en"] if why else verdict(row),
            f"{row['goal']:g}",
            _both(row["cpu_s"]),
            _both(row["memory_mb"]),
        )
    Console(width=170).print(table)


def verdict(row: dict[str, Any]) -> str:
    """Return the ratio, marked where the goal is missed."""
    return f"{row['ratio']:.2f}" + ("" if row["ratio"] >= row["goal"] else " ×")


def spread(seconds: list[float] | None) -> str:
    """Return the median, and the fastest and the slowest beside it."""
    if not seconds:
        return "-"
    middle = f"{statistics.median(seconds):.2f}"
    return f"{middle} ({min(seconds):.2f}-{max(seconds):.2f})" if len(seconds) > 1 else middle


def _both(pair: list[float | None]) -> str:
    return " / ".join("-" if one is None else f"{one:g}" for one in pair)
