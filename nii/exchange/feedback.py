"""What officers and examinations said, as a labelled set to train on, without personal data.

The folder holds ``train.json``, ``val.json`` and ``test.json`` (COCO), the scans in ``images/``,
and ``feedback.json`` with counts. Names are pseudonyms made with a key that stays with the store;
no officer, container number, plate or free text is written. A scan whose file carries such facts is
written anew without them, all others keep their bytes. Run again, it adds what is new, changes the
labels that were corrected, and takes out what no longer counts.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from nii import formats, taxonomy
from nii.annotations.coco import CocoImage, CocoSet, write_coco
from nii.config import to_dict
from nii.detections import Detections
from nii.errors import NiiError
from nii.exchange.feedback_labels import Label, Labels, labels_of
from nii.exchange.feedback_split import (
    SPLITS,
    TYING_KINDS,
    Shares,
    groups_of,
    pseudonym,
    read_key,
    splits_of,
)
from nii.folders import write_whole
from nii.inspection import Inspection
from nii.provenance import Provenance, sha256_of_file
from nii.store import audit, scans, tables
from nii.store.database import Store
from nii.store.documents import Kind, tests_of
from nii.store.scans import KeptScan

KEY_FILE = "feedback.key"
"""Beside the folder of original files; never in the exported folder."""
STATE = "feedback.json"
IMAGES = "images"
SCHEMA_VERSION = 1
_CHUNK_BYTES = 1 << 20
_LONGEST_VALUE = 256
_REWRITTEN = ".tif"
Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """Settings of an export."""

    shares: Shares = field(default_factory=Shares)
    """How the groups are split."""
    link: bool = False
    """Link scans instead of copying them: saves space, but whoever changes a linked file changes
    the original of the store."""


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """Count what an export holds.

    Attributes:
        scans: by split.
        positives: by class.
        hard_negatives: by class.
        sources: positives and hard negatives by who says so.
        examined: scans with the outcome of an examination, by outcome.
        blind: scans on which an officer decided before the regions were shown.
        rewritten: scans that were written anew because their file carries facts.
        added: scans that were not in the folder before.
        removed: scans that were, and no longer count.
        left_out: scans with marks or outcomes that are not exported, by reason.
        withdrawn: marks that were withdrawn.
        contradicted: marks that a newer one replaced.
    """

    scans: Mapping[str, int]
    positives: Mapping[str, int]
    hard_negatives: Mapping[str, int]
    sources: Mapping[str, int]
    examined: Mapping[str, int]
    blind: int
    rewritten: int
    added: int
    removed: int
    left_out: Mapping[str, int]
    withdrawn: int
    contradicted: int


@dataclass(frozen=True, slots=True)
class _Item:
    """One scan of the set."""

    kept: KeptScan
    opinions: Mapping[int, Inspection]
    labels: Labels
    values: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where the file of a scan lies, and whether it was there before or was written anew."""

    path: Path
    sha256: str
    rewritten: bool
    fresh: bool


