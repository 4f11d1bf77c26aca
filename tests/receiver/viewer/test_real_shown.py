"""Every real file is opened in the reading room: each shows an image, or says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.viewer_services import PAGES
from tests.receiver.viewer import real_shown
from tests.receiver.viewer.seen import IMAGE, NOTHING, Seen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.slow]
#: Of 255: what two libraries make of one lossy codestream, or of one rounding, is not the same.
CLOSE = 3
#: The pixels are not square (1.2 x 1.2012 mm, 0.545 x 0.597 mm): drawn in their true
#: proportions, their rows fall between those of the screen at 1:1.  One is lossy JPEG of 12
#: bits, whose values are one or two apart (test_jpeg_extended.py): four greys of its window.
FAR = {
    "dicom/cornerstone3D/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm",
    "dicom/highdicom/dx_image.dcm",
    "dicom/pydicom/test_files/dicomdirtests/98892001/CT2N/6293",
    "dicom/pydicom/test_files/dicomdirtests/98892001/CT2N/6924",
}


@pytest.mark.timeout(3600)
@pytest.mark.requirement("RAD-02", "RAD-04")
def test_each_real_file_shows_an_image_or_words(real_data: Path) -> None:
    if not (PAGES / "index.html").exists():
        pytest.skip("the viewer has not been built")
    # apart from this process: Playwright's loop must not meet another fixture's
    script = (
        "import sys, json, dataclasses, pathlib; from tests.receiver.viewer import real_shown;"
        "seen = real_shown.measure(pathlib.Path(sys.argv[1]));"
        "print(json.dumps([dataclasses.astuple(one) for one in seen]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(real_data)], capture_output=True, text=True, check=True
    )
    seen = [Seen(*row) for row in json.loads(told.stdout.splitlines()[-1])]
    assert not [one.name for one in seen if one.result == NOTHING]
    assert [(one.name, one.result, one.words) for one in seen] == [
        (one.name, one.result, one.words) for one in real_shown.known()
    ]


def test_what_is_shown_is_what_pydicom_computes() -> None:
    """Of those that were compared when the page was made: it is measured, not written."""
    compared = [one for one in real_shown.known() if one.result == IMAGE and one.apart is not None]
    assert len(compared) > 500
    assert {one.name for one in compared if (one.apart or 0) > CLOSE} == FAR
