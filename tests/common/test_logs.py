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


@pytest.mark.badinput(88, "newline in the address")
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


UNCAUGHT = {
    "in the main thread": "int('YAMADA^' + 'TARO')",
    "in a thread": "threading.Thread(target=int, args=('YAMADA^' + 'TARO',)).start()",
    "in a task": "asyncio.run(fail())",
    "where nothing can be raised": "Ends()",
}
WAYS = """
import asyncio, gc, threading
from common import logs
logs.begin()

class Ends:
    def __del__(self):
        int("YAMADA^" + "TARO")

async def fail():
    async def one(name):
        int(name)
    task = asyncio.create_task(one("YAMADA^" + "TARO"), name="YAMADA^" + "TARO")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

"""


@pytest.mark.parametrize("way", UNCAUGHT)
@pytest.mark.requirement("AUD-10")
def test_what_nobody_caught_is_told_without_its_message(way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAYS + UNCAUGHT[way]], capture_output=True, text=True, check=False
    )
    assert "ValueError" in done.stderr
    assert "YAMADA^TARO" not in done.stderr + done.stdout
    assert done.returncode == (1 if way == "in the main thread" else 0)
