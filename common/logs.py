"""Operational logs: on stderr, one line an event, without patient data (AUD-10)."""

from __future__ import annotations

import logging
import traceback
import warnings
from types import TracebackType


def begin() -> None:
    """Set logging up for a process of ours.

    pydicom's own messages quote the values they complain of, which may be a
    patient's; they are left out.
    """
    shown = logging.StreamHandler()
    shown.setFormatter(_Formatter("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    quiet_pydicom()
    for chatty in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Formatter(logging.Formatter):
    """Shows where something failed and as what: the message could quote a patient's data."""

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        kind, _, trace = ei
        return f"{''.join(traceback.format_tb(trace))}{kind.__name__ if kind else ''}"


def quiet_pydicom() -> None:
    """Leave out what pydicom says of values."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
