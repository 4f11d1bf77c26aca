"""The mark 試験: how both ends know that data are samples and no patient's.

A marked DICOM data set has the private block ``TODOKE 1.0`` in group 0011 with
element 01 (LO, the text 試験); a marked slide file has ``|todoke = TEST`` in its
Aperio image description.  Words in descriptions are for people, only these two
are for the machine (PS3.5 section 7.8.1 for private blocks).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

TEST_GROUP: Final = 0x0011
TEST_BLOCK: Final = "TODOKE 1.0"
TEST_ELEMENT: Final = 0x01
TEST_WORD: Final = "試験"
TEST_DESCRIPTION: Final = "|todoke = TEST"

_IN_DESCRIPTION = re.compile(r"\|\s*todoke\s*=\s*TEST\s*(?:\||$)")


def mark_test_dataset(ds: Dataset) -> None:
    """Put the mark into a data set whose Specific Character Set can hold 試験."""
    ds.private_block(TEST_GROUP, TEST_BLOCK, create=True).add_new(TEST_ELEMENT, "LO", TEST_WORD)


def is_test_dataset(ds: Dataset) -> bool:
    """Tell whether a data set carries the mark.

    The element alone decides, whatever its bytes: a peer that rewrites the data set
    as Implicit VR turns it into UN, and one that changes the character set may turn
    the word into question marks.
    """
    try:
        return TEST_ELEMENT in ds.private_block(TEST_GROUP, TEST_BLOCK)
    except KeyError:
        return False


def is_test_description(text: str) -> bool:
    """Tell whether an Aperio image description carries the mark."""
    return _IN_DESCRIPTION.search(text) is not None
