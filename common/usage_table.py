"""A month's report, as both ends' verbs print it and write it."""

from __future__ import annotations

from pathlib import Path

from common import console, durable, usage
from common.usage import COLUMNS, PURPOSES, Month


def deliver(month: Month, to: Path | None, *, as_json: bool) -> None:
    """Print a report, and write it for a spreadsheet where `to` names a file."""
    if to is not None:
        durable.save(to.absolute(), month.csv(console.language()))
        console.say(f"書き出しました: {to}", f"Written: {to}")
    if as_json:
        console.emit(month.as_json())
    elif to is None:
        _print(month)


def _print(month: Month) -> None:
    from rich.console import Console
    from rich.table import Table

    lang = console.language()
    of = 1 if lang == "en" else 0
    title = f"{month.month}  {month.institution.name} ({month.institution.code})"
    if month.empty:
        console.tell(f"{title}\n{usage.EMPTY[of].format(month=month.month)}")
    else:
        names = [name for name in month.heads() if name != "partner_code"]
        table = Table(*(month.heads()[name][of] for name in names), title=title)
        for line in [*month.lines, month.total]:
            row = [getattr(line, name) for name in names]
            row[2] = PURPOSES.get(line.purpose, (line.purpose,) * 2)[of]
            table.add_row(*(f"{one:,}" if not isinstance(one, str) else one for one in row))
        Console().print(table)
        heads = month.heads()
        for name in COLUMNS:
            console.tell(f"  {heads[name][of]}: {month.sources[name][of]}")
    for (number, *words), count in sorted(month.failures.items()):
        console.tell(f"{usage.FAILED[of]}: {number} {words[of]} ({count})")
    console.tell(f"{usage.TESTS[of]}: {month.test}")
