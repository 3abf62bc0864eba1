"""A lane: a folder that scans arrive in; tell which scans are finished, touch nothing.

All waiting is measured by a clock that only rises, so a jump of the wall clock changes nothing.
A file is opened once for each change, to see what it is, and read whole only when its scan is
finished. What is looked at follows the inbox (:mod:`nii.exchange.inbox`): no hidden names, no names
of unfinished files, no links.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nii import formats
from nii.errors import ScanFormatError
from nii.exchange.inbox import UNFINISHED, Sighting
from nii.formats import dicos
from nii.formats.files import load_head
from nii.watch import sidecar
from nii.watch.settings import LaneSettings

log = logging.getLogger(__name__)

_HEAD_BYTES = 256
_EMPTY_S = 600.0
"""Seconds after which an empty file counts as finished, and so as bad: assumption; some writers
make the file long before they fill it."""
_SCAN_SUFFIXES = frozenset(suffix for form in formats.FORMATS for suffix in form.SUFFIXES)


class Member(NamedTuple):
    """State what a file is: the scan it belongs to, and whether it is one energy of two.

    `group` is empty for what is no scan, ``file`` for a scan in one file, the UID for DICOS.
    """

    group: str
    half: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """A finished scan: its files in the order of :func:`nii.formats.find`, and what came with it.

    Attributes:
        lane: folder that is watched.
        files: the files of the scan.
        sidecars: JSON or XML files of its name.
        group: see :class:`Member`.
    """

    lane: Path
    files: tuple[Sighting, ...]
    sidecars: tuple[Sighting, ...] = ()
    group: str = "file"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return where the files lie."""
        return tuple(sighting.path for sighting in self.files)

    @property
    def subject(self) -> str:
        """Return the files for messages."""
        names = ", ".join(str(path) for path in self.paths)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in names)

    @property
    def changed_ns(self) -> int:
        """Return when the newest file changed, in nanoseconds of the file system's clock."""
        return max(sighting.changed_ns for sighting in self.files)

    def is_unchanged(self) -> bool:
        """Tell whether the files still are as they were seen.

        Raises:
            OSError: a file cannot be reached.
        """
        return all(_sighting(one.path, one.path.lstat()) == one for one in self.files)


Settled = Callable[[Sighting], str | None]
"""Return the group of a file that was dealt with as it is now, or None."""


