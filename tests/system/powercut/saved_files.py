"""Files that are replaced as a whole (settings, keys, partners) under power cuts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.system.powercut.hearing import UNDER_WAY, Ack, Heard, cut_at_random
from tests.system.powercut.receiver_doors import Run
from tests.system.powercut.verdict import Verdict

MOST = 3  # answers between two cuts
_SAVING = """
import sys
from pathlib import Path
from common import durable
folder = Path(sys.argv[1])
for line in sys.stdin:
    name, size = line.split()
    durable.save(folder / name / "kept", name.encode() * int(size))
    print(name, flush=True)
"""


def saved_files(run: Run) -> Verdict:
    """Cut while a process saves files, each in a folder of its own, and says so."""
    heard = Heard()
    folder = run.disk.inner / "saved"
    count = run.instants * MOST + UNDER_WAY
    names = {f"f{number:04}": run.draw.randint(1, 5000) for number in range(count)}
    with subprocess.Popen(
        [sys.executable, "-c", _SAVING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=run.env or dict(os.environ),
    ) as saving:
        assert saving.stdin is not None
        assert saving.stdout is not None
        told, answers = saving.stdin, saving.stdout

        def push() -> None:
            for gone, (name, size) in enumerate(names.items()):
                heard.wait_to_go(gone)
                if heard.stop.is_set():
                    return
                told.write(f"{name} {size}\n")
                told.flush()
                answer = answers.readline().strip()
                assert answer == name
                heard.note(Ack("file", name, digest=_digest(name.encode() * size)))

        pushing = heard.during(push)
        taken = cut_at_random(run.disk, heard, run.draw, run.instants, MOST)
        heard.end()
        pushing.join()
        saving.kill()
    verdict = Verdict("todoke", "saved files")
    run.disk.off()
    for _, one in run.looked_at(taken, verdict):
        with run.disk.after(one.cut):
            lost = [ack.uid for ack in one.acks if _read(folder / ack.uid / "kept") != ack.digest]
            whole = {_digest(name.encode() * size) for name, size in names.items()}
            half = [str(p.parent) for p in folder.rglob("kept") if _read(p) not in whole]
            verdict.add(one.cut.kind, len(one.acks), lost, half)
    return verdict


def _read(path: Path) -> str:
    return _digest(path.read_bytes()) if path.exists() else ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