def export(
    store: Store,
    out: Path,
    at: datetime,
    settings: FeedbackSettings | None = None,
    on_progress: Advance = lambda _done, _count: None,
) -> FeedbackReport:
    """Write the labelled set of a store, or bring it up to date.

    Args:
        store: where scans, marks and outcomes are.
        out: folder of the set; a folder of another store is refused.
        at: time of the export, for the log.
        settings: shares of the splits, and whether files are linked.
        on_progress: is told how many scans are done, of how many.

    Raises:
        NiiError: an original file was altered, or the folder belongs to another store.
        OSError: the folder cannot be written.
    """
    settings = settings or FeedbackSettings()
    key = read_key(store.files.with_name(KEY_FILE))
    earlier = _earlier(out, key)
    (out / IMAGES).mkdir(parents=True, exist_ok=True)
    items, left_out = _items(store, key)
    groups = _groups(store, [item.kept.sha256 for item in items], key)
    names = {item.kept.sha256: item.name for item in items}
    was = {sha256: str(earlier[name]["split"]) for sha256, name in names.items() if name in earlier}
    splits = splits_of(groups, was, key, settings.shares)
    images: dict[str, list[CocoImage]] = {split: [] for split in SPLITS}
    state: dict[str, dict[str, Any]] = {}
    placed: list[_Placed] = []
    for done, item in enumerate(items, 1):
        group = groups[item.kept.sha256]
        put = _place(store, item, out, earlier.get(item.name), link=settings.link)
        images[splits[group]].append(_image(item, put, group))
        placed.append(put)
        state[item.name] = _remembered(put, splits[group])
        on_progress(done, len(items))
    labelled = tuple(row.name for row in taxonomy.in_group("threat"))
    for split in SPLITS:
        write_coco(CocoSet(tuple(images[split]), labelled), out / f"{split}.json", out)
    removed = _sweep(out, earlier, state)
    report = _report(items, images, placed, left_out, removed)
    _write_state(out, key, state, report)
    facts = {"what": "feedback", "scans": dict(report.scans), "left_out": dict(report.left_out)}
    audit.log(store, audit.Entry(audit.EXPORTED, None, facts), at)
    return report


def _items(store: Store, key: bytes) -> tuple[list[_Item], Counter[str]]:
    """Return the scans to export, and why others with marks or outcomes are not."""
    items, left_out = [], Counter[str]()
    for sha256 in _candidates(store):
        rows = _rows_of(store, sha256)
        opinions = {
            row["id"]: Inspection.from_json(json.loads(row["document"]))
            for row in rows["inspections"]
        }
        labels = labels_of(opinions, rows["marks"], rows["outcomes"], rows["decisions"])
        kinds = {row["kind"] for row in rows["documents"]}
        if Kind.TEST.value in kinds or _is_test(opinions):
            left_out["a test or a projected threat"] += 1
        elif labels.left_out:
            left_out[labels.left_out] += 1
        else:
            written = [n for one in opinions.values() for n in one.scan.container_numbers]
            values = tuple({*(row["value"] for row in rows["documents"]), *written})
            kept = scans.of(store, sha256)
            items.append(_Item(kept, opinions, labels, values, pseudonym(key, "scan", sha256)))
    return sorted(items, key=lambda item: item.name), left_out


def _candidates(store: Store) -> list[str]:
    """Return all scans with a mark or an outcome."""
    table = tables.inspections.c
    said = sa.union(
        sa.select(tables.marks.c.inspection_id), sa.select(tables.outcomes.c.inspection_id)
    )
    query = sa.select(table.scan_sha256).distinct().where(table.id.in_(said))
    with store.read() as connection:
        return list(connection.execute(query.order_by(table.scan_sha256)).scalars())


def _rows_of(store: Store, sha256: str) -> dict[str, list[dict[str, Any]]]:
    table = tables.inspections
    with store.read() as connection:

        def rows(query: sa.Select[Any]) -> list[dict[str, Any]]:
            return [row._asdict() for row in connection.execute(query)]

        found = {
            "inspections": rows(
                sa.select(table).where(table.c.scan_sha256 == sha256).order_by(table.c.id)
            ),
            "documents": rows(
                sa.select(tables.documents).where(tables.documents.c.scan_sha256 == sha256)
            ),
        }
        ids = [row["id"] for row in found["inspections"]]
        for about in (tables.marks, tables.outcomes, tables.decisions):
            query = sa.select(about).where(about.c.inspection_id.in_(ids)).order_by(about.c.id)
            found[about.name] = rows(query)
    return found


def _is_test(opinions: Mapping[int, Inspection]) -> bool:
    """Tell whether a threat was projected; scans that were filed long ago have no document."""
    return any(tests_of(one.scan.assumptions) for one in opinions.values())


