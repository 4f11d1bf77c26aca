"""The data of the benches: the same for the same seed, read by others, noisy as a scan is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread

from conformance.bench.series import NOISE, PADDING, make


def test_same_seed_same_bytes_and_other_seed_other_study(tmp_path: Path) -> None:
    one, same, other = (
        make(tmp_path / name, 2, seed) for name, seed in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert [f.read_bytes() for f in one.files] == [f.read_bytes() for f in same.files]
    assert one.study_uid == same.study_uid != other.study_uid
    assert set(one.instance_uids).isdisjoint(other.instance_uids)
    assert one.bytes == sum(f.stat().st_size for f in one.files)


def test_slices_are_marked_and_noisy(tmp_path: Path) -> None:
    made = make(tmp_path / "series", 3, "x")
    sets = [dcmread(path) for path in made.files]
    assert [ds.InstanceNumber for ds in sets] == [1, 2, 3]
    assert tuple(ds.SOPInstanceUID for ds in sets) == made.instance_uids
    for ds in sets:
        assert ds.PatientID.startswith("TODOKE-TEST")
        assert ds.StudyDescription == "試験"
        pixels = ds.pixel_array
        air = pixels[226:286, 12:36].astype(float)
        assert 0.9 * NOISE < air.std() < 1.1 * NOISE
        assert abs(air.mean() + 1000) < 2
        assert set(pixels[:60, :60].flat) == {PADDING}, "nothing is reconstructed there"
    first, second = (ds.pixel_array for ds in sets[:2])
    assert not np.array_equal(first, second)
