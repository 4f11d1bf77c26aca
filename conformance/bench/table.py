"""The bench's result as a person reads it."""

from __future__ import annotations

import statistics
from typing import Any

from common.console import language

ROLES = {"sender": "S", "receiver_dicom": "R"}  # of our processes, beside the largest
#: What rows count: of series, of slides, of what is read in the viewer.
COUNTED = {"ja": ("枚数", "タイル", "画像"), "en": ("slices", "tiles", "images")}
DETAIL = 0.1  # seconds: what takes less is told in tenths of a millisecond


def heads(words: dict[str, Any], lang: str) -> tuple[str, ...]:
    """Return the heads of the columns.

    Parameters
    ----------
    lang : {'ja', 'en'}
    """
    bench = words["machine"].get("bench")
    counted = COUNTED[lang][0 if bench is None else 1 + (bench == "viewer")]
    if lang == "ja":
        first = ("測定", "相手", f"{counted} x 回数", "こちら 秒", "相手 秒", "比", "目標")
        return (*first, "CPU 秒", "最大 MB (S 送信, R 受信)")
    first = ("case", "peer", f"{counted} x rounds", "ours, s", "peer, s", "ratio", "goal")
    return (*first, "CPU, s", "peak, MB (S sender, R receiver)")


def show(words: dict[str, Any]) -> None:
    """Print the machine, one row a case, and what was left out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    lang = language()
    machine = words["machine"]
    table = Table(
        *heads(words, lang), title=f"{machine['cpu']} x {machine['cores']}  {machine['date']}"
    )
    for row in words["cases"]:
        table.add_row(*cells(row))
    console = Console(width=190)
    console.print(table)
    console.print(machine["page_cache"][lang], style="dim")
    for row in words["left_out"]:
        console.print(escape(left_out(row, lang)), style="yellow")


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row as text: medians with the fastest and the slowest, ours / the peer's."""
    cpu, memory = row["cpu_s"], row["memory_mb"]
    roles = [f"{name} {memory[key]:g}" for key, name in ROLES.items() if memory[key] is not None]
    mark = " ×" if reaches(row) is False else ""
    return (
        row["case"],
        row["peer"],
        f"{row['slices']} x {len(row['ours_s'])}",
        spread(row["ours_s"], row.get("unit")),
        spread(row["peer_s"], row.get("unit")),
        f"{row['ratio']:.2f}{mark}",
        "-" if row["goal"] is None else f"{row['goal']:g}",
        _both(cpu),
        _both(memory) + (f" ({', '.join(roles)})" if roles else ""),
    )


def reaches(row: dict[str, Any]) -> bool | None:
    """Whether a row reaches its goal; None where it has none."""
    return None if row["goal"] is None else bool(row["ratio"] >= row["goal"])


def left_out(row: dict[str, Any], lang: str) -> str:
    """Return in one line why a row is not there."""
    words = "測っていない" if lang == "ja" else "left out"
    return f"{words}: {row['case']}, {row['peer']}: {row['reason'][lang]}"


def spread(seconds: list[float], unit: str | None = None) -> str:
    """Return the median, and the fastest and the slowest beside it.

    Parameters
    ----------
    unit : str, optional
        Of what is no time: the heads of the columns name seconds.
    """
    if unit is not None:
        beside = f" ({min(seconds):.0f}-{max(seconds):.0f})" if len(seconds) > 1 else ""
        return f"{statistics.median(seconds):.0f}{beside} {unit}"
    few = statistics.median(seconds) < DETAIL
    middle, least, most = (
        f"{one:.4f}" if few else f"{one:.2f}"
        for one in (statistics.median(seconds), min(seconds), max(seconds))
    )
    return f"{middle} ({least}-{most})" if len(seconds) > 1 else middle


def _both(pair: dict[str, float | None]) -> str:
    return " / ".join("-" if one is None else f"{one:g}" for one in (pair["ours"], pair["peer"]))
