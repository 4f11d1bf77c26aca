"""Operational logs: on stderr, one line an event, without patient data (AUD-10)."""

from __future__ import annotations

import logging
import re
import traceback
import warnings
from types import TracebackType

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


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
    """Shows where something failed and as what: the message could quote a patient's data.

    What a peer says may hold line ends and terminal codes: a message stays one line.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _CONTROLS.sub(lambda sign: f"\\x{ord(sign[0]):02x}", record.message)
        return super().formatMessage(record)

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
