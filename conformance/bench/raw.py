"""A raw copy over mutual TLS: the limit of a line, no protocol above it.

::

    python -m conformance.bench.raw receive PORT FILE KEY CERTIFICATE CA
    python -m conformance.bench.raw send    PORT FOLDER KEY CERTIFICATE CA
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from pathlib import Path

PIECE = 1 << 20
DONE = b"\x06"


def context(key: str, certificate: str, ca: str, *, server: bool) -> ssl.SSLContext:
    """Return a TLS 1.3 context that shows a certificate and asks for one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(certificate, key)
    made.load_verify_locations(ca)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def receive(port: int, target: Path, tls: ssl.SSLContext) -> None:
    """Take one copy after the other into the same file."""
    buffer = memoryview(bytearray(PIECE))
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            plain, _ = listener.accept()
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                with tls.wrap_socket(plain, server_side=True) as end, target.open("wb") as file:
                    head = end.recv(8)
                    if len(head) < 8:
                        continue
                    (left,) = struct.unpack(">Q", head)
                    while left and (count := end.recv_into(buffer)):
                        file.write(buffer[:count])
                        left -= count
                    end.sendall(DONE)
            except OSError:
                continue  # somebody looked whether the port is open


def send(port: int, folder: Path, tls: ssl.SSLContext) -> None:
    """Send every file of a folder and wait for the answer to the last byte."""
    files = sorted(folder.iterdir())
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with tls.wrap_socket(plain, server_hostname="localhost") as end:
            end.sendall(struct.pack(">Q", sum(file.stat().st_size for file in files)))
            for file in files:
                end.sendall(file.read_bytes())
            if end.recv(1) != DONE:
                raise SystemExit(1)


def main() -> None:
    """Run one end."""
    if sys.argv[1] == "--version":
        return
    role, port, path, *files = sys.argv[1:]
    tls = context(*files, server=role == "receive")
    (receive if role == "receive" else send)(int(port), Path(path), tls)


if __name__ == "__main__":
    main()