def _groups(store: Store, chosen: Sequence[str], key: bytes) -> dict[str, str]:
    """Return the group of each scan; scans that are not exported tie others together as well."""
    papers = tables.documents.c
    query = sa.select(papers.scan_sha256, papers.kind, papers.value)
    with store.read() as connection:
        rows = connection.execute(query.where(papers.kind.in_(TYING_KINDS))).all()
    return groups_of(((row[0], f"{row[1]}\n{row[2]}") for row in rows), chosen, key)


def _place(
    store: Store, item: _Item, out: Path, before: Mapping[str, Any] | None, *, link: bool
) -> _Placed:
    """Put the file of a scan into the folder, unless it is there."""
    if before is not None:
        path = out / IMAGES / str(before["file"])
        if path.is_file() and path.stat().st_size == before["bytes"]:
            return _Placed(path, str(before["sha256"]), bool(before["rewritten"]), fresh=False)
    for file in item.kept.files:
        _check_unaltered(scans.path_of(store, file.sha256), file.sha256)
    with scans.original_files(store, item.kept) as files:
        if _carries_facts(files, item.values):
            path = out / IMAGES / f"{item.name}{_REWRITTEN}"
            _write_bare(files, path)
            return _Placed(path, sha256_of_file(path), rewritten=True, fresh=True)
    kept = item.kept.files[0]
    path = out / IMAGES / f"{item.name}{_suffix(kept.name)}"
    _copy(scans.path_of(store, kept.sha256), path, link=link)
    return _Placed(path, kept.sha256, rewritten=False, fresh=True)


def _check_unaltered(path: Path, sha256: str) -> None:
    if path.is_file() and sha256_of_file(path) == sha256:
        return
    raise NiiError(
        path,
        found="an original file that is missing or was altered",
        expected=f"the SHA-256 {sha256}",
        remedy="Restore the folder of original files from a backup.",
    )


def _suffix(name: str) -> str:
    """Return the ending of a scan's name where it is one of a form; others could tell something."""
    suffix = Path(name).suffix.lower()
    return suffix if any(suffix in form.SUFFIXES for form in formats.FORMATS) else ".scan"


def _carries_facts(files: Sequence[Path], values: Sequence[str]) -> bool:
    """Tell whether a scan cannot be handed on as it is.

    That is so where it is several files, where its form has fields for persons (DICOS), where it
    states a container number, or where a number that it is linked to stands in its bytes.
    """
    if len(files) != 1 or files[0].suffix.lower() in formats.dicos.SUFFIXES:
        return True
    scan = formats.read(files[0])
    if scan.container_numbers:
        return True
    wanted = [
        spelt.encode(code)
        for value in values
        for spelt in {value, value.lower()}
        for code in ("utf-8", "utf-16-le")
        if value
    ]
    return any(_holds(files[0], word) for word in wanted)


def _holds(path: Path, word: bytes) -> bool:
    tail = b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            if word in tail + chunk:
                return True
            tail = chunk[-_LONGEST_VALUE * 4 :]
    return False


def _write_bare(files: Sequence[Path], path: Path) -> None:
    """Write a scan with its pixels and what they mean, and nothing else."""
    scan = formats.read(list(files))
    bare = replace(
        scan,
        scanner=None,
        acquired_at=None,
        container_numbers=(),
        provenance=Provenance(steps=("written anew without the facts of its file",)),
    )
    formats.write(bare, path)


