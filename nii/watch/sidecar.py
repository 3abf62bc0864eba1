"""A sidecar: the JSON or XML file that a scanner writes beside a scan; its facts join the scan.

There is no standard form, so fields are found by name wherever they stand: ``sidecar_names.csv``
lists the names (an assumption, from what such files call them), compared without regard to case,
``_``, ``-`` or name spaces. What the scan itself says counts more; where the two differ, the result
says so. A sidecar that cannot be read holds up nothing: the result names it and goes without.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from xml.parsers import expat

from nii.errors import ScanFormatError
from nii.exchange.inbox import Sighting
from nii.scan import Scan

log = logging.getLogger(__name__)

SUFFIXES = (".json", ".xml")
_LARGEST_BYTES = 4 << 20
"""Largest file that is read: assumption, a thousand times what such files hold."""
_LONGEST = 80
"""Most characters of a value: assumption."""
_MOST = 16
"""Most values of one fact: assumption."""
_DEEPEST = 64
_EMPTY = ("empty", "mty", "vazio", "leer")
"""Values that mean empty, in English, its abbreviation in port messages, Portuguese, German."""


@dataclass(frozen=True, slots=True)
class Found:
    """Facts of one sidecar; see :class:`nii.scan.Scan`. A time without zone is left out."""

    container_numbers: tuple[str, ...] = ()
    scanner: str | None = None
    acquired_at: datetime | None = None
    declared_empty: bool = False


def by_name(seen: Mapping[Path, Sighting]) -> dict[tuple[Path, str], Sighting]:
    """Return the JSON and XML files by folder and by name without case."""
    chosen = (one for path, one in seen.items() if path.suffix.lower() in SUFFIXES)
    return {(one.path.parent, one.path.name.casefold()): one for one in chosen}


def names_for(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names, without case, that a sidecar of these files may have.

    ``truck.tiff``: ``truck.json`` and ``truck.tiff.json``; ``truck.high.dcs`` with
    ``truck.low.dcs``: these of each, and ``truck.json``; the same with xml.
    """
    starts = [start for path in paths for start in (path.stem, path.name)]
    if len(paths) > 1:
        stems = [path.stem for path in paths]
        common = os.path.commonprefix(stems)  # noqa: RUF071 - names are compared, not folders
        starts.append(common.rstrip("._- "))
    named = (f"{start}{suffix}".casefold() for start in starts if start for suffix in SUFFIXES)
    return tuple(dict.fromkeys(named))


def join(scan: Scan, paths: Sequence[Path]) -> Scan:
    """Return the scan with the facts of its sidecars.

    Raises:
        OSError: a file cannot be reached.
    """
    for path in paths:
        try:
            scan = _joined(scan, read(path), path.name)
        except ScanFormatError as error:
            log.warning("%s", error)
            scan = _noted(scan, f"{path.name} could not be read: {error.found}")
    return scan


def declares_empty(paths: Sequence[Path]) -> bool:
    """Tell whether a sidecar that can be read says that the containers were declared empty.

    Raises:
        OSError: a file cannot be reached.
    """
    for path in paths:
        try:
            if read(path).declared_empty:
                return True
        except ScanFormatError:
            continue  # `join` has told it
    return False


def read(path: Path) -> Found:
    """Return the facts of one JSON or XML file.

    Raises:
        ScanFormatError: it is too large, damaged, or holds what such a file has no need of.
        OSError: it cannot be reached.
    """
    with path.open("rb") as stream:
        data = stream.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise _unfit(path, f"more than {_LARGEST_BYTES} bytes")
    try:
        pairs = _xml_pairs(data) if path.suffix.lower() == ".xml" else _json_pairs(data)
        return _facts(pairs)
    except (ValueError, RecursionError, expat.ExpatError) as error:
        raise _unfit(path, str(error)[:200]) from error


def _facts(pairs: Iterator[tuple[str, str]]) -> Found:
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        fact = _names().get(_plain(name))
        value = " ".join(text.split())
        if fact and value and value.isprintable() and len(value) <= _LONGEST:
            values.setdefault(fact, []).append(value)
    containers = dict.fromkeys(
        part for text in values.get("container_numbers", []) for part in re.split(r"[,;/ ]+", text)
    )
    moments = (_moment(text) for text in values.get("acquired_at", []))
    return Found(
        tuple(part for part in containers if part)[:_MOST],
        next(iter(values.get("scanner", [])), None),
        next((moment for moment in moments if moment), None),
        any(text.casefold() in _EMPTY for text in values.get("declared", [])),
    )


def _joined(scan: Scan, found: Found, name: str) -> Scan:
    containers = tuple(dict.fromkeys((*scan.container_numbers, *found.container_numbers)))
    steps = []
    if containers != scan.container_numbers:
        more = containers[len(scan.container_numbers) :]
        steps.append(f"container numbers {', '.join(more)} from {name}")
    for fact in ("scanner", "acquired_at"):
        beside, own = getattr(found, fact), getattr(scan, fact)
        if beside is not None and own is None:
            steps.append(f"{fact} from {name}")
        elif beside is not None and beside != own:
            steps.append(f"{fact} is {beside} in {name}; what the scan says counts")
    joined = replace(
        scan,
        container_numbers=containers,
        scanner=scan.scanner or found.scanner,
        acquired_at=scan.acquired_at or found.acquired_at,
    )
    for step in steps:
        joined = _noted(joined, step)
    return joined


def _noted(scan: Scan, step: str) -> Scan:
    return replace(scan, provenance=scan.provenance.with_step(step))


@cache
def _names() -> dict[str, str]:
    text = (package_files("nii.watch") / "sidecar_names.csv").read_text("utf-8")
    return {row["name"]: row["fact"] for row in csv.DictReader(text.splitlines())}


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.rpartition(":")[2].casefold())


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _json_pairs(data: bytes) -> Iterator[tuple[str, str]]:
    yield from _walk("", json.loads(data.decode("utf-8-sig")), 0)


def _walk(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    if depth > _DEEPEST:
        msg = f"more than {_DEEPEST} levels"
        raise ValueError(msg)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(str(key), item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(name, item, depth + 1)
    elif isinstance(value, str | int):
        yield name, str(value)


def _xml_pairs(data: bytes) -> Iterator[tuple[str, str]]:
    """Return the text of each element and of each attribute; a document type is refused."""
    pairs: list[tuple[str, str]] = []
    path: list[tuple[str, list[str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append((name, []))
        pairs.extend(attributes.items())

    def end(_: str) -> None:
        name, texts = path.pop()
        pairs.append((name, "".join(texts)))

    def gather(text: str) -> None:
        path[-1][1].append(text)

    def refuse(*_: object) -> None:
        msg = "a document type, through which entities could unfold"
        raise ValueError(msg)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = gather
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)  # noqa: FBT003 - expat takes no keyword
    return iter(pairs)


def _unfit(path: Path, found: str) -> ScanFormatError:
    return ScanFormatError(
        path,
        found=found,
        expected="a small JSON or XML file about the scan",
        remedy="Look at what writes this file; the scan is inspected without it.",
    )
