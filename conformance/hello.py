"""A TLS ClientHello written by hand (RFC 5246 7.4.1.2, RFC 4346).

Asking our own TLS library for an old version or a weak suite would show only
what *it* refuses.  These bytes ask the receiver itself; its first record is the
whole answer.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from conformance.target import Target

TLS_1_0, TLS_1_1, TLS_1_2 = 0x0301, 0x0302, 0x0303
VERSION_NAMES = {
    0x0300: "SSL 3.0",
    TLS_1_0: "TLS 1.0",
    TLS_1_1: "TLS 1.1",
    TLS_1_2: "TLS 1.2",
}
ECDHE_AEAD = {
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
    0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
CBC = {
    0xC009: "ECDHE-ECDSA-AES128-SHA",
    0xC00A: "ECDHE-ECDSA-AES256-SHA",
    0xC013: "ECDHE-RSA-AES128-SHA",
    0xC014: "ECDHE-RSA-AES256-SHA",
    0xC023: "ECDHE-ECDSA-AES128-SHA256",
    0xC024: "ECDHE-ECDSA-AES256-SHA384",
    0xC027: "ECDHE-RSA-AES128-SHA256",
    0xC028: "ECDHE-RSA-AES256-SHA384",
    0x0033: "DHE-RSA-AES128-SHA",
    0x0039: "DHE-RSA-AES256-SHA",
    0x002F: "AES128-SHA",
    0x0035: "AES256-SHA",
    0x000A: "DES-CBC3-SHA",
}
STATIC_RSA = {
    0x009C: "AES128-GCM-SHA256",
    0x009D: "AES256-GCM-SHA384",
    0x002F: "AES128-SHA",
    0x0035: "AES256-SHA",
}
_NAMES = ECDHE_AEAD | CBC | STATIC_RSA
_HANDSHAKE, _ALERT, _SERVER_HELLO = 22, 21, 2
# supported_groups, ec_point_formats, signature_algorithms (ECDSA and RSA with SHA-2 and SHA-1)
_GROUPS = b"\x00\x0a\x00\x08\x00\x06\x00\x17\x00\x18\x00\x1d"
_POINTS = b"\x00\x0b\x00\x02\x01\x00"
_SCHEMES = (
    b"\x00\x0d\x00\x16\x00\x14\x04\x03\x05\x03\x06\x03\x08\x04\x08\x05\x08\x06"
    b"\x04\x01\x05\x01\x06\x01\x02\x01"
)


@dataclass(frozen=True, slots=True)
class Hello:
    """The answer: what was chosen, or how it was refused."""

    chosen: bool
    words: str


def client_hello(version: int, suites: dict[int, str], server_name: str) -> bytes:
    """Return one TLS record with a ClientHello for the version and the suites alone."""
    listed = b"".join(suite.to_bytes(2, "big") for suite in suites)
    extensions = _server_name(server_name) + _GROUPS + _POINTS
    if version >= TLS_1_2:
        extensions += _SCHEMES
    body = (
        version.to_bytes(2, "big")
        + bytes(range(32))  # the random of a handshake that is never finished
        + b"\x00"
        + len(listed).to_bytes(2, "big")
        + listed
        + b"\x01\x00"
        + len(extensions).to_bytes(2, "big")
        + extensions
    )
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def offer(target: Target, version: int, suites: dict[int, str]) -> Hello:
    """Send the ClientHello and read the first record of the answer."""
    return answered(target, client_hello(version, suites, target.server_name))


def answered(target: Target, said: bytes) -> Hello:
    """Send a ClientHello, whatever it offers, and read the first record of the answer."""
    with socket.create_connection(target.address, timeout=target.patience) as sock:
        sock.sendall(said)
        answer = _read_record(sock)
    if len(answer) >= 11 and answer[0] == _HANDSHAKE and answer[5] == _SERVER_HELLO:
        return _chosen(answer)
    if len(answer) >= 7 and answer[0] == _ALERT:
        return Hello(False, f"alert {answer[6]}")
    return Hello(False, "closed" if not answer else f"bytes {answer[:8].hex()}")


def _read_record(sock: socket.socket) -> bytes:
    answer = b""
    try:
        while len(answer) < 5 or len(answer) < 5 + int.from_bytes(answer[3:5], "big"):
            part = sock.recv(4096)
            if not part:
                break
            answer += part
    except ConnectionError:
        pass  # a reset is a refusal; what came before it counts
    return answer


def _chosen(record: bytes) -> Hello:
    version = int.from_bytes(record[9:11], "big")
    at = 11 + 32
    at += 1 + record[at]
    suite = int.from_bytes(record[at : at + 2], "big")
    name = VERSION_NAMES.get(version, f"{version:04X}H")
    return Hello(True, f"{name} {_NAMES.get(suite, f'{suite:04X}H')}")


def _server_name(name: str) -> bytes:
    if not name or name.replace(".", "").isdigit() or ":" in name:
        return b""  # an address is no server name (RFC 6066 3)
    octets = name.encode("idna")
    entry = b"\x00" + len(octets).to_bytes(2, "big") + octets
    entries = len(entry).to_bytes(2, "big") + entry
    return b"\x00\x00" + len(entries).to_bytes(2, "big") + entries
