"""Studies that only look like images straight from a device, and files that are odd but right.

Each case is one folder that stands for one thing a hospital has once sent; the list
says in words what is wrong with it, or that nothing is, which rules and checks find it,
and where none does (DIR-14).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from samples.forged.case import Case, Expected
from samples.forged.cases import CASES
from samples.study import Study

__all__ = ["CASES", "Case", "Expected", "study_of", "write_case", "write_forged"]


def study_of(case: Case, seed: int) -> Study:
    """Return the study that a case's files are of."""
    return Study(f"forged-{case.name}", case.patient, seed, case.size)


def write_case(case: Case, folder: Path, seed: int) -> tuple[Path, Study]:
    """Write one case into a folder of its own below ``folder``; return it and the study."""
    study = study_of(case, seed)
    target = folder / f"seed{seed}-{case.name}"
    target.mkdir(parents=True, exist_ok=True)
    for name, content in case.files(study):
        (target / name).write_bytes(content)
    return target, study


def write_forged(folder: Path, seed: int) -> Iterator[tuple[Case, Path, Study]]:
    """Write every case into a folder of its own below ``folder`` and yield it.

    Parameters
    ----------
    seed
        The same seed gives the same bytes.
    """
    for case in CASES:
        yield case, *write_case(case, folder, seed)
