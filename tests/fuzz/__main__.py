"""Fuzzes one target: ``python -m tests.fuzz NAME [--seconds 600] [--corpus DIR]``.

libFuzzer (through atheris) mutates the seeds and the regression corpus, led by the
branches of our own code that an input reaches.  The process ends with a code other
than 0 at the first input that raises what is no error of ours, takes longer than
``--hang`` seconds or makes it larger than ``--memory``; that input is then left in the
regression corpus, where every later run replays it first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"

with atheris.instrument_imports(include=["common", "sender", "receiver"]):
    from tests.fuzz.targets import PLANTED, TARGETS, Target


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS | PLANTED))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0 draws one")
    parser.add_argument("--hang", type=int, default=20, help="seconds of one input")
    parser.add_argument("--memory", type=int, default=768, help="MB resident")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="of regressions")
    given = parser.parse_args()
    target = (TARGETS | PLANTED)[given.target]
    kept = given.corpus / target.name
    kept.mkdir(parents=True, exist_ok=True)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk is waited for
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{target.name}-", dir=memory) as work:
        child = os.fork()  # libFuzzer ends its process without a word
        if not child:
            tempfile.tempdir = work
            (corpus := Path(work) / "corpus").mkdir()
            _fuzz(target, given, corpus, kept)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(abs(code))


def _fuzz(target: Target, given: argparse.Namespace, work: Path, kept: Path) -> None:
    for number, seed in enumerate(target.seeds()):
        (work / f"seed-{number}").write_bytes(seed)
    options = {
        "max_total_time": given.seconds,
        "timeout": given.hang,
        "rss_limit_mb": given.memory,
        "max_len": target.longest,
        "seed": given.seed,
        "print_final_stats": 1,
        "artifact_prefix": f"{kept}/",
        "reload": 0,
    }
    words = [sys.argv[0], *(f"-{name}={value}" for name, value in options.items())]
    atheris.Setup([*words, str(work), str(kept)], target.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
