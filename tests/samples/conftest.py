"""One quick set of samples for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples.make import Made, make_samples


@pytest.fixture(scope="session")
def quick_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Made]]:
    """Folder and list of a set made once with seed 1."""
    folder = tmp_path_factory.mktemp("samples")
    return folder, make_samples(folder, quick=True)
