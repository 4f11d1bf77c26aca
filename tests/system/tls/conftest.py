"""One receiver for all these tests, with two hospitals and a product that has a CA of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.tls.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The receiver runs; a test that needs another profile says so by `site.speak`."""
    made = Site(Path(tmp_path_factory.mktemp("site")))
    yield made
    made.ends.stop_receiver()
