"""How well a bundle ranks containers with kinds of threats that it was never taught.

    python scripts/unseen_kinds.py models/compact --count 200 --folder runs/unseen

Simulates scans with exactly one such threat, and the same scenes without it, on the scanner and
with the loads of scripts/field_test.py. Each container with a threat is one case; the same
container of the scan without the threat is its harmless twin, so that both have the same load. The
area under the ROC curve (AUROC) is the chance that a container with a threat scores above a
harmless one. Six scores are set side by side:

================  =============================================================================
``map_max``       highest value of the anomaly map in the container
``map_top``       mean of its 64 highest values: about the area of a hand-held object
``detector``      highest score of a threat of any class
``map+detector``  mean of the shares of harmless containers that lie below in either
``site``          excess of the score learnt from benign scans of that scanner (``--learnt``)
``all``           as ``map+detector``, with the site's score as third
================  =============================================================================

What was found in each scan is kept in the folder: a call that was broken off goes on, a larger
``--count`` adds to it, and several processes may work on different ``--kinds`` at once. Written
are ``unseen.json`` and ``unseen.csv``. Nothing of this is an alarm: the figures say how well the
attention of an officer would be led.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nii import boxes, config, taxonomy
from nii.evaluate.intervals import Interval, bootstrap
from nii.folders import claim
from nii.formats.files import save
from nii.infer.anomaly import CELLS
from nii.infer.detect import Detector
from nii.infer.inspect import container_scores
from nii.infer.runtime import ProviderSettings
from nii.infer.site import SiteModel, read_site, unusual, write_site
from nii.infer.site_features import container_cells
from nii.infer.site_learn import Seen, learn_site
from nii.simulate.layout import LoadShares
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, SimulatedScan, simulate
from nii.simulate.threats import THREATS

SEED, SITE_SEED = 2401, 2402
"""Streams of the cases and of the site's benign scans; no configuration trains on either."""
LOADS = LoadShares(empty=0.2, partial=0.3, two_containers=0.1, rail=0.1, other_lorry=0.1, mixed=0.6)
"""As in scripts/field_test.py."""
BASE = SimulateConfig(
    scene=SceneConfig(loads=LOADS, threats=(1, 1), clean_share=1.0), scanners=("portal_9_6",)
)
LIGHT_G_PER_CM2 = 20.0
CONTAINER = taxonomy.by_name("container").class_id
SAME_IOU = 0.5
MEASURED = ("map_max", "map_top", "detector", "site")
JOINT = {"map+detector": ("map_top", "detector"), "all": ("map_top", "detector", "site")}
LOAD_NAMES = {"all loads": np.inf, "under 20 g/cm2": LIGHT_G_PER_CM2}
MOST_TRIES = 5
"""Scans tried for each case that is wanted: not every scene has room for every thing."""

Box = tuple[float, float, float, float]
Scores = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Look:
    """Hold a bundle, open, and what is usual at the site; None where that is not asked."""

    detector: Detector
    site: SiteModel | None


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one container with a threat, and its harmless twin."""

    kind: str
    index: int
    behind_g_per_cm2: float
    threat: Scores
    clean: Scores


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one figure: which kind, load and score, and how many containers with a threat."""

    kind: str
    load: str
    score: str
    containers: int
    auroc: float | None
    interval: Interval | None


def main(arguments: list[str]) -> int:
    """Simulate, look, judge, write and print."""
    options = parse(arguments)
    detector = Detector.open(options.bundle, ProviderSettings())
    known = {taxonomy.classes()[row].name for row in detector.card.threat_ids}
    kinds = options.kinds or [name for name in THREATS if name not in known]
    claim(
        options.folder / "settings.json",
        {
            "bundle_sha256": detector.model.sha256,
            "seed": SEED,
            "learnt": options.learnt,
            "simulate": config.to_dict(BASE),
        },
        "cases",
        "Choose another folder.",
    )
    look = Look(detector, site_of(options.folder, options.learnt))
    found: list[Case] = []
    for kind in kinds:
        found += cases(look, kind, options.count, options.folder)
        print(f"{kind}: {sum(case.kind == kind for case in found)} containers", flush=True)
    rows = table(found, options.repeats)
    write(options, kinds, known, rows)
    print("\n".join(text_of(rows)))
    return 0


def site_of(folder: Path, learnt: int) -> SiteModel | None:
    """Return the site model of the folder, learnt where it is not there yet; None for no scans."""
    path = folder / "benign.site"
    if learnt and not path.is_file():
        benign = (simulate(SITE_SEED, index, BASE) for index in range(learnt))
        seen = (Seen(one.scan, containers(one)) for one in benign)
        write_site(learn_site(seen, lambda: datetime.now(UTC)), path)
    return read_site(path) if learnt else None


