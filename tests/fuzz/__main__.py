"""Fuzzes one target: ``python -m tests.fuzz NAME [--seconds 600] [--corpus DIR]``.

libFuzzer (through atheris) mutates the seeds and the regression corpus, led by the
branches of our own code that an input reaches.  The process ends with a code other
than 0 at the first input that raises what is no error of ours, takes longer than
``HANG`` seconds or makes it larger than ``MEMORY``; that input is then left in the
corpus folder under the name that libFuzzer prints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

HANG = 20  # seconds of one input; 5 on a machine that does nothing else
MEMORY = 768  # MB resident, whatever the inputs before were
CORPUS = Path(__file__).parent / "corpus"

with atheris.instrument_imports(include=["common", "sender", "receiver"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0 draws one")
    parser.add_argument("--corpus", type=Path, help="where new inputs are kept")
    given = parser.parse_args()
    target = TARGETS[given.target]
    kept = CORPUS / target.name
    kept.mkdir(parents=True, exist_ok=True)
    work = given.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{target.name}-"))
    work.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (work / f"seed-{number}").write_bytes(seed)
    options = {
        "max_total_time": given.seconds,
        "timeout": HANG,
        "rss_limit_mb": MEMORY,
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
