"""Operational logs: on stderr, one line an event, without patient data (AUD-10)."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType

log = logging.getLogger("todoke")


def begin() -> None:
    """Set logging up for a process of ours.

    pydicom's own messages quote the values they complain of, which may be a
    patient's; they are left out.  So is the message of an exception that nobody
    caught: what failed and where is enough to find it.
    """
    shown = logging.StreamHandler()
    shown.setFormatter(_Formatter("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    quiet_pydicom()
    for chatty in ("uvicorn", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("asyncio").addFilter(_first_line)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(
    kind: type[BaseException], failure: BaseException | None, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.critical("failed", exc_info=(kind, failure or kind(), trace))


def _first_line(record: logging.LogRecord) -> bool:
    """Keep what happened; the lines below show a task with its arguments and its exception."""
    record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


class _Formatter(logging.Formatter):
    """Shows where something failed and as what: the message could quote a patient's data.

    What is logged stays in its line, whatever a peer put into it.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = visible(record.message)
        return super().formatMessage(record)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        kind, _, trace = ei
        return f"{''.join(traceback.format_tb(trace))}{kind.__name__ if kind else ''}"


def place(trace: TracebackType | None) -> str:
    """Return where something failed, in one line and without its message."""
    frames = traceback.extract_tb(trace)
    return " > ".join(f"{one.filename}:{one.lineno} {one.name}" for one in frames)


def visible(text: str) -> str:
    """Return words with what is no letter or sign escaped as Python writes it.

    So a peer's name with a line feed, or one that turns the direction of writing,
    cannot look like a line or a word of ours.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def quiet_pydicom() -> None:
    """Leave out what pydicom says of values."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
