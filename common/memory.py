"""Memory that is freed goes back to the system, so that one large study leaves no mark."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

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
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            for option, value in _OPTIONS.items():
                mallopt(option, value)
