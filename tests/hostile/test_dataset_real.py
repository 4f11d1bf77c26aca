"""Every malformed file of the real samples ends clearly at each door, as the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import dataset_real

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(300)
def test_the_page_says_what_becomes_of_each_file(real_data: Path) -> None:
    assert (ROOT / dataset_real.PAGE).read_text("utf-8") == dataset_real.page(real_data)
