"""What a record states of the two connections of a transfer: kept while they are open."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from common import tls
from common.errors import TodokeError
from sender.partners import Partner


def words(lines: dict[str, dict[str, Any] | None], partner: Partner) -> str:
    """Return the facts of connections as JSON, with our own certificate in each.

    Parameters
    ----------
    lines : dict
        By name (``dicom``, ``link``), as :func:`common.tls.facts` gives them.
    """
    own = ""
    with contextlib.suppress(OSError, ValueError, TodokeError):
        own = tls.fingerprint_of_pem(partner.credentials.chain.read_text("ascii"))
    said = {name: None if one is None else _with(one, own) for name, one in lines.items()}
    return json.dumps(said)


def _with(line: dict[str, Any], own: str) -> dict[str, Any]:
    return {**line, "certificates": {**line["certificates"], "sender": own}}
