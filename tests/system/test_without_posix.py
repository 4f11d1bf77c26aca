"""Two whole ends carry CT, MR and slides with everything taken away that Windows lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(180)
def test_the_demo_is_receipted_without_posix(
    without_posix_env: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "common.command", "demo", "--once", "--quick", "--json"],
        env={**without_posix_env, "TODOKE_WITHOUT_POSIX": str(tmp_path), "TODOKE_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    transfers = json.loads(done.stdout)["transfers"]
    assert {one["kind"] for one in transfers} == {"dicom", "slide"}
    for one in transfers:
        assert one["state"] == "receipted"
        assert one["digests_equal"] is True
    lines = [path.read_text("utf-8") for path in tmp_path.iterdir()]
    for verb in ("sender send", "receiver run"):
        assert any(verb in line for line in lines), f"{verb} ran with everything there"
