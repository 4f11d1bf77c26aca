from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UsageError
from samples.make import Made, make_samples

QuickSet = tuple[Path, list[Made]]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.requirement("TST-02")
def test_same_seed_same_bytes_in_another_process(quick_set: QuickSet, tmp_path: Path) -> None:
    line = ["-m", "common.command", "samples", "make", str(tmp_path), "--quick", "--json"]
    ran = subprocess.run(
        [sys.executable, *line], capture_output=True, check=True, env={**os.environ, "LANG": "C"}
    )
    assert digests(tmp_path) == digests(quick_set[0])
    told = json.loads(ran.stdout)
    assert told["test"] is True
    assert [one["path"] for one in told["made"]] == [made.path for made in quick_set[1]]


def test_another_seed_is_another_study_of_other_pixels(quick_set: QuickSet, tmp_path: Path) -> None:
    made = make_samples(tmp_path, only=("mr",), seed=2, quick=True)
    (before,) = (one for one in quick_set[1] if one.kind == "mr")
    assert made[0].study_uid != before.study_uid
    assert not set(digests(tmp_path / "mr").values()) & set(digests(quick_set[0]).values())


def test_a_quick_series_never_claims_the_uids_of_a_full_one(tmp_path: Path) -> None:
    quick = make_samples(tmp_path, only=("mr",), quick=True)
    full = make_samples(tmp_path, only=("mr",))
    assert quick[0].study_uid != full[0].study_uid
    assert quick[0].path != full[0].path
    assert full[0].files == 24


def test_names_of_files_are_plain_ascii_and_the_readme_says_what_it_is(
    quick_set: QuickSet,
) -> None:
    assert all(name.isascii() and " " not in name for name in digests(quick_set[0]))
    readme = (quick_set[0] / "README.txt").read_text("utf-8")
    assert "試験" in readme
    assert "Synthetic" in readme


@pytest.mark.parametrize("wrong", [{"only": ("ct", "xa")}, {"seed": -1}])
def test_a_wrong_line_is_refused(wrong: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make_samples(tmp_path / "new", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
