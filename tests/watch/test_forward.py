"""Claims about forwarding: what a sink cannot take waits, and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nii.errors import NiiError
from nii.watch.alarm import Alarms, Pace
from nii.watch.forward import Forwarder, Refusal, pass_over
from nii.watch.journal import Journal, Parcel, Settled

PARCEL = Parcel(0, "", "{}", b"", ())


@dataclass
class Place:
    """A sink that fails as told."""

    name: str = "folder"
    down: bool = False
    refuses: set[str] = field(default_factory=set)
    got: list[str] = field(default_factory=list)
    closed: bool = False

    def deliver(self, parcel: Parcel) -> None:
        """Take the results, or fail."""
        if self.down:
            raise OSError("read-only file system")
        if parcel.identity in self.refuses:
            raise NiiError("x", found="odd", expected="even", remedy="None.")
        self.got.append(parcel.identity)

    def close(self) -> None:
        """Remember it."""
        self.closed = True


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give a journal with three results that wait."""
    opened = Journal(tmp_path)
    for identity in "abc":
        opened.begin(identity, [], "now")
        parcel = replace(PARCEL, identity=identity)
        opened.inspected(parcel, Settled((), "file"), ("folder",), "now")
    yield opened
    opened.close()


@pytest.fixture
def alarms() -> Alarms:
    """Give alarms that let everything be tried again at once."""
    return Alarms(Pace(0.0, 0.0))


def test_a_sink_that_is_down(journal: Journal, alarms: Alarms) -> None:
    """A sink out of reach loses nothing and is one alarm; back again, it gets all in order."""
    place = Place(down=True)
    pass_over(journal, place, alarms, {})
    assert list(alarms.open()) == ["sink folder"]
    assert journal.waiting("folder") == (1, 2, 3)
    place.down = False
    pass_over(journal, place, alarms, {})
    assert (place.got, alarms.open()) == (["a", "b", "c"], {})
    pass_over(journal, place, alarms, {})
    assert place.got == ["a", "b", "c"]
    assert journal.waiting("folder") == ()


def test_results_that_are_refused(journal: Journal, alarms: Alarms) -> None:
    """Results that a sink does not take hold up no others and are kept."""
    place = Place(refuses={"b"})
    refused: dict[int, Refusal] = {}
    pass_over(journal, place, alarms, refused)
    assert (place.got, list(alarms.open())) == (["a", "c"], ["results for folder"])
    assert (list(refused), journal.waiting("folder")) == ([2], (2,))
    place.refuses.clear()
    pass_over(journal, place, alarms, refused)
    assert (place.got, alarms.open(), refused) == (["a", "c", "b"], {}, {})


def test_waiting_for_the_time(journal: Journal) -> None:
    """Before it is due, a sink is not tried again."""
    now = [0.0]
    alarms = Alarms(Pace(60.0, 60.0), timer=lambda: now[0])
    place = Place(down=True)
    pass_over(journal, place, alarms, {})
    place.down = False
    now[0] = 59.0
    pass_over(journal, place, alarms, {})
    assert place.got == []
    now[0] = 60.0
    pass_over(journal, place, alarms, {})
    assert place.got == ["a", "b", "c"]


def wait(condition: Callable[[], bool]) -> None:
    """Wait up to ten seconds."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_thread(journal: Journal, alarms: Alarms) -> None:
    """The thread forwards when woken, goes on after a trouble, and closes its sink at the end."""
    place = Place(down=True)
    forwarder = Forwarder(journal, place, alarms)
    wait(lambda: bool(alarms.open()))
    place.down = False
    forwarder.wake()
    wait(lambda: place.got == ["a", "b", "c"])
    forwarder.close(10.0)
    assert place.closed
