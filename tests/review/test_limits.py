"""Claims about rate limits."""

from __future__ import annotations

import threading

from nii.review import limits
from nii.review.limits import Limiter, Rate


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_burst_then_a_steady_rate() -> None:
    """A key may spend its burst at once, and then what flows in, no more."""
    clock = Clock()
    limiter = Limiter(Rate(burst=3, per_second=2.0), clock)
    assert [limiter.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now = 0.5
    assert limiter.wait("a") == 0
    assert limiter.wait("a") == 0.5
    clock.now = 100.0
    assert [limiter.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_keys_do_not_share() -> None:
    """One who asks too often takes nothing from another."""
    limiter = Limiter(Rate(burst=1, per_second=1.0), Clock())
    assert limiter.wait("a") == 0
    assert limiter.wait("a") > 0
    assert limiter.wait("b") == 0


def test_waiting_costs_nothing() -> None:
    """Requests that were refused do not push the next good one further away."""
    clock = Clock()
    limiter = Limiter(Rate(burst=1, per_second=1.0), clock)
    limiter.wait("a")
    for _ in range(50):
        limiter.wait("a")
    clock.now = 1.0
    assert limiter.wait("a") == 0


def test_memory_is_bounded() -> None:
    """However many keys come, only the newest are held."""
    limiter = Limiter(Rate(burst=1, per_second=1.0), Clock())
    for number in range(limits._MOST_KEYS + 50):
        limiter.wait(str(number))
    assert len(limiter._buckets) == limits._MOST_KEYS


def test_threads_share_one_burst() -> None:
    """Many threads together get the burst and not one request more."""
    limiter = Limiter(Rate(burst=100, per_second=1.0), Clock())
    passed: list[int] = []

    def ask() -> None:
        passed.append(sum(limiter.wait("a") == 0 for _ in range(50)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 100
