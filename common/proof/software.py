"""Which program made a record: version, commit, and the digest of what it was built of (EVD-09).

The build puts two files beside this one's package, ``common/_build/commit`` and
``common/_build/sbom.cdx.json`` (CycloneDX); a working copy that was not built has none,
and says so by empty words.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from importlib.resources import files


@functools.cache
def facts() -> dict[str, str]:
    """Return version, commit and SHA-256 of the SBOM; a word is empty where it is unknown."""
    try:
        version = importlib.metadata.version("todoke")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    commit, sbom = _built("commit"), _built("sbom.cdx.json")
    return {
        "version": version,
        "commit": commit.decode("ascii", "replace").strip(),
        "sbom": hashlib.sha256(sbom).hexdigest() if sbom else "",
    }


def sbom() -> bytes:
    """Return the bill of materials as the build made it; empty where there is none."""
    return _built("sbom.cdx.json")


def _built(name: str) -> bytes:
    try:
        return files("common").joinpath("_build", name).read_bytes()
    except (OSError, ValueError):
        return b""
