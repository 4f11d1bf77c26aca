"""Arbitrary bytes into every parser: an error of ours or a value, soon, and in little memory.

``make test`` replays the regression corpus and draws some hundred mutations for each
parser; ``make test-long`` lets libFuzzer search, for ``TODOKE_FUZZ_SECONDS`` each.
"""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("files in memory and libFuzzer are Linux's", allow_module_level=True)

from tests.fuzz.targets import PLANTED, TARGETS

CORPUS = Path(__file__).parent / "corpus"
SECONDS = int(os.environ.get("TODOKE_FUZZ_SECONDS", "600"))  # of each parser, in the long form
HANG = 10.0  # seconds of processor time that one input may take
GROWTH = 256  # MB that this process may grow by, whatever it is fed
SOME = 250  # mutations of each parser, in the short form

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.filterwarnings("ignore"),  # pydicom's, which would end a reading early
]
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed"
)
every = pytest.mark.parametrize("name", sorted(TARGETS))


def _feed(name: str, data: bytes) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    TARGETS[name].feed(data)
    took = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert took < HANG, f"{took:.1f} s for {len(data)} bytes"
    assert grown < GROWTH, f"{grown} MB for {len(data)} bytes"


@every
def test_what_was_found_once(name: str) -> None:
    """The regression corpus, and what mutations begin with."""
    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    for data in (*kept, *TARGETS[name].seeds(), b""):
        _feed(name, data)


def test_the_corpus_is_of_parsers_that_are_there() -> None:
    folders = {path.name for path in CORPUS.iterdir() if any(path.iterdir())}
    assert folders <= TARGETS.keys()
    assert all(path.stat().st_size <= 1 << 16 for path in CORPUS.glob("*/*")), "small files"


@every
def test_mutations(name: str) -> None:
    """Seeds cut, spliced and changed in places that hypothesis draws, and shrinks."""
    pool = list(TARGETS[name].seeds())

    @settings(
        deadline=None,
        max_examples=SOME,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(pool), st.sampled_from(pool), st.randoms(use_true_random=False))
    def mutate(one: bytes, other: bytes, draw: random.Random) -> None:
        _feed(name, _mutated(one, other, draw))

    mutate()


def _mutated(one: bytes, other: bytes, draw: random.Random) -> bytes:
    data = bytearray(one)
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(data))
        match draw.randint(0, 4):
            case 0:
                del data[at : at + draw.choice([1, 2, 8, 1 << 16])]
            case 1:
                data[at : at + 4] = draw.choice([b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\xff"])
            case 2:
                data[at:at] = other[draw.randint(0, len(other)) :][:64]
            case 3:
                data[at:at] = data[max(0, at - 16) : at] * draw.choice([1, 50])
            case _ if at < len(data):
                data[at] ^= 1 << draw.randint(0, 7)
    return bytes(data)


def _search(
    name: str, corpus: Path, *options: str, seconds: int
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds)]
    return subprocess.run(
        [*line, "--corpus", str(corpus), *options],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 600,
    )


@needs_atheris
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("crash", ()),
        pytest.param("hang", ("--hang", "2"), marks=pytest.mark.slow),
        pytest.param("swell", (), marks=pytest.mark.slow),
    ],
)
def test_the_search_can_fail(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    assert name in PLANTED
    done = _search(name, tmp_path, *options, seconds=30)
    assert done.returncode != 0, done.stderr[-2000:]
    (found,) = (tmp_path / name).iterdir()
    assert found.read_bytes()[:1] == b"!"


@needs_atheris
@every
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 700)
def test_search(name: str) -> None:
    """libFuzzer, led by the branches that an input reaches; what it finds stays in the corpus."""
    done = _search(name, CORPUS, seconds=SECONDS)
    figures = [row for row in done.stderr.splitlines() if row.startswith("stat::")]
    print(name, *figures, sep="\n  ")
    assert done.returncode == 0, done.stderr[-4000:]
