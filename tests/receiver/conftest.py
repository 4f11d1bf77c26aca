"""A filled receiver for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.receiver.filled import PASSWORD, USER, Filled
from tests.receiver.handing import handing
from tests.receiver.linking import linked

__all__ = ["handing", "linked"]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """An empty receiver with two partners and one user."""
    made = Filled(tmp_path / "receiver")
    made.user()
    yield made
    made.close()


@dataclass(frozen=True)
class ViewerServer:
    """A viewer's door that serves, and who may sign in there."""

    url: str
    user: str
    password: str
    filled: Filled


@pytest.fixture
def viewer_server(filled: Filled) -> Iterator[ViewerServer]:
    """The viewer's door on a free port over plain HTTP; fill it through ``.filled``."""
    with filled.serve() as url:
        yield ViewerServer(url, USER, PASSWORD, filled)
