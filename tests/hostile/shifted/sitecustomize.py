"""Loaded by a process under test: its clock is wrong by TODOKE_TEST_SHIFT seconds.

Clocks that only go on (time.monotonic) are right, as on a machine whose clock was set.
"""

from __future__ import annotations

import datetime
import os
import time

_shift = float(os.environ["TODOKE_TEST_SHIFT"])
_time, _time_ns = time.time, time.time_ns


class _Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Shifted:
        return cls.fromtimestamp(_time() + _shift, tz)


time.time = lambda: _time() + _shift
time.time_ns = lambda: _time_ns() + int(_shift * 1e9)
datetime.datetime = _Shifted  # type: ignore[misc]
