"""Settings of a watch: which folders, when a file is finished, where results go, how to wait."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nii.errors import ConfigError

FinishedBy = Literal["quiet", "rename", "marker"]
Order = Literal["oldest", "newest"]


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Say when the files of a scan are finished and belong together."""

    finished_by: FinishedBy = "quiet"
    """``quiet``: size and time of change stay the same for `quiet_s`; ``rename``: the writer gives
    a file its final name when it is whole; ``marker``: the writer puts an empty file beside it."""
    quiet_s: float = 3.0
    """Seconds without a change; on a network share more than its attribute cache holds."""
    marker: str = ".done"
    """Ending of the marker file: ``truck.tiff.done`` or ``truck.done`` for ``truck.tiff``."""
    pair_wait_s: float = 30.0
    """Seconds that one energy of a dual-energy DICOS scan waits for the other one."""
    sidecar_wait_s: float = 0.0
    """Seconds that a scan waits for a JSON or XML file of its name."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Say where scans come from and where everything goes."""

    lanes: tuple[Path, ...]
    """Folders that scans arrive in, with their subfolders; nothing in them is moved or changed."""
    state: Path
    """Folder of the journal; on a local disk."""
    out: Path | None = None
    """Folder that gets the results of each scan, as ``nii inspect`` writes them."""
    store: Path | None = None
    """Folder of the store that each scan and its inspection go into."""
    post: str | None = None
    """Address (http or https) that each inspection is posted to, as JSON."""
    quarantine: Path | None = None
    """Folder for copies of scans that cannot be inspected; None: ``quarantine`` in `state`."""
    arrival: LaneSettings = field(default_factory=LaneSettings)
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
    """Port of /healthz and /metrics on this machine; None opens none, 0 takes a free one."""
    webhook: str | None = None
    """Address (http or https) that alarms are posted to, as JSON."""

    def __post_init__(self) -> None:
        """Check what would go wrong later.

        Raises:
            ConfigError: no folder, nowhere to write, an address of another kind, or results that
                would arrive as new scans.
        """
        if not self.lanes:
            raise _wrong("watch", "no folder", "a folder that scans arrive in", "Name one.")
        if not self.sinks:
            raise _wrong(
                "watch", "no place for results", "one at least", "Give --out, --store or --post."
            )
        for url in (self.post, self.webhook):
            if url is not None and not _is_web_address(url):
                raise _wrong(url, "no web address", "http://… or https://…", "Mend the address.")
        self._check_places()

    @property
    def sinks(self) -> tuple[str, ...]:
        """Return the names of the places that results go to."""
        given = {"folder": self.out, "store": self.store, "http": self.post}
        return tuple(name for name, place in given.items() if place is not None)

    @property
    def quarantine_folder(self) -> Path:
        """Return the folder for copies of scans that cannot be inspected."""
        return self.quarantine or self.state / "quarantine"

    def _check_places(self) -> None:
        lanes = [lane.resolve() for lane in self.lanes]
        for one, other in itertools.permutations(lanes, 2):
            if one.is_relative_to(other):
                raise _wrong(one, "a folder watched twice", "folders apart", "Leave out one.")
        for place in (self.state, self.out, self.store, self.quarantine_folder):
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