def cases(look: Look, kind: str, count: int, folder: Path) -> Iterator[Case]:
    """Yield cases of one kind until there are enough, or the scenes that may be tried end."""
    done = 0
    for index in range(MOST_TRIES * count):
        if done == count:
            return
        for case in cases_of(look, kind, index, folder):
            done += 1
            yield case


def cases_of(look: Look, kind: str, index: int, folder: Path) -> list[Case]:
    """Return the case of one scan, if its threat lies in a container that the twin shows too."""
    with_threat = kept(look, kind, index, folder)
    inside = [one for one in with_threat if one["behind"] is not None]
    if not inside:
        return []
    twins = kept(look, "clean", index, folder)
    theirs = np.asarray([one["box"] for one in twins], np.float32).reshape(-1, 4)
    found = []
    for one in inside:
        overlap = boxes.iou(np.asarray([one["box"]], np.float32), theirs)[0]
        if len(overlap) and overlap.max() >= SAME_IOU:
            twin = twins[int(np.argmax(overlap))]
            found.append(Case(kind, index, one["behind"], one["scores"], twin["scores"]))
    return found


def kept(look: Look, kind: str, index: int, folder: Path) -> list[dict[str, Any]]:
    """Return what is known of the containers of one scan; looked at if it was not before."""
    path = folder / "cases" / kind / f"{index:06}.json"
    if path.is_file():
        found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return found
    scene = BASE.scene
    if kind != "clean":
        scene = replace(scene, clean_share=0.0, threat_classes=(kind,))
    found = containers_seen(simulate(SEED, index, replace(BASE, scene=scene)), look)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, json.dumps(found).encode())
    return found


def containers_seen(one: SimulatedScan, look: Look) -> list[dict[str, Any]]:
    """Return box, scores and areal density behind the threat of each container of a scan.

    A scan whose threat found no place has nothing to tell, and is not looked at.
    """
    threats = [row for row, kind in enumerate(one.threat_kinds) if kind is not None]
    wanted = one.scan.provenance.settings["simulate"]["scene"]["clean_share"] < 1
    if wanted and not threats:
        return []
    seen = look.detector.examine(one.scan)
    places = containers(one)
    tops = container_scores(seen.detections, places)
    stride = look.detector.card.decode.threat_stride
    rows = []
    for box, top in zip(places, tops, strict=True):
        behind = [
            float(one.behind_g_per_cm2[row])
            for row in threats
            if middle_inside(one.truth.boxes_xyxy[row], box)
        ]
        scores: Scores = {"map_max": None, "map_top": None, "detector": top, "site": None}
        if seen.anomaly is not None:
            x0, y0, x1, y1 = (round(edge / stride) for edge in box)
            values = np.sort(seen.anomaly[max(y0, 0) : y1, max(x0, 0) : x1], axis=None)
            scores["map_max"] = float(values[-1])
            scores["map_top"] = float(values[-CELLS:].mean())
        cells = container_cells(one.scan, box) if look.site else None
        if cells is not None and look.site is not None:
            scores["site"] = unusual(cells, look.site).excess
        rows.append({"box": box, "behind": behind[0] if behind else None, "scores": scores})
    return rows


def containers(one: SimulatedScan) -> tuple[Box, ...]:
    """Return the containers of a scan."""
    rows = one.truth.boxes_xyxy[one.truth.class_ids == CONTAINER].tolist()
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in rows)


