"""The names under which browsers may reach the viewer."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from common.proof import certificates
from common.settings import Receiver

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def viewer_names(settings: Receiver) -> frozenset[str]:
    """Return the receiver's own names and, with a certificate of the site's, those in it.

    A certificate for ``*.example.jp`` names no host; such a site writes its name
    into ``hosts``.
    """
    names = {*settings.hosts, settings.viewer_bind}
    if settings.web_cert:
        leaf = certificates.from_pem(Path(settings.web_cert).read_text("utf-8"))
        try:
            said = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return frozenset(names)
        names.update(said.get_values_for_type(x509.DNSName))
    return frozenset(names)


def by_https(settings: Receiver) -> bool:
    """Whether the viewer is served by https: plain HTTP is for this machine's eyes only."""
    return bool(settings.web_cert) or settings.viewer_bind not in LOOPBACK


def viewer_address(settings: Receiver, port: int) -> str:
    """Return the address that a person opens."""
    if by_https(settings):
        return f"https://{settings.hosts[0]}:{port}"
    return f"http://localhost:{port}"
