"""Memory that is freed goes back to the system, so that one large study leaves no mark."""

from __future__ import annotations

import ctypes
import gc
import sys
from functools import cache
from typing import Any

#: mallopt(3), glibc's malloc.h: parameter and value.
_OPTIONS = {
    -8: 2,  # M_ARENA_MAX: every arena keeps what threads freed in it
    -3: 1 << 20,  # M_MMAP_THRESHOLD, bytes: fixed, else it grows to the largest block ever freed
    -1: 1 << 20,  # M_TRIM_THRESHOLD, bytes
}


def give_back() -> None:
    """Have the allocator keep little of what is freed; call it once all modules are loaded.

    Blocks under a megabyte, which is what arrives and leaves all the time, are kept as
    ever.  What is loaded now is left out of every later search for circles, which is
    then short and frequent.  Elsewhere than on glibc the allocator stays as it is.
    """
    gc.freeze()
    if (library := _glibc()) is not None:
        for option, value in _OPTIONS.items():
            library.mallopt(option, value)


def trim() -> None:
    """Give back now what is free between what is used: when a large study is done with."""
    gc.collect()
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Return the C library where it is glibc: musl and other systems have no such calls."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
