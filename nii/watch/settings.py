"""Settings of a watch: which folders, when a file is finished, where results go, how to wait."""

from __future__ import annotations

import itertools
import math
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nii.errors import ConfigError

FinishedBy = Literal["quiet", "rename", "marker"]
Order = Literal["oldest", "newest"]


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Say when the files of a scan are finished and belong together."""

    by: FinishedBy = "quiet"
    """How it is told. ``quiet``: size and time of change stay the same; ``rename``: the writer
    gives a file its final name when it is whole; ``marker``: the writer leaves an empty file
    beside it."""
    _: KW_ONLY
    quiet_s: float = 3.0
    """Seconds without a change (quiet); on a network share more than its attribute cache holds."""
    marker: str = ".done"
    """Ending of the marker file: ``truck.tiff.done`` or ``truck.done`` for ``truck.tiff``."""
    pair_wait_s: float = 30.0
    """Seconds that one energy of a dual-energy DICOS scan waits for the other one."""
    sidecar_wait_s: float = 0.0
    """Seconds that a scan waits for a JSON or XML file of its name."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Say where scans come from and where everything goes."""

    lanes: tuple[Path, ...] = ()
    """Folders that scans arrive in, with their subfolders; nothing in them is moved or changed."""
    _: KW_ONLY
    out: Path | None = None
    """Folder that gets the results of each scan, as ``nii inspect`` writes them."""
    store: Path | None = None
    """Folder of the store that each scan and its inspection go into."""
    database: str | None = None
    """Address of the store's PostgreSQL database; that in NII_DATABASE where not given, else SQLite
    in the folder of the store."""
    pushed: bool = False
    """Inspect the scans in the store that wait for a model too: those that programs pushed."""
    post: str | None = None
    """Address (http or https) that each inspection is posted to, with the token in NII_WATCH_TOKEN
    where there is one."""
    state: Path | None = None
    """Folder of the journal, on a local disk; where not given, .watch in the folder of the results
    or of the store."""
    quarantine: Path | None = None
    """Folder for copies of scans that cannot be inspected; where not given, quarantine in the
    folder of the journal."""
    finished: LaneSettings = field(default_factory=LaneSettings)
    """When the files of a scan are finished."""
    order: Order = "oldest"
    """Which scan comes first where several wait, by the time of change of its newest file."""
    look_every_s: float = 2.0
    """Seconds between two looks into the folders; more where a look takes long."""
    retry_first_s: float = 1.0
    """Seconds before the first retry after a trouble; each further wait is twice as long."""
    retry_most_s: float = 300.0
    """Longest wait between two retries."""
    port: int | None = None
    """Port of /healthz and /metrics on this machine; 0 takes a free one; where not given, none."""
    webhook: str | None = None
    """Address (http or https) that alarms are posted to, as JSON."""

    def __post_init__(self) -> None:
        """Check what would go wrong later.

        Raises:
            ConfigError: no folder, nowhere to write, an address of another kind, or results that
                would arrive as new scans.
        """
        if not self.lanes and not self.pushed:
            raise _wrong("watch", "no folder", "a folder that scans arrive in", "Name one.")
        if self.store is None and (self.pushed or self.database is not None):
            flag = "--pushed" if self.pushed else "--database"
            raise _wrong(flag, "no store", "the store that it is about", "Name it with --store.")
        if not self.sinks:
            raise _wrong(
                "watch", "no place for results", "one at least", "Give --out, --store or --post."
            )
        for url in (self.post, self.webhook):
            if url is not None and not _is_web_address(url):
                raise _wrong(url, "no web address", "http://… or https://…", "Mend the address.")
        self._check_numbers()
        self._check_places()

    @property
    def sinks(self) -> tuple[str, ...]:
        """Return the names of the places that results go to."""
        given = {"folder": self.out, "store": self.store, "http": self.post}
        return tuple(name for name, place in given.items() if place is not None)

    @property
    def state_folder(self) -> Path:
        """Return the folder of the journal.

        Raises:
            ConfigError: none is named, and there is no folder of results to put it into.
        """
        if self.state is not None:
            return self.state
        place = self.out or self.store
        if place is None:
            found, remedy = "neither --out nor --store", "Name one with --state."
            raise _wrong("--state", found, "a folder on a local disk for the journal", remedy)
        return place / ".watch"

    @property
    def quarantine_folder(self) -> Path:
        """Return the folder for copies of scans that cannot be inspected."""
        return self.quarantine or self.state_folder / "quarantine"

    def _check_numbers(self) -> None:
        waits = {
            "finished.quiet_s": self.finished.quiet_s,
            "finished.pair_wait_s": self.finished.pair_wait_s,
            "finished.sidecar_wait_s": self.finished.sidecar_wait_s,
            "look_every_s": self.look_every_s,
            "retry_first_s": self.retry_first_s,
            "retry_most_s": self.retry_most_s,
        }
        for name, seconds in waits.items():
            if not 0 <= seconds < math.inf:
                raise _wrong(name, f"{seconds} s", "a time of 0 s or more", "Mend the number.")
        if self.port is not None and self.port not in range(1 << 16):
            raise _wrong("port", str(self.port), "0 to 65535", "Mend the number.")

    def _check_places(self) -> None:
        lanes = [lane.resolve() for lane in self.lanes]
        for one, other in itertools.permutations(lanes, 2):
            if one.is_relative_to(other):
                raise _wrong(one, "a folder watched twice", "folders apart", "Leave out one.")
        for place in (self.state_folder, self.out, self.store, self.quarantine_folder):
            if place is None:
                continue
            for lane in lanes:
                if place.resolve().is_relative_to(lane):
                    found = f"a place for results inside the watched folder {lane}"
                    remedy = "Name a place outside: results would arrive as new scans."
                    raise _wrong(place, found, "a place outside", remedy)


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _wrong(subject: object, found: str, expected: str, remedy: str) -> ConfigError:
    return ConfigError(subject, found=found, expected=expected, remedy=remedy)
