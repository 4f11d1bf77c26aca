"""How far this machine's clock is from a time server, and which one that is (AUD-03; RFC 5905)."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

PORT = 123
PATIENCE = 2.0  # seconds
_ERA = 2_208_988_800  # seconds from 1900 to 1970
_FORM = struct.Struct("!BBBbII4sQQQQ")


def words(server: str, bound_ms: int) -> dict[str, Any]:
    """Return what is said of the clock beside a signature.

    Parameters
    ----------
    server : str
        ``host`` or ``host:port`` of an NTP server; empty: none is asked.
    bound_ms : int

    Returns
    -------
    dict
        ``source``, ``offset_ms`` (its clock minus ours; None where nobody answered),
        ``round_trip_ms``, ``stratum``, ``bound_ms``, ``within``.
    """
    said: dict[str, Any] = {
        "source": server or "none",
        "offset_ms": None,
        "bound_ms": bound_ms,
        "within": False,
    }
    if server:
        try:
            said |= ask(server)
            said["within"] = abs(said["offset_ms"]) + said["round_trip_ms"] / 2 <= bound_ms
        except (OSError, ValueError, struct.error) as failure:
            said["cause"] = type(failure).__name__
    return said


def ask(server: str) -> dict[str, Any]:
    """Ask an NTP server once (SNTP, RFC 5905 section 14).

    Raises
    ------
    OSError
        It does not answer.
    ValueError
        What it answers is no time, or it has none itself.
    """
    host, _, port = server.partition(":")
    sent = time.time()
    mark = _to_ntp(sent)
    kind, _, _, _, address = socket.getaddrinfo(host, int(port or PORT), type=socket.SOCK_DGRAM)[0]
    with socket.socket(kind, socket.SOCK_DGRAM) as line:
        line.settimeout(PATIENCE)
        line.connect(address)
        line.send(_FORM.pack(0x23, 0, 0, 0, 0, 0, b"", 0, 0, 0, mark))
        answer = line.recv(512)
    came = time.time()
    flags, stratum, *_rest = _FORM.unpack(answer[: _FORM.size])
    origin, received, transmitted = _FORM.unpack(answer[: _FORM.size])[8:11]
    if origin != mark or flags & 7 != 4 or flags >> 6 == 3 or not 1 <= stratum <= 15:
        raise ValueError("no time")
    there, back = _from_ntp(received) - sent, _from_ntp(transmitted) - came
    trip = (came - sent) - (_from_ntp(transmitted) - _from_ntp(received))
    return {
        "offset_ms": round(500 * (there + back)),
        "round_trip_ms": max(0, round(1000 * trip)),
        "stratum": stratum,
    }


def _to_ntp(seconds: float) -> int:
    return round((seconds + _ERA) * (1 << 32)) & ((1 << 64) - 1)


def _from_ntp(stamp: int) -> float:
    return stamp / (1 << 32) - _ERA
