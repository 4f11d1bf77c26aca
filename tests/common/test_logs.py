"""What a log must not say (AUD-10)."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging
from common import logs
logs.begin()
try:
    int("YAMADA^TARO")
except ValueError:
    logging.getLogger("uvicorn.error").exception("failed")
"""


LINES = """
import logging
from common import logs
logs.begin()
logging.getLogger("todoke").warning("path %s", "/a\\n2026-01-01 todoke all is well\\u2028\\x1b[2J")
"""


@pytest.mark.badinput(88, "log injection")
def test_what_a_peer_says_stays_in_its_line() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LINES], capture_output=True, text=True, check=True
    ).stderr
    assert said.rstrip("\n").isprintable()
    assert "\\n2026-01-01 todoke all is well\\u2028\\x1b[2J" in said


def test_a_failure_is_logged_without_the_value_that_caused_it() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stderr
    assert "failed" in said
    assert "line 6" in said
    assert "ValueError" in said
    assert "YAMADA" not in said.replace('int("YAMADA^TARO")', "")
