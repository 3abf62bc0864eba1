"""A lane for scans that programs pushed into the store without an inspection.

Each gets a folder named by its digest, with its files under their own names: hard links where the
disk allows them, else copies. From there it goes the way of every scan in a watch, once, with the
same journal, quarantine and alarms. The folder goes when the store has the inspection, or when the
log of the store says why there is none.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from nii.errors import NiiError
from nii.exchange.inbox import Sighting
from nii.exchange.quarantine import REASON_FILE
from nii.store import scans, waiting
from nii.store.database import Store, open_folder
from nii.watch.journal import Journal
from nii.watch.lane import Arrived, Settled
from nii.watch.settings import WatchSettings

log = logging.getLogger(__name__)

FOLDER = "pushed"
"""Folder for such scans, in that of the journal."""


class Pushed:
    """Hold the scans of a store that wait for a model; offers what :class:`Lane` does."""

    unfinished = 0
    unreadable: tuple[OSError, ...] = ()

    def __init__(
        self, settings: WatchSettings, journal: Journal, clock: Callable[[], datetime]
    ) -> None:
        """Say which store; it is opened at the first look."""
        self.folder = settings.state_folder.absolute() / FOLDER
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._store: Store | None = None
        self._last: int | None = None
        self._waiting: dict[str, None] = {}
        self._strays: set[str] = set()

    def look(self, settled: Settled = lambda _: None) -> tuple[Arrived, ...]:
        """Return the scans that wait and were not dealt with, oldest first.

        Raises:
            OSError: the store or the folder cannot be reached.
        """
        try:
            self._find(self._open())
            for sha256 in self._done():
                self._waiting.pop(sha256)
            found = [one for one in map(self._arrival, self._waiting) if one is not None]
        except (SQLAlchemyError, NiiError) as error:
            self.close()
            msg = f"{self._settings.store}: {error}"
            raise OSError(msg) from error
        return tuple(one for one in found if any(settled(file) is None for file in one.files))

    def close(self) -> None:
        """Close the database."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _open(self) -> Store:
        if self._store is None:
            assert self._settings.store is not None  # noqa: S101 - the settings made sure
            self._store = open_folder(self._settings.store, self._settings.database)
        return self._store

    def _find(self, store: Store) -> None:
        """Take up what arrived since the last look; at first, all that waits."""
        first = self._last is None
        found, last = (
            waiting.uninspected(store)
            if self._last is None
            else waiting.pushed_after(store, self._last)
        )
        self._waiting |= dict.fromkeys(found)
        self._last = last
        if first:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.iterdir():
                if left.name not in self._waiting:
                    shutil.rmtree(left, ignore_errors=True)

    def _done(self) -> list[str]:
        """Return what waits no longer, and tidy up after it."""
        store = self._open()
        # Asked first: what arrives between the two questions is in the answer to one of them.
        on_the_way = self._journal.on_the_way("store")
        inspected = waiting.inspected_among(store, self._waiting)
        done = []
        for sha256 in self._waiting:
            entry = self._journal.entry(sha256)
            state = "new" if entry is None else entry.state
            if sha256 not in inspected and state not in {"new", "begun", "inspected"}:
                waiting.give_up(store, sha256, self._reason(sha256), self._clock())
            elif sha256 not in inspected:
                if state == "inspected" and sha256 not in on_the_way:
                    self._warn_of_stray(sha256)
                continue
            shutil.rmtree(self.folder / sha256, ignore_errors=True)
            done.append(sha256)
        return done

    def _warn_of_stray(self, sha256: str) -> None:
        """Tell of a scan that the journal knows, but whose result is not on its way here."""
        self._warn_once(
            sha256,
            "scan %s of the store was inspected before, and its result went elsewhere; "
            "give it to the store with nii ingest, or watch with a new --state",
        )

    def _warn_once(self, sha256: str, text: str) -> None:
        if sha256 not in self._strays:
            self._strays.add(sha256)
            log.warning(text, sha256)

    def _reason(self, sha256: str) -> dict[str, str]:
        path = self._settings.quarantine_folder / sha256 / REASON_FILE
        if not path.exists():
            return {"found": "a scan that was refused before", "remedy": "Look at older logs."}
        told = json.loads(path.read_text("utf-8"))
        return {key: str(told[key]) for key in ("error", "found", "expected", "remedy")}

    def _arrival(self, sha256: str) -> Arrived | None:
        store = self._open()
        kept, place = scans.of(store, sha256), self.folder / sha256
        if not place.is_dir():
            gone = [f for f in kept.files if not scans.path_of(store, f.sha256).is_file()]
            if gone:
                self._warn_once(sha256, "%s waits, but its original file is gone; restore it")
                return None
            self._lay(store, kept, place)
        files = []
        for file in kept.files:
            facts = (place / file.name).lstat()
            files.append(Sighting(place / file.name, facts.st_size, facts.st_mtime_ns))
        return Arrived(self.folder, tuple(files))

    def _lay(self, store: Store, kept: scans.KeptScan, place: Path) -> None:
        """Put the files of a scan into a folder that is complete under its name, or not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self.folder) as temporary:
            fresh = Path(temporary) / kept.sha256
            fresh.mkdir()
            for file in kept.files:
                original = scans.path_of(store, file.sha256)
                try:
                    os.link(original, fresh / file.name)
                except OSError:  # another disk, or one without links
                    shutil.copy2(original, fresh / file.name)
            fresh.rename(place)
