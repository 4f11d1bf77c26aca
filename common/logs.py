"""Operational logs: on stderr, one line an event, without patient data (AUD-10)."""

from __future__ import annotations

import logging
import warnings


def begin() -> None:
    """Set logging up for a process of ours.

    pydicom's own messages quote the values they complain of, which may be a
    patient's; they are left out.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    quiet_pydicom()
    for chatty in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def quiet_pydicom() -> None:
    """Leave out what pydicom says of values."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
