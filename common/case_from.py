"""What makes several slides of a watched folder one case: the words of the option."""

from __future__ import annotations

import re


def check_case_from(value: str) -> str | None:
    """Say what is wrong with the way in which slides are put into cases, or None."""
    if value in {"sidecar", "folder"}:
        return None
    try:
        if value.startswith("name:") and re.compile(value.removeprefix("name:")).groups <= 1:
            return None
    except re.error as failure:
        return str(failure)
    return "sidecar | folder | name:REGEX"
