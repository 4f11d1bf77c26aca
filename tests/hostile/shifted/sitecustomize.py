"""Loaded by a process under test: its clock is wrong by TODOKE_TEST_SHIFT seconds.

Clocks that only go on (time.monotonic) are right, as on a machine whose clock was set.
So is that of whoever makes certificates and lists: OpenSSL judges them by the system's
clock, which a test cannot set, and on a machine whose clock is wrong both are as wrong.
"""

from __future__ import annotations

import datetime
import os
import sys
import time

_OF_CERTIFICATES = ("common.proof.", "receiver.revocation", "receiver.upkeep")
_shift = float(os.environ["TODOKE_TEST_SHIFT"])
_time, _time_ns = time.time, time.time_ns


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Shifted:
        asks = str(sys._getframe(1).f_globals.get("__name__"))
        return cls.fromtimestamp(_time() + (0 if asks.startswith(_OF_CERTIFICATES) else _shift), tz)


time.time = lambda: _time() + _shift
time.time_ns = lambda: _time_ns() + int(_shift * 1e9)
datetime.datetime = _Shifted  # type: ignore[misc]
