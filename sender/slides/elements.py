"""Elements of the headers that are made here: set strictly, written alike every time."""

from __future__ import annotations

import io
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import format_number_as_ds

from common.errors import InputError


def put(dataset: Dataset, keyword: str, value: Any) -> None:
    """Set one element of a data set.

    Raises
    ------
    InputError
        The value cannot stand in it; the cause names the attribute, never the value.
    """
    try:
        element = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.RAISE)
    except (ValueError, TypeError, OverflowError):
        # pydicom quotes the value, which may be a patient's
        raise InputError(cause=f"slide case: {keyword}") from None
    dataset.add(element)


def written(header: Dataset) -> bytes:
    """Return a data set in Explicit VR Little Endian with defined lengths.

    Raises
    ------
    InputError
        A text cannot be written in UTF-8.
    """
    # text that cannot be coded stops here, CHR-03; the setting is pydicom's own and global
    before = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.RAISE
    buffer = io.BytesIO()
    try:
        dcmwrite(buffer, header, implicit_vr=False, little_endian=True)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise InputError(cause="slide case: text that cannot be written in UTF-8") from None
    finally:
        config.settings.writing_validation_mode = before
    return buffer.getvalue()


def item(**values: Any) -> Dataset:
    """Return an item of a sequence."""
    made = Dataset()
    for keyword, value in values.items():
        put(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Items:
    """Return a code sequence of one code (PS3.3 8.8)."""
    return Items([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def number_text(value: float) -> str:
    """Return a number as DS, at most 16 characters (PS3.5 6.2)."""
    return str(format_number_as_ds(float(value)))
