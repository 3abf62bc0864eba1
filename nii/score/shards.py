"""Shards: the plan of a run, its parts, and the markers that say which parts are done.

::

    run.json                     what the run is: archive, model, size of a shard
    plan/000001.jsonl            shards in order, each the files of its scans; one file a listing
    scans/shard-000000.parquet   the results of a shard, whole or not there
    done/shard-000000.json       written after it: the shard is done

A shard without its marker is done again from the start, and gives the same bytes. So a process may
end at any moment: each scan is in the table once. A later run over an archive that grew adds shards
for the new scans.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nii.errors import ConfigError
from nii.folders import write_whole
from nii.infer.parquet import Row, to_bytes
from nii.provenance import sha256_of_bytes
from nii.score.archive import Group, Place

FORMAT_VERSION = 1
RUN_FILE = "run.json"
PLAN_FOLDER, SCANS_FOLDER, DONE_FOLDER = "plan", "scans", "done"
_LOCK_FILE = ".lock"


@dataclass(frozen=True, slots=True)
class Shard:
    """Some scans that are scored together.

    Attributes:
        number: counts the shards of a run from 0.
        groups: the files of each scan.
    """

    number: int
    groups: tuple[Group, ...]

    @property
    def stem(self) -> str:
        """Return the name of its files, without the ending."""
        return f"shard-{self.number:06}"

    def to_json(self) -> list[Any]:
        """Return the shard as JSON types."""
        return [self.number, [list(group) for group in self.groups]]

    @classmethod
    def from_json(cls, data: list[Any]) -> Shard:
        """Rebuild what :meth:`to_json` returned."""
        return cls(int(data[0]), tuple(tuple(group) for group in data[1]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a shard.

    Attributes:
        number: of the shard.
        scans: rows of its table.
        failed: scans that could not be inspected.
        size: bytes of its table.
        sha256: digest of its table.
        provider: what the model ran on.
    """

    number: int
    scans: int
    failed: int
    size: int
    sha256: str
    provider: str


class Ledger:
    """The folder of a run, local or in storage that fsspec reaches."""

    def __init__(self, out: Place) -> None:
        """Name the folder; it need not exist."""
        self._out = out
        self._filesystem, self._root = out.open()

    def begin(self, facts: dict[str, Any]) -> None:
        """Start a run, or go on with the one that is there.

        Raises:
            ConfigError: the folder holds a run of another archive, model or size of shards.
        """
        facts = {"format_version": FORMAT_VERSION, **facts}
        found = self._read(RUN_FILE)
        if found is None:
            self._write(RUN_FILE, json.dumps(facts, indent=1).encode())
            return
        before = json.loads(found)
        other = sorted(
            key for key in facts.keys() | before.keys() if facts.get(key) != before.get(key)
        )
        if other:
            raise ConfigError(
                self._out.address,
                found=f"a run with another value of {', '.join(other)}",
                expected=", ".join(f"{key} {before.get(key)!r}" for key in other),
                remedy="Go on with those, or name another folder with --out.",
            )

    def plan(self) -> Iterator[Shard]:
        """Yield every shard that was planned, in order."""
        for name in sorted(self._sizes(PLAN_FOLDER)):
            content = self._read(f"{PLAN_FOLDER}/{name}") or b""
            for line in content.splitlines():
                yield Shard.from_json(json.loads(line))

    def extend(self, groups: Sequence[Group], shard_scans: int) -> int:
        """Plan the scans that are in no shard yet, and return how many these are."""
        number = 0
        known: set[Group] = set()
        for shard in self.plan():
            number = shard.number + 1
            known.update(shard.groups)
        fresh = [group for group in groups if group not in known]
        lines = []
        for first in range(0, len(fresh), shard_scans):
            shard = Shard(number, tuple(fresh[first : first + shard_scans]))
            lines.append(json.dumps(shard.to_json()))  # ASCII: any file name survives
            number += 1
        if lines:
            name = f"{PLAN_FOLDER}/{len(self._sizes(PLAN_FOLDER)) + 1:06}.jsonl"
            self._write(name, "\n".join(lines).encode())
        return len(fresh)

    def finish(self, shard: Shard, rows: Sequence[Row], provider: str) -> Outcome:
        """Write the table of a shard, then its marker.

        Raises:
            OSError: the folder cannot be written to.
        """
        content = to_bytes(rows)
        failed = sum(row.get("error") is not None for row in rows)
        digest = sha256_of_bytes(content)
        outcome = Outcome(shard.number, len(rows), failed, len(content), digest, provider)
        self._write(f"{SCANS_FOLDER}/{shard.stem}.parquet", content)
        facts = {name: getattr(outcome, name) for name in Outcome.__slots__}
        self._write(f"{DONE_FOLDER}/{shard.stem}.json", json.dumps(facts).encode())
        return outcome

    def done(self) -> dict[int, Outcome]:
        """Return what came of each shard whose table and marker are there, by number."""
        tables = self._sizes(SCANS_FOLDER)
        found = {}
        for name in self._sizes(DONE_FOLDER):
            content = self._read(f"{DONE_FOLDER}/{name}")
            outcome = Outcome(**json.loads(content)) if content else None
            table = f"{name.removesuffix('.json')}.parquet"
            if outcome is not None and tables.get(table) == outcome.size:
                found[outcome.number] = outcome
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs on this machine out of the folder, and sweep what a kill left there.

        The lock ends with the process, however that ends. In remote storage there is none: two runs
        at once do the same work twice and write the same bytes.

        Raises:
            ConfigError: another process holds the folder.
        """
        folder = self._out.local
        if folder is None:
            yield
            return
        folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(folder / _LOCK_FILE, timeout=1.0, isolation_level=None)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise _in_use(folder) from error
            for inner in (folder, *(folder / n for n in (PLAN_FOLDER, SCANS_FOLDER, DONE_FOLDER))):
                for left in inner.glob(".*-*"):
                    left.unlink(missing_ok=True)
            yield
        finally:
            lock.close()

    def _sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of the finished files of a folder, by name."""
        place = f"{self._root}/{folder}"
        self._filesystem.invalidate_cache()
        try:
            rows = self._filesystem.ls(place, detail=True)
        except FileNotFoundError:
            return {}
        named = ((str(row["name"]).rpartition("/")[2], row) for row in rows)
        return {
            name: int(row["size"] or 0)
            for name, row in named
            if row["type"] == "file" and name and not name.startswith(".")
        }

    def _read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._filesystem.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def _write(self, name: str, content: bytes) -> None:
        folder = self._out.local
        if folder is None:  # an object in a store appears whole
            self._filesystem.pipe_file(f"{self._root}/{name}", content)
            return
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def _in_use(folder: Path) -> ConfigError:
    return ConfigError(
        folder,
        found="a folder that another nii score writes to",
        expected="one run for each folder",
        remedy="Wait for the other, or name another folder with --out.",
    )
