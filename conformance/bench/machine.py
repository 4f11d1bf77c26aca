"""What a bench ran on: numbers without it mean nothing."""

from __future__ import annotations

import os
import platform
import ssl
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance.bench import caches
from conformance.bench.peers import versions
from conformance.bench.runner import Plan


def load() -> list[float] | None:
    """Return the load averages of 1, 5 and 15 minutes (getloadavg(3))."""
    return [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None


def describe(plan: Plan) -> dict[str, Any]:
    """Return the command, processor, memory, file systems and versions, and when it began."""
    return {
        "command": plan.command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _after_colon(Path("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count(),
        "memory": _after_colon(Path("/proc/meminfo"), "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "folder": file_system(plan.folder),
        "disk": file_system(plan.disk),
        "page_cache": caches.STATE,
        "load": {"before": load(), "after": None},
        "todoke": version("todoke"),
        "peers": versions(),
        "quick": plan.quick,
    }


def file_system(path: Path) -> str | None:
    """Return the kind of file system that a path lies on (proc(5), mounts)."""
    try:
        rows = [row.split() for row in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return None
    here = [row for row in rows if path.resolve().is_relative_to(row[1])]
    return max(here, key=lambda row: len(row[1]))[2] if here else None


def _after_colon(path: Path, name: str) -> str | None:
    try:
        rows = path.read_text().splitlines()
    except OSError:
        return None
    return next((r.partition(":")[2].strip() for r in rows if r.startswith(name)), None)
