"""The `todoke` script: the room named on the line and no other is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from common.proof import verify


def run(*words: str, lang: str = "en") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "common.command", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        env={**os.environ, "TODOKE_LANG": lang, "PYTHONIOENCODING": "utf-8"},
    )


def test_version() -> None:
    assert run("--version").stdout == f"todoke {version('todoke')}\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_is_no_error(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (0, "")
    assert "todoke receiver" in done.stderr


def test_an_unknown_room_is_a_usage_error_with_the_way_on() -> None:
    done = run("sendr", "--help")
    assert done.returncode == 2
    assert "todoke sender" in done.stderr


@pytest.mark.parametrize("words", [("--lang", "ja", "help"), ("help", "--lang=ja")])
def test_the_language_may_stand_anywhere(words: tuple[str, ...]) -> None:
    assert "依頼側" in run(*words).stderr


@pytest.mark.parametrize("room", ["sender", "receiver", "conformance", "samples"])
def test_help_loads_no_room(room: str) -> None:
    code = (
        "import sys; sys.argv = ['todoke', '--help']\n"
        "from common.command import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"assert not [name for name in sys.modules if name.split('.')[0] == '{room}']"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_verify_stands_at_the_top_and_needs_no_room(tmp_path: Path) -> None:
    given = tmp_path / "verify.py"
    assert run("verify", "--write", str(given)).returncode == 0
    assert given.read_bytes() == Path(verify.__file__).read_bytes()
    done = run("verify", str(tmp_path / "none.json"), lang="ja")
    assert (done.returncode, "証跡記録として読めません" in done.stdout) == (2, True)
