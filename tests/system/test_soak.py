"""Soak: 10,000 instances over 100 associations leave no mark on any process.

What each process holds is looked at when a study is receipted and nothing is under
way, so that only what stays is counted.
The associations come one after the other: those that a partner may have open at a time
(``max_associations_per_partner``, 50) are no limit to them, unless one is left open.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from sender import sending
from sender.partners import find_partner
from tests.system.ends import Ends, until
from tests.system.resident import processes
from tests.system.test_memory import write_many

STUDIES, INSTANCES = 100, 100
WARM_UP = 40  # studies, after which connections, threads and caches are as they stay
LIMIT = 300  # MB resident, of each process
#: MB between the first and the last third after warm-up.  The allocator keeps what
#: threads freed in arenas of a megabyte, and each of some ten connections to SQLite
#: fills a cache of 2 MB as the index grows; 1 KB kept for each instance would be 4 MB more.
SLOPE = 8
SPARE = 3  # files or threads that come and go by themselves: keep-alive, a checkpoint

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc"),
]


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ValueError(pid)


def _count(pid: int, what: str) -> int:
    return len(list(Path(f"/proc/{pid}/{what}").iterdir()))


Held = dict[str, list[tuple[float, int, int]]]  # MB, files and threads of each process


def _look(held: Held, roots: list[int]) -> None:
    for name, pid in processes(roots):
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            held[name].append((_resident(pid), _count(pid, "fd"), _count(pid, "task")))


def test_ten_thousand_instances_over_a_hundred_associations(ends: Ends, tmp_path: Path) -> None:
    held: Held = defaultdict(list)
    key = find_partner(ends.sender).key
    assert ends.running is not None
    with ends.daemon() as sender, ends.outbox() as box:
        for number in range(STUDIES):
            folder = tmp_path / str(number)
            write_many(folder, INSTANCES)
            job = sending.submit(ends.sender, key, [folder], {"request": {}, "slide": {}})
            until(lambda job=job: sending.look(box, job).finished, "receipted", 120)  # type: ignore[misc]
            _look(held, [sender["pid"], ends.running.pid])
        transfers = box.transfers()
    assert len(transfers) == STUDIES
    assert {str(one.state) for one in transfers} == {"receipted"}
    assert sum(one.attempts for one in transfers) == 0, "none had to be tried again"
    _judge(held)


def _judge(held: Held) -> None:
    wrong = []
    for name, looks in held.items():
        steady = looks[WARM_UP:]
        third = max(1, len(steady) // 3)
        before, after = steady[:third], steady[-third:]
        grown = [
            statistics.median(b[i] for b in after) - statistics.median(a[i] for a in before)
            for i in range(3)
        ]
        most = max(look[0] for look in looks)
        told = f"{name}: {most:.0f} MB at most, then {grown[0]:+.1f} MB, {grown[1]:+.0f} files, "
        told += f"{grown[2]:+.0f} threads; at the end {looks[-1][1]} files, {looks[-1][2]} threads"
        print(told)
        if most >= LIMIT or grown[0] >= SLOPE or max(grown[1:]) > SPARE:
            wrong.append(told)
    assert not wrong
    assert {"sender run", "receiver.dicom_process", "receiver.web_process"} <= held.keys()
