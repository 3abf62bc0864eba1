"""Rate limits: how often one address, session or token may ask.

Each key has a bucket that holds some requests and fills again at a steady rate. The buckets live in
this process: several processes behind one address allow as many times more.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_KEYS = 10_000
"""Buckets kept at most; the one that was used longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much is allowed: `burst` at once, then `per_second`."""

    burst: int
    per_second: float


@dataclass(slots=True)
class Limiter:
    """Count requests by key.

    Attributes:
        rate: what each key may do.
        clock: seconds that only grow.
    """

    rate: Rate
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, key: str) -> float:
        """Take one request from the bucket of a key.

        Returns:
            0 if it may pass, else the seconds until one may.
        """
        now = self.clock()
        with self._lock:
            level, then = self._buckets.pop(key, (float(self.rate.burst), now))
            level = min(float(self.rate.burst), level + (now - then) * self.rate.per_second)
            allowed = level >= 1
            self._buckets[key] = (level - 1 if allowed else level, now)
            while len(self._buckets) > _MOST_KEYS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self.rate.per_second
