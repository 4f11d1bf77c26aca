"""What a codestream says of its loss, whatever the object around it says."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from sender.facts import loses

pytestmark = pytest.mark.evidence
PIXELS = np.random.default_rng(1).integers(0, 4096, (64, 64)).astype(np.uint16)


@pytest.mark.requirement("DIR-09")
@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("kind", ["jpeg2k", "htj2k"])
def test_the_codestream_tells_how_it_was_made(kind: str, reversible: bool) -> None:
    if kind == "jpeg2k":
        level = 0 if reversible else 60
        coded = imagecodecs.jpeg2k_encode(
            PIXELS, level=level, reversible=reversible, codecformat="j2k"
        )
        back = imagecodecs.jpeg2k_decode(coded)
    else:
        coded = bytes(imagecodecs.htj2k_encode(PIXELS, reversible=reversible))
        back = imagecodecs.htj2k_decode(coded)
    assert np.array_equal(back, PIXELS) is reversible
    item = b"\xfe\xff\0\xe0" + len(coded).to_bytes(4, "little")
    assert loses(item + bytes(coded[:4096])) is not reversible


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_a_stream_that_is_cut_or_none_says_nothing_and_ends(length: int) -> None:
    coded = imagecodecs.jpeg2k_encode(PIXELS, level=60, reversible=False, codecformat="j2k")
    assert loses(bytes(coded[:length])) in (True, False)
    assert not loses(b"\xff\x4f\xff\x51" + bytes(length))
    assert not loses(bytes(length))
