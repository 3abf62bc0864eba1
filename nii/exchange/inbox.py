"""A folder that scans arrive in: find the ones that are finished, touch nothing.

A scanner may still be writing when we look. Either it writes under another name and renames at the
end, or a file counts as finished once two looks in a row saw the same size and time. Files whose
name starts with a dot or ends in one of :data:`UNFINISHED` are never looked at, nor are links: a
link could point at any file of this machine.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nii import formats
from nii.errors import ConfigError

log = logging.getLogger(__name__)

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")
"""Suffixes under which programs write files that they rename when finished."""
FinishedBy = Literal["two looks", "rename"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was seen: its path, its size in bytes, its time of change in nanoseconds."""

    path: Path
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """The finished files of one scan, in the order of :func:`nii.formats.find`."""

    sightings: tuple[Sighting, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return where the files lie."""
        return tuple(sighting.path for sighting in self.sightings)

    @property
    def subject(self) -> str:
        """Return the names of the files for messages."""
        return ", ".join(path.name for path in self.paths)


@dataclass(slots=True)
class Inbox:
    """Watch a folder; hold what was seen in it from one look to the next.

    Attributes:
        folder: where scans arrive, with its subfolders.
        finished_by: how a finished file is told.
    """

    folder: Path
    finished_by: FinishedBy = "two looks"
    _seen: frozenset[Sighting] = frozenset()
    _arrivals: tuple[Arrival, ...] = ()
    _settled: set[Arrival] = field(default_factory=set)

    def look(self) -> tuple[Arrival, ...]:
        """Return the finished scans that are not settled yet, in the order of their paths.

        Raises:
            ConfigError: the folder is not there.
        """
        if not self.folder.is_dir():
            raise ConfigError(
                self.folder,
                found="no such folder",
                expected="the folder that scans arrive in",
                remedy="Make it, or name another inbox.",
            )
        now = frozenset(self._sight())
        before, self._seen = self._seen, now
        if now != before:
            self._arrivals = _group(now)
            self._settled &= set(self._arrivals)
        finished = now if self.finished_by == "rename" else now & before
        return tuple(
            arrival
            for arrival in self._arrivals
            if arrival not in self._settled and finished.issuperset(arrival.sightings)
        )

    def settle(self, arrival: Arrival) -> None:
        """Pass over this scan from now on, until one of its files changes."""
        self._settled.add(arrival)

    def _sight(self) -> Iterator[Sighting]:
        for path in sorted(self.folder.rglob("*")):
            parts = path.relative_to(self.folder).parts
            if any(part.startswith(".") for part in parts) or path.suffix.lower() in UNFINISHED:
                continue
            try:
                facts = path.lstat()
            except FileNotFoundError:  # taken away between the listing and here
                continue
            if stat.S_ISLNK(facts.st_mode):
                log.warning("%s is a link and is passed over", path)
            elif stat.S_ISREG(facts.st_mode):
                yield Sighting(path, facts.st_size, facts.st_mtime_ns)


def _group(seen: frozenset[Sighting]) -> tuple[Arrival, ...]:
    """Return all files by scan, unfinished ones too: no scan goes ahead of its second half."""
    known = {sighting.path: sighting for sighting in seen}
    arrivals = []
    for group in formats.find(sorted(known)):
        if known.keys() >= set(group):
            arrivals.append(Arrival(tuple(known[path] for path in group)))
        else:
            log.warning("%s waits for the rest of its scan", group[0])
    return tuple(arrivals)
