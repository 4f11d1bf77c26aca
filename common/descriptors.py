"""Open files of a process: as many as the system allows, for a door that many stand at."""

from __future__ import annotations

import contextlib
import sys


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, where there are such limits."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a hard limit that it refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