def _copy(source: Path, path: Path, *, link: bool) -> None:
    path.unlink(missing_ok=True)
    if link:
        os.link(source, path)
        return
    handle, name = tempfile.mkstemp(prefix=".copying-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as target, source.open("rb") as stream:
            shutil.copyfileobj(stream, target, _CHUNK_BYTES)
            target.flush()
            os.fsync(target.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _image(item: _Item, placed: _Placed, group: str) -> CocoImage:
    facts = next(iter(item.opinions.values())).scan
    labels, boxes = item.labels, item.labels.positives
    attributes: dict[str, Any] = {
        "group": group,
        "examined": labels.outcome or "no",
        "blind": labels.blind,
        "rewritten": placed.rewritten,
        "hard_negatives": [_plain(one) for one in labels.hard_negatives],
    }
    attributes |= {"examination_found": labels.outcome_class} if labels.outcome_class else {}
    class_ids = [taxonomy.by_name(one.class_name).class_id for one in boxes]
    return CocoImage(
        placed.path,
        facts.height,
        facts.width,
        Detections(
            np.asarray([one.box_xyxy for one in boxes], np.float32).reshape(-1, 4),
            np.ones(len(boxes), np.float32),
            np.asarray(class_ids, np.int64),
        ),
        (None,) * len(boxes),
        np.full(len(boxes), np.nan, np.float32),
        sha256=placed.sha256,
        attributes=attributes,
        box_attributes=tuple(
            {"source": one.source} | ({} if one.score is None else {"score": one.score})
            for one in boxes
        ),
    )


def _plain(label: Label) -> dict[str, Any]:
    x0, y0, x1, y1 = label.box_xyxy
    return {
        "category": label.class_name,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "source": label.source,
        "score": label.score,
    }


def _remembered(placed: _Placed, split: str) -> dict[str, Any]:
    return {
        "file": placed.path.name,
        "bytes": placed.path.stat().st_size,
        "sha256": placed.sha256,
        "rewritten": placed.rewritten,
        "split": split,
    }


def _earlier(out: Path, key: bytes) -> dict[str, dict[str, Any]]:
    """Return what an earlier export of this store put into the folder, by name."""
    path = out / STATE
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text("utf-8"))
        fits = data["schema_version"] == SCHEMA_VERSION and data["store"] == _mark(key)
        found: dict[str, dict[str, Any]] = dict(data["scans"]) if fits else {}
    except (KeyError, TypeError, ValueError):
        fits = False
    if fits:
        return found
    raise NiiError(
        path,
        found="the export of another store or version",
        expected="an empty folder, or an earlier export of this store",
        remedy="Name another folder.",
    )


def _mark(key: bytes) -> str:
    return pseudonym(key, "store", "")


def _sweep(out: Path, earlier: Mapping[str, Any], state: Mapping[str, Any]) -> int:
    """Remove files of scans that no longer count; return how many scans that were."""
    gone = [row for name, row in earlier.items() if name not in state]
    for row in gone:
        (out / IMAGES / Path(row["file"]).name).unlink(missing_ok=True)
    return len(gone)


def _report(
    items: Sequence[_Item],
    images: Mapping[str, Sequence[CocoImage]],
    placed: Sequence[_Placed],
    left_out: Counter[str],
    removed: int,
) -> FeedbackReport:
    labels = [item.labels for item in items]
    positives = [one for each in labels for one in each.positives]
    negatives = [one for each in labels for one in each.hard_negatives]
    return FeedbackReport(
        scans={split: len(images[split]) for split in SPLITS},
        positives=dict(sorted(Counter(one.class_name for one in positives).items())),
        hard_negatives=dict(sorted(Counter(one.class_name for one in negatives).items())),
        sources=dict(sorted(Counter(one.source for one in (*positives, *negatives)).items())),
        examined=dict(sorted(Counter(one.outcome for one in labels if one.outcome).items())),
        blind=sum(one.blind for one in labels),
        rewritten=sum(one.rewritten for one in placed),
        added=sum(one.fresh for one in placed),
        removed=removed,
        left_out=dict(sorted(left_out.items())),
        withdrawn=sum(one.withdrawn for one in labels),
        contradicted=sum(one.contradicted for one in labels),
    )


def _write_state(out: Path, key: bytes, state: Mapping[str, Any], report: FeedbackReport) -> None:
    data = {
        "schema_version": SCHEMA_VERSION,
        "tool": Provenance().tool,
        "store": _mark(key),
        "report": to_dict(report),
        "scans": state,
    }
    write_whole(out / STATE, (json.dumps(data, sort_keys=True, indent=1) + "\n").encode())
