"""Sinks: the places that results go to. Each delivery may be repeated and does the same again.

A sink that cannot be reached raises OSError: everything for it waits. One that refuses these
results raises another error: they wait, and the next ones are tried.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from sqlalchemy.exc import SQLAlchemyError

from nii.errors import NiiError
from nii.infer import results
from nii.inspection import Inspection
from nii.provenance import sha256_of_bytes
from nii.store import inspections, scans
from nii.store.database import Store, open_folder
from nii.watch.alarm import post
from nii.watch.journal import Parcel
from nii.watch.settings import WatchSettings

TOKEN_VARIABLE = "NII_WATCH_TOKEN"  # noqa: S105 - the name of the variable, not its value
"""Environment variable with the bearer token for the address that inspections are posted to."""
_DONE = range(200, 300)
_THERE_ALREADY = 409
_REFUSED = (400, 413, 415, 422)
"""Answers that speak of what was sent (RFC 9110); all others speak of the server or the address."""


@runtime_checkable
class Sink(Protocol):
    """What a place for results offers."""

    @property
    def name(self) -> str:
        """Return the name under which the journal knows it."""

    def deliver(self, parcel: Parcel) -> None:
        """Put results there; putting the same ones again changes nothing.

        Raises:
            OSError: the place cannot be reached or written to.
            NiiError: it does not take these results.
        """

    def close(self) -> None:
        """Let go of what is held open."""


class FolderSink:
    """Write the results of each scan into a folder, as ``nii inspect`` does."""

    name = "folder"

    def __init__(self, out: Path) -> None:
        """Name the folder; it is made with the first result."""
        self._out = out

    def deliver(self, parcel: Parcel) -> None:
        """Write picture and facts; see :class:`Sink`."""
        self._out.mkdir(parents=True, exist_ok=True)
        inspection = Inspection.from_json(json.loads(parcel.document))
        stem = results.free_stem(self._out, results.stems([parcel.paths])[0], parcel.identity)
        results.write_results(self._out, stem, inspection, {results.OVERLAY_SUFFIX: parcel.picture})

    def close(self) -> None:
        """Do nothing: no file stays open."""


class StoreSink:
    """Put each scan with its inspection into a store."""

    name = "store"

    def __init__(
        self, folder: Path, clock: Callable[[], datetime], database: str | None = None
    ) -> None:
        """Name the folder of the store, and its database; it is opened with the first result."""
        self._folder = folder
        self._database = database
        self._clock = clock
        self._store: Store | None = None

    def deliver(self, parcel: Parcel) -> None:
        """Keep the original files and file the inspection; see :class:`Sink`."""
        inspection = Inspection.from_json(json.loads(parcel.document))
        try:
            self._store = self._store or open_folder(self._folder, self._database)
            kept = scans.keep(self._store, parcel.paths)
            if kept.sha256 != parcel.identity:
                raise NiiError(
                    f"inspection {parcel.number}",
                    found=f"another scan under {parcel.paths[0]} than was inspected",
                    expected="the scan, until the store has it",
                    remedy="Put the scan back: the inspection waits for it.",
                )
            inspections.add(self._store, kept, inspection, self._clock())
        except FileNotFoundError as error:
            if error.filename is None or Path(error.filename) not in parcel.paths:
                raise
            raise NiiError(
                f"inspection {parcel.number}",
                found=f"no scan under {error.filename}",
                expected="the scan, until the store has it",
                remedy="Put the scan back, or mount the share: the inspection waits for it.",
            ) from error
        except SQLAlchemyError as error:
            self.close()
            msg = f"{self._folder}: {error}"
            raise OSError(msg) from error

    def close(self) -> None:
        """Close the database."""
        store, self._store = self._store, None
        if store is not None:
            store.close()


class HttpSink:
    """Post each inspection to a web address, with a key by which a repetition is recognised."""

    name = "http"

    def __init__(self, url: str, token: str | None = None) -> None:
        """Name the address, and the bearer token if it asks for one."""
        self._url = url
        self._token = token

    def deliver(self, parcel: Parcel) -> None:
        """Post the inspection; see :class:`Sink`."""
        model = json.loads(parcel.document)["model"]["sha256"]
        key = sha256_of_bytes(f"{parcel.identity} {model}".encode())
        headers = {"Idempotency-Key": f'"{key}"'}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        status, answer = post(self._url, parcel.document.encode(), headers)
        if status in _DONE or status == _THERE_ALREADY:
            return
        if status not in _REFUSED:
            msg = f"{self._url} answers {status} {answer!a}"
            raise OSError(msg)
        raise NiiError(
            f"inspection {parcel.number}",
            found=f"the answer {status} {answer!a} of {self._url}",
            expected="2xx, or 409 for one that is there already",
            remedy="Look at the log of the other side; the inspection waits.",
        )

    def close(self) -> None:
        """Do nothing: each call has its own connection."""


def open_sinks(settings: WatchSettings, clock: Callable[[], datetime]) -> tuple[Sink, ...]:
    """Return the places that the settings name."""
    sinks: list[Sink] = []
    if settings.out is not None:
        sinks.append(FolderSink(settings.out))
    if settings.store is not None:
        sinks.append(StoreSink(settings.store, clock, settings.database))
    if settings.post is not None:
        sinks.append(HttpSink(settings.post, os.environ.get(TOKEN_VARIABLE)))
    return tuple(sinks)
