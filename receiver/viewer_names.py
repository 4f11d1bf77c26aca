"""The names under which browsers may reach the viewer."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from common.proof import certificates
from common.settings import Receiver


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
