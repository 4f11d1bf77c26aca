"""How well series code: the bench's own beside what lies in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydicom import dcmread
from typer.testing import CliRunner

from conformance.bench import coding, series
from conformance.cli import app


def test_each_series_has_a_row_and_no_patient(tmp_path: Path) -> None:
    made = series.make(tmp_path / "noisy", 2, "x")
    flat = dcmread(made.files[0])
    flat.SeriesInstanceUID, flat.Manufacturer = "1.2.3", "FLAT"
    flat.PixelData = np.full((512, 512), -7, "<i2").tobytes()
    flat.save_as(tmp_path / "flat.dcm")
    (tmp_path / "none.txt").write_text("no image")
    rows = {row["maker"]: row for row in coding.measure(tmp_path)}
    assert list(rows) == ["TODOKE", coding.OWN, "FLAT"], "by what JPEG-LS makes of them"
    assert rows["TODOKE"]["slices"] == 2
    own = rows[coding.OWN]
    for name in ("htj2k", "jpegls"):
        ratio = rows["TODOKE"][name]["ratio"]
        assert 0.9 * own[name]["ratio"] < ratio < 1.1 * own[name]["ratio"]
        assert rows["FLAT"][name]["ratio"] > 100
    assert "SHIKEN" not in json.dumps(list(rows.values()))


def test_the_verb_prints_a_table(tmp_path: Path) -> None:
    series.make(tmp_path, 1, "x")
    done = CliRunner().invoke(app, ["bench", "coding", str(tmp_path)])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].startswith("| maker |")
    assert len(done.stdout.splitlines()) == 4
