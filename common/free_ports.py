"""Ports of the loopback address that nobody listens on."""

from __future__ import annotations

import contextlib
import secrets
import socket

# Below what systems give outgoing connections (Linux from 32768, others from 49152): a port
# found free there may be some connection's before its listener has started.
PORTS = range(10_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Return ports that are free on the loopback address just now.

    Parameters
    ----------
    count : int
        How many; they differ from each other.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            one = held.enter_context(socket.socket())
            port = PORTS.start + secrets.randbelow(len(PORTS))
            if _binds(one, port):
                ports.append(port)
    return ports


def _binds(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