def middle_inside(threat: np.ndarray, box: Box) -> bool:
    """Tell whether the middle of a threat lies in a container."""
    x, y = float(threat[0] + threat[2]) / 2, float(threat[1] + threat[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def table(found: Sequence[Case], repeats: int) -> list[Row]:
    """Return every figure: each kind and all together, each load, each score."""
    kinds = {kind: {kind} for kind in dict.fromkeys(case.kind for case in found)}
    kinds |= {"all kinds": set(kinds)} if len(kinds) > 1 else {}
    rows = []
    for name, members in kinds.items():
        for load, limit in LOAD_NAMES.items():
            mine = [c for c in found if c.kind in members and c.behind_g_per_cm2 < limit]
            rows += [row_of((name, load, score), mine, repeats) for score in (*MEASURED, *JOINT)]
    return rows


def row_of(names: tuple[str, str, str], found: Sequence[Case], repeats: int) -> Row:
    """Return one figure with its interval; scenes are resampled, with all that was seen in each."""
    kind, load, score = names
    parts = JOINT.get(score, (score,))
    whole = [c for c in found if all(has(c, part) for part in parts)]
    if not whole:
        return Row(kind, load, score, 0, None, None)
    threat, clean = joint([c.threat for c in whole], [c.clean for c in whole], parts)
    scenes, scene = np.unique([c.index for c in whole], return_inverse=True)

    def statistic(drawn: np.ndarray) -> float | None:
        return auroc(threat, clean, drawn[scene].astype(np.float64))

    value = statistic(np.ones(len(scenes), np.int64))
    rng = np.random.default_rng(SEED)
    interval = bootstrap(statistic, len(scenes), rng, repeats=repeats) if repeats else None
    return Row(kind, load, score, len(whole), value, interval)


def has(case: Case, part: str) -> bool:
    """Tell whether both containers of a case have a score."""
    return case.threat[part] is not None and case.clean[part] is not None


def joint(
    threat: Sequence[Mapping[str, float | None]],
    clean: Sequence[Mapping[str, float | None]],
    parts: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return one score; of several the mean of the shares of harmless containers that lie below."""
    columns = []
    for part in parts:
        mine = np.asarray([one[part] for one in threat], np.float64)
        rest = np.asarray([one[part] for one in clean], np.float64)
        if len(parts) > 1:
            mine, rest = share_below(mine, rest), share_below(rest, rest)
        columns.append((mine, rest))
    first, second = zip(*columns, strict=True)
    return np.mean(first, axis=0), np.mean(second, axis=0)


def share_below(values: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return for each value the share of the others below it, equal ones counting half."""
    ordered = np.sort(rest)
    low, high = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    return np.asarray((low + high) / (2 * len(rest)))


def auroc(threat: np.ndarray, clean: np.ndarray, weights: np.ndarray) -> float | None:
    """Return the chance that a container with a threat scores above a harmless one.

    Args:
        threat: scores of the containers with a threat.
        clean: scores of their twins.
        weights: how often each pair counts.
    """
    total = float(weights.sum())
    if not total:
        return None
    levels, place = np.unique(np.concatenate([threat, clean]), return_inverse=True)
    mine = np.bincount(place[: len(threat)], weights, len(levels))
    rest = np.bincount(place[len(threat) :], weights, len(levels))
    below = np.cumsum(rest) - rest / 2
    return float((mine * below).sum()) / total**2


def write(
    options: argparse.Namespace, kinds: Sequence[str], known: set[str], rows: Sequence[Row]
) -> None:
    """Write the table for machines and for spreadsheets."""
    whole = {
        "bundle": str(options.bundle),
        "taught": sorted(known),
        "kinds": list(kinds),
        "settings": json.loads((options.folder / "settings.json").read_text("utf-8")),
        "rows": [asdict(row) for row in rows],
    }
    save(options.folder / "unseen.json", (json.dumps(whole, indent=1) + "\n").encode())
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["kind", "load", "score", "containers", "auroc", "low", "high"])
    for row in rows:
        limits = (row.interval.low, row.interval.high) if row.interval else ("", "")
        writer.writerow([row.kind, row.load, row.score, row.containers, row.auroc, *limits])
    save(options.folder / "unseen.csv", stream.getvalue().encode())


def text_of(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table as Markdown: one line for each kind and load."""
    scores = (*MEASURED, *JOINT)
    yield f"| kind | load | containers | {' | '.join(scores)} |"
    yield "|---" * (len(scores) + 3) + "|"
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.kind, row.load), []).append(row)
    for (kind, load), mine in groups.items():
        count = max(row.containers for row in mine)
        yield f"| {kind} | {load} | {count} | {' | '.join(cell_of(row) for row in mine)} |"


def cell_of(row: Row) -> str:
    """Return one figure with its interval; a dash where there is none."""
    if row.auroc is None:
        return "–"
    limits = f" ({row.interval.low:.2f}-{row.interval.high:.2f})" if row.interval else ""
    return f"{row.auroc:.2f}{limits}"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path, help="bundle that looks")
    parser.add_argument("--folder", type=Path, default=Path("runs/unseen"), help="cases, tables")
    parser.add_argument("--count", type=int, default=200, help="containers of each kind")
    parser.add_argument("--kinds", nargs="*", choices=tuple(THREATS), help="default: all untaught")
    parser.add_argument("--learnt", type=int, default=200, help="the site's benign scans; 0: none")
    parser.add_argument("--repeats", type=int, default=500, help="resamples for the intervals")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
