"""The install record: what was set up, when, by whom (SUB-07)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from common import durable
from common.proof.identity import Node

VERSION = 1


def write_record(node: Node, *, operator: str, host: str = "") -> dict[str, Any]:
    """Write ``DATA/install.json`` and return it.

    Parameters
    ----------
    node : Node
        The end that was set up.
    operator : str
        The person at the console.
    host : str
        Machine; its own name by default.
    """
    words = {
        "version": VERSION,
        "software": {"name": "todoke", "version": metadata.version("todoke"), "commit": commit()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        # no time source is asked yet: nothing is claimed about the clock
        "clock": {"offset_seconds": None, "source": None},
        "operator": operator,
        "host": host or socket.gethostname(),
        "role": {"code": node.role, "ja": node.role.ja},
        "institution": {"name": node.institution.name, "code": node.institution.code},
        "signing_certificate_sha256": node.signing_fingerprint,
    }
    text = json.dumps(words, ensure_ascii=False, indent=1)
    durable.save(node.data / "install.json", text.encode())
    return words


def commit() -> str | None:
    """Return the commit this todoke was installed from, None if that cannot be known."""
    try:
        text = metadata.distribution("todoke").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    if "vcs_info" in origin:
        return str(origin["vcs_info"]["commit_id"])
    git = shutil.which("git")
    if git is None or not origin.get("dir_info", {}).get("editable"):
        return None
    folder = Path(url2pathname(urlsplit(origin["url"]).path))
    asked = subprocess.run(
        [git, "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None
