"""Addresses as people type them: HOST:PORT, with brackets around IPv6."""

from __future__ import annotations

from common.errors import UsageError


def split_address(text: str, option: str) -> tuple[str, int]:
    """Return host and port.

    Parameters
    ----------
    option : str
        Where it was typed, for the error.

    Raises
    ------
    UsageError
        It is not HOST:PORT.
    """
    host, _, port = text.rpartition(":")
    if not host.strip("[]") or not port.isdecimal() or int(port) > 65535:
        raise UsageError(cause=f"{option} HOST:PORT: {text}")
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    """Return an address as it is typed."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
