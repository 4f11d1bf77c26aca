"""What the bench measured, as a person and as the page of the documentation show it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common import console
from common.errors import NotFound, UsageError
from conformance.bench import markdown, table

MACHINE = {
    "command": "todoke bench dicom --rounds 7 --json",
    "date": "2026-01-02T03:04:05+00:00",
    "cpu": "Example CPU", "cores": 2, "memory": "24 kB", "system": "Linux 6.1",
    "python": "3.11.7", "openssl": "OpenSSL 3.0",
    "folder": "tmpfs", "disk": "ext4",
    "page_cache": {"ja": "毎回1回読む", "en": "read once"},
    "load": {"before": [0.1, 0.2, 0.3], "after": [2.0, 1.5, 0.9]},
    "todoke": "0.1.0", "peers": {"DCMTK": "3.6.7", "Orthanc": None}, "quick": False,
}  # fmt: skip
ROW = {
    "case": "disk", "ours": "todoke", "peer": "DCMTK", "slices": 500,
    "ours_s": [1.0, 2.0, 1.5], "peer_s": [3.0], "ratio": 2.0, "goal": 1.0,
    "cpu_s": {"ours": 1.5, "peer": 0.5},
    "memory_mb": {"ours": 90.0, "sender": 60.0, "receiver_dicom": 70.5, "peer": 18.0},
}  # fmt: skip
MISSED = ROW | {
    "peer": "bound 0.5 s", "ratio": 0.5, "cpu_s": {"ours": 1.5, "peer": None},
    "memory_mb": {"ours": 90.0, "sender": None, "receiver_dicom": None, "peer": None},
}  # fmt: skip
LEFT = {
    "case": "loopback", "ours": "todoke", "peer": "DCMTK -> Orthanc", "goal": 3,
    "reason": {"number": "E-1005", "ja": "Orthanc が見つかりません", "en": "Orthanc | not found"},
}  # fmt: skip
WORDS: dict[str, Any] = {"machine": MACHINE, "cases": [ROW, MISSED], "left_out": [LEFT]}

PAGE = Path(__file__).with_name("page.md").read_text("utf-8").rstrip("\n")


def test_page_holds_command_machine_and_every_row() -> None:
    assert markdown.page(WORDS) == PAGE


@pytest.mark.parametrize(
    ("lang", "seen"), [("ja", ("毎回1回読む", "測っていない", "0.50 ×")), ("en", ("left out",))]
)
def test_table_marks_what_misses_and_names_what_is_not_there(
    lang: str, seen: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    console.choose_language(lang)
    try:
        table.show(WORDS)
    finally:
        console.choose_language(None)
    out = capsys.readouterr().out
    assert "DCMTK -> Orthanc" in out
    assert "2.00 ×" not in out
    assert all(word in out for word in seen)


def test_verb_writes_the_page_of_each_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(WORDS), "utf-8")
    line = [sys.executable, "-m", "common.command", "bench", "table", str(path), str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{PAGE}\n\n" * 2


@pytest.mark.parametrize("text", ["", "[]", '{"cases": []}'])
def test_file_of_something_else_is_said_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bench\.json"):
        markdown.load(path)
    with pytest.raises(NotFound):
        markdown.load(tmp_path / "none.json")
