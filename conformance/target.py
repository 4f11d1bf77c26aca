"""The receiver under test, as the tester names it on the line."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from common.errors import UsageError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Certificate and key of the tester, and the CA that vouches for the receiver (PEM files)."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Target:
    """Where the receiver is and how it is to be spoken to.

    Parameters
    ----------
    host, port : str, int
        The address of the DICOM door.
    called_aet, calling_aet : str
        AE title of the receiver, and ours, as the receiver knows us.
    credentials : Credentials or None
        None: the door is without TLS.
    server_name : str
        Name that the certificate of the receiver must hold.
    patience : float
        Seconds granted for one answer.
    profile : str or None
        ``jp-high13`` (TLS 1.3 alone) or ``dicom-b12`` (1.2 as well) where the
        receiver is meant to keep one of them; None: what is seen is written down.
    test_ca_key, test_ca : Path or None
        A CA that the receiver trusts, for certificates that are wrong in one point.
    """

    host: str
    port: int
    called_aet: str
    calling_aet: str
    credentials: Credentials | None
    server_name: str
    patience: float = 5.0
    profile: str | None = None
    test_ca_key: Path | None = None
    test_ca: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as sockets want them."""
        return self.host, self.port

    @property
    def is_loopback(self) -> bool:
        """True where nothing leaves this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context of an ordinary, well-behaved requestor; None without TLS.

        Built here and not by the product's own builder: what judges is not what produces.
        """
        if self.credentials is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.credentials.ca)
            context.load_cert_chain(self.credentials.certificate, self.credentials.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(cause=f"--cert/--key/--ca: {error}") from error
        return context


def parse_address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise UsageError(cause=f"--address {text}: HOST:PORT")
    if not 0 < int(port) < 65536:
        raise UsageError(cause=f"--address {text}: 1-65535")
    return host, int(port)


def check_aet(title: str) -> str:
    """Return the AE title, or refuse it (PS3.5 6.2: 1 to 16 ASCII characters, no backslash)."""
    bare = title.strip(" ")
    if not 0 < len(bare) <= 16 or not bare.isascii() or not bare.isprintable() or "\\" in bare:
        raise UsageError(cause=f"AE title {title!r}")
    return bare
