"""A pair of ends to copy, and a disk for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.ends import Ends
from tests.system.powercut.disk import Disk, NoDisk


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """Two ends that are paired and do not run."""
    pair = Ends(Path(tmp_path_factory.mktemp("paired")))
    pair.pair()
    pair.stop_receiver()
    return pair


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk whose power can be cut."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        made = Disk(folder).__enter__()
    except NoDisk as failure:
        pytest.skip(str(failure))
    try:
        yield made
    finally:
        made.__exit__(None, None, None)
