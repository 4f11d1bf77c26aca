"""Loaded by the processes of a receiver under test: writes down every connection they dial."""

from __future__ import annotations

import os
import socket
import sys


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        dialling, address = arguments
        if getattr(dialling, "family", None) in (socket.AF_INET, socket.AF_INET6):
            _write(f"connect {address}\n")
    elif event in ("urllib.Request", "ftplib.connect", "http.client.connect"):
        _write(f"{event} {arguments[:2]}\n")


def _write(line: str) -> None:
    fd = os.open(os.environ["TODOKE_TEST_DIALLED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, line.encode("utf-8", "replace"))
    os.close(fd)


sys.addaudithook(_note)
