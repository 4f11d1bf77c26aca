"""One receiver for all hostile tests of a process, watched around each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.standing import Standing


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A receiver with two partners and a study of each."""
    made = Standing(Path(tmp_path_factory.mktemp("standing")))
    yield made
    made.ends.stop_receiver()


@pytest.fixture
def standing(receiver: Standing) -> Iterator[Standing]:
    """The receiver, which must be after the test as it was before."""
    with receiver.watched():
        yield receiver
