"""A DICOM file that is a program too is not sent; one that is a TIFF too goes, with a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ProgramToo
from samples.forged import CASES
from samples.names import TAKAHASHI
from samples.study import Study
from sender import identity
from sender.safety import notes, preamble

pytestmark = [pytest.mark.evidence, pytest.mark.requirement("DAT-14")]

STARTS = [
    *preamble.BLOCKED,
    b"<!DOCTYPE html><script>",
    b"\xef\xbb\xbf\r\n  <html>",
    b"#!/usr/bin/env python3\n",
]


@pytest.fixture(scope="module")
def behind() -> bytes:
    """A DICOM file from behind its preamble."""
    return samples("preamble-pe")[128:]


def samples(name: str) -> bytes:
    """Return the first file of one case of the forged samples."""
    (case,) = (one for one in CASES if one.name == name)
    return next(case.files(Study(f"forged-{name}", TAKAHASHI, 1, 3)))[1]


@pytest.mark.parametrize("start", STARTS, ids=repr)
def test_programs_and_documents_are_refused(tmp_path: Path, behind: bytes, start: bytes) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(start.ljust(128, b"\0") + behind)
    with pytest.raises(ProgramToo) as refused:
        identity.read(str(path))
    assert path.name not in str(refused.value)


@pytest.mark.parametrize("start", [b"", b"II*\0", b"MM\0*", b"II+\0", b"vendor's own", b"M\0Z"])
def test_others_go_and_a_tiff_with_a_note(tmp_path: Path, behind: bytes, start: bytes) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(start.ljust(128, b"\0") + behind)
    found = identity.read(str(path))
    assert found is not None
    assert (notes.TIFF_TOO in found.noted) is (start[:2] in (b"II", b"MM"))
    assert found.instance.offset >= 132, "what is sent begins behind the preamble"


def test_the_forged_samples_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "pe.dcm").write_bytes(samples("preamble-pe"))
    (tmp_path / "tiff.dcm").write_bytes(samples("preamble-tiff"))
    with pytest.raises(ProgramToo):
        identity.read(str(tmp_path / "pe.dcm"))
    found = identity.read(str(tmp_path / "tiff.dcm"))
    assert found is not None
    assert found.noted == (notes.TIFF_TOO,)