@dataclass(slots=True)
class Lane:
    """Watch one folder; hold what was seen from one look to the next.

    Attributes:
        folder: where scans arrive, with its subfolders.
        settings: when a file is finished.
        timer: clock in seconds that only rises.
        unfinished: scans that the last look found unfinished.
        unreadable: subfolders that the last look could not list.
    """

    folder: Path
    settings: LaneSettings = field(default_factory=LaneSettings)
    timer: Callable[[], float] = time.monotonic
    unfinished: int = 0
    unreadable: tuple[OSError, ...] = ()
    _since: dict[Path, tuple[Sighting, float]] = field(default_factory=dict)
    _members: dict[Path, tuple[Sighting, Member]] = field(default_factory=dict)
    _disk: int | None = None

    def look(self, settled: Settled = lambda _: None) -> tuple[Arrived, ...]:
        """Return the finished scans of which a file is not settled yet.

        Raises:
            OSError: the folder cannot be listed, or is suddenly an empty one on another disk.
        """
        seen = self._sight()
        now = self.timer()
        self._since = {
            path: self._since[path]
            if path in self._since and self._since[path][0] == sighting
            else (sighting, now)
            for path, sighting in seen.items()
        }
        groups: dict[tuple[Path, str], list[Sighting]] = {}
        fresh: set[tuple[Path, str]] = set()
        members = self._recognise(seen, settled)
        for path, (sighting, member) in members.items():
            if member.group:
                alone = member.group == "file"
                key = (path if alone else path.parent, member.group)
                groups.setdefault(key, []).append(sighting)
                if settled(sighting) is None:
                    fresh.add(key)
        beside = sidecar.by_name(seen)
        waiting = [self._arrival(groups[key], beside, key[1]) for key in groups if key in fresh]
        finished = tuple(arrived for arrived in waiting if self._is_finished(arrived, seen))
        self.unfinished = len(waiting) - len(finished)
        return finished

    def _sight(self) -> dict[Path, Sighting]:
        """Return every file below the folder, sorted, by path."""
        problems: list[OSError] = []
        disk = self.folder.stat().st_dev
        seen = {one.path: one for one in _sightings(self.folder, problems)}
        top = [error for error in problems if error.filename == str(self.folder)]
        if top:
            raise top[0]
        if self._since and not seen and disk != self._disk:
            text = "empty and on another disk than before: is the share mounted?"
            raise OSError(errno.ENODEV, text, str(self.folder))
        self._disk = disk
        self.unreadable = tuple(problems)
        return seen

    def _recognise(
        self, seen: Mapping[Path, Sighting], settled: Settled
    ) -> dict[Path, tuple[Sighting, Member]]:
        members: dict[Path, tuple[Sighting, Member]] = {}
        for path, sighting in seen.items():
            known = self._members.get(path)
            if known is None or known[0] != sighting:
                group = settled(sighting)
                member = member_of(path) if group is None else Member(group)
                known = (sighting, member)
            members[path] = known
        self._members = members
        return members

    def _arrival(
        self, files: list[Sighting], beside: Mapping[tuple[Path, str], Sighting], group: str
    ) -> Arrived:
        ordered = tuple(sorted(files, key=lambda sighting: sighting.path))
        names = sidecar.names_for([sighting.path for sighting in ordered])
        folder = ordered[0].path.parent
        found = (beside.get((folder, name)) for name in names)
        return Arrived(self.folder, ordered, tuple(s for s in found if s is not None), group)

    def _is_finished(self, arrived: Arrived, seen: Mapping[Path, Sighting]) -> bool:
        every = (*arrived.files, *arrived.sidecars)
        age = min(self.timer() - self._since[one.path][1] for one in every)
        alone = len(arrived.files) == 1 and self._members[arrived.files[0].path][1].half
        if alone and age < self.settings.pair_wait_s:
            return False
        if not arrived.sidecars and age < self.settings.sidecar_wait_s:
            return False
        if self.settings.by == "rename":
            return True
        if self.settings.by == "marker":
            return all(_marked(path, self.settings.marker, seen) for path in arrived.paths)
        empty = any(sighting.size == 0 for sighting in arrived.files)
        return age >= (max(_EMPTY_S, self.settings.quiet_s) if empty else self.settings.quiet_s)


def member_of(path: Path) -> Member:
    """Return which scan a file belongs to, from its first bytes or, failing that, its name.

    A file that cannot be opened counts by its name: reading it later reports what is wrong.
    """
    try:
        head = load_head(path, _HEAD_BYTES)
    except ScanFormatError:
        head = b""
    form = next((form for form in formats.FORMATS if form.sniff(head)), None)
    if form is dicos:
        identity = dicos.identity(path)
        if identity.report:
            return Member("")
        return Member(identity.scan_uid or "file", identity.half)
    is_scan = form is not None or path.suffix.lower() in _SCAN_SUFFIXES
    return Member("file" if is_scan else "")


def _sightings(folder: Path, problems: list[OSError]) -> Iterator[Sighting]:
    for parent, folders, names in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() in UNFINISHED:
                continue
            try:
                facts = path.lstat()
            except FileNotFoundError:  # taken away between the listing and here
                continue
            except OSError as error:
                problems.append(error)
                continue
            if stat.S_ISREG(facts.st_mode):
                yield _sighting(path, facts)


def _sighting(path: Path, facts: os.stat_result) -> Sighting:
    return Sighting(path, facts.st_size, facts.st_mtime_ns)


def _marked(path: Path, marker: str, seen: Mapping[Path, Sighting]) -> bool:
    return path.with_name(path.name + marker) in seen or path.with_suffix(marker) in seen
