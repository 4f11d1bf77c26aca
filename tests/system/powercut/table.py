"""The table of power cuts as Markdown, measured anew.

::

    python -m tests.system.powercut.table --instants 50 [--only DICOM ...]
"""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.system.ends import Ends
from tests.system.powercut.disk import KINDS, Disk
from tests.system.powercut.foreign import orthanc, storescp
from tests.system.powercut.outbox_door import outbox_door
from tests.system.powercut.receiver_doors import Run, dicom_door, frames_door
from tests.system.powercut.verdict import Verdict

DOORS: dict[str, Callable[[Run], Verdict]] = {
    "DICOM": dicom_door,
    "frames": frames_door,
    "outbox": outbox_door,
    "storescp": storescp,
    "Orthanc": orthanc,
}
COLUMNS = (
    "product",
    "door",
    *(f"cuts, {kind}" for kind in KINDS),
    "acknowledgements looked for",
    "**lost**",
    "cuts that lost some",
    "index unsound",
    "restarted to the end",
)


def rows(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for one in verdicts:
        cuts = sum(one.cuts.values())
        cells = [
            *(one.product, one.door),
            *(str(one.cuts[kind]) for kind in KINDS),
            *(str(one.checked), f"**{len(one.lost)}**", f"{one.lost_cuts} of {cuts}"),
            str(len(one.unsound)),
            f"{one.completed} of {one.completed + len(one.unfinished)}" if one.completed else "—",
        ]
        yield f"| {' | '.join(cells)} |"


def measure(instants: int, completed: int, only: Sequence[str]) -> list[Verdict]:
    """Run each door on a disk of its own."""
    verdicts = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        paired = Ends(folder / "paired")
        paired.folder.mkdir()
        paired.pair()
        paired.stop_receiver()
        for name in only or DOORS:
            place = folder / name
            (place / "disk").mkdir(parents=True)
            with Disk(place / "disk") as disk:
                run = Run(disk, paired, place, instants, instants, completed)
                verdicts.append(DOORS[name](run))
            print(verdicts[-1].words(), file=sys.stderr)
    return verdicts


def main() -> None:
    """Print the table, and what it was made with."""
    words = argparse.ArgumentParser(prog="python -m tests.system.powercut.table")
    words.add_argument("--instants", type=int, default=50)
    words.add_argument("--completed", type=int, default=10)
    words.add_argument("--only", nargs="+", choices=DOORS, default=[])
    asked = words.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what it has started
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    verdicts = measure(asked.instants, asked.completed, asked.only)
    command = " ".join([words.prog, *sys.argv[1:]])
    print("| | |\n|---|---|")
    print(f"| command | `{command}` |\n| date | {begun} |")
    print(f"| system | Linux {platform.release()}, Python {platform.python_version()} |\n")
    print("\n".join(rows(verdicts)))


if __name__ == "__main__":
    main()
