"""Fixtures of the tests that start whole processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.ends import Ends


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """A paired sender and a running receiver, shared by the tests of a module."""
    pair = Ends(Path(tmp_path_factory.mktemp("ends")))
    pair.pair()
    try:
        yield pair
    finally:
        pair.stop_receiver()
