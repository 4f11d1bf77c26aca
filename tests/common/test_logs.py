"""What a log must not say (AUD-10)."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import logging
from common import logs
logs.begin()
try:
    int("YAMADA^TARO")
except ValueError:
    logging.getLogger("uvicorn.error").exception("failed")
"""


def test_a_failure_is_logged_without_the_value_that_caused_it() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stderr
    assert "failed" in said
    assert "line 6" in said
    assert "ValueError" in said
    assert "YAMADA" not in said.replace('int("YAMADA^TARO")', "")
