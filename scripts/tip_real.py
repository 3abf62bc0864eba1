"""Measure a bundle on real benign scans with threats projected in: P_d by grey value of the place.

    python scripts/tip_real.py models/compact ../shared/data/cargo-trucks --out runs/tip_real

All truth files of the folder (train.json, val.json) are read together; ``--split val`` takes one.
Containers are the labelled ones. False alarms are counted in benign containers. What the model
answered is kept, so that an interrupted run goes on. No scan is copied anywhere; pictures of the
highest false alarms (``false_alarms.png``) show parts of them, so keep that file with the scans.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from nii import formats, taxonomy
from nii.annotations.coco import read_coco
from nii.evaluate.containers import ContainerTable, container_table
from nii.evaluate.intervals import clopper_pearson
from nii.evaluate.site import Answers, Known, answers, judged_site
from nii.infer.detect import Detector
from nii.infer.overlay import render_grey
from nii.simulate.projection import ProjectionConfig, makeable

RATES = (0.1, 0.05, 0.01)
SHOWN, TILE_PX, COLUMNS = 24, 240, 6
"""False alarms on the sheet, the side of each picture, and how many stand side by side."""
GREY_EDGES = (0.0, 20.0, 60.0, 100.0, 256.0)
"""Grey of the place, 0 to 255; above 100 the issue calls it pale."""


def main(arguments: list[str]) -> int:
    """Ask the model, print the tables and write them as JSON."""
    options = parse(arguments)
    known = labelled(options.data, options.split)
    groups = [(path,) for path in known.boxes][: options.limit]
    detector = Detector.open(options.bundle)
    config = ProjectionConfig(
        classes=makeable(detector.card.threats),
        threats_per_scan=options.threats,
        seed=options.seed,
    )
    work = options.out / detector.model.sha256[:12]
    seen = answers(groups, detector, config, work, known, told)
    rows = table_of(seen)
    print("\n".join(text_of(rows, seen)))
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"model": f"{detector.card.name} {detector.card.version}", "rows": rows}
    (options.out / "tip_real.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    paths = {path.name: path for path in known.boxes}
    cv2.imwrite(str(options.out / "false_alarms.png"), sheet(seen, paths))
    return 0


def labelled(folder: Path, split: str) -> Known:
    """Return the containers of every scan of the chosen truth files."""
    kind = taxonomy.by_name("container").class_id
    boxes = {}
    for name in ("train", "val") if split == "all" else (split,):
        for image in read_coco(folder / f"{name}.json", folder / "images").images:
            mine = image.truth.boxes_xyxy[image.truth.class_ids == kind]
            boxes[image.path] = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in mine.tolist())
    return Known(boxes)


def table_of(seen: Answers) -> list[dict[str, object]]:
    """Return P_d with its 95 % limits by group and rate of false alarms."""
    cases = container_table(judged_site(seen))
    grey = np.asarray([value for row in seen.rows for value in row.grey])
    names = [name for row in seen.rows for _, name in row.truth]
    inside = placed(cases, seen)
    grey, kinds = grey[inside], np.asarray(names, object)[inside]
    groups = {"all": np.ones(len(grey), np.bool_)}
    for low, high in pairwise(GREY_EDGES):
        groups[f"grey {low:g} to {high:g}"] = (grey >= low) & (grey < high)
    for name in dict.fromkeys(names):
        groups[name] = kinds == name
        groups[f"{name}, grey above 100"] = (kinds == name) & (grey >= GREY_EDGES[-2])
    rows: list[dict[str, object]] = []
    for label, members in groups.items():
        for rate in RATES:
            score = bar(cases, rate)
            found = int((cases.table.found_score[members] > score).sum())
            count = int(members.sum())
            limits = clopper_pearson(found, count) if count else None
            rows.append(
                {
                    "group": label,
                    "false alarms": rate,
                    "found": found,
                    "threats": count,
                    "p_d": found / count if count else None,
                    "low": limits.low if limits else None,
                    "high": limits.high if limits else None,
                }
            )
    return rows


def placed(cases: ContainerTable, seen: Answers) -> np.ndarray:
    """Return which threats lie in a container, in the order of the answers.

    Raises:
        ValueError: the table is in another order.
    """
    sizes = [len(row.truth) for row in seen.rows]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    # The copies with threats are the scans of odd number.
    owner = (cases.scan[cases.table.threat_scan] - 1) // 2
    return np.asarray(starts[owner] + cases.truth_row, np.int64)


def bar(cases: ContainerTable, rate: float) -> float:
    """Return the score that at most a share of the benign containers exceeds."""
    benign = np.sort(cases.table.top_score[cases.benign])[::-1]
    allowed = int(np.floor(rate * len(benign) + 1e-9))
    return float(benign[allowed]) if allowed < len(benign) else float("-inf")


def text_of(rows: list[dict[str, object]], seen: Answers) -> list[str]:
    """Return the table for a terminal."""
    benign = sum(len(row.containers_xyxy) for row in seen.rows)
    lines = [f"{len(seen.rows)} scans, {benign} benign containers, {len(seen.failures)} failed"]
    for row in rows:
        value = "  –  " if row["p_d"] is None else f"{row['p_d']:.3f}"
        within = "" if row["low"] is None else f" ({row['low']:.2f} to {row['high']:.2f})"
        share = 100 * float(str(row["false alarms"]))
        lines.append(
            f"{row['group']!s:32} at {share:4g} %: {value}{within}, "
            f"{row['found']} of {row['threats']}"
        )
    return lines


def sheet(seen: Answers, paths: dict[str, Path]) -> UInt8[np.ndarray, "height width 3"]:
    """Return the highest false alarms as pictures, highest first, each with what it was called."""
    found = [
        (score, row.name, box, kind)
        for row in seen.rows
        for box, score, kind in row.benign
        if taxonomy.by_name(kind).group == "threat"
    ]
    blank = np.full((TILE_PX + 16, TILE_PX, 3), 255, np.uint8)
    tiles = [_tile(*one, paths) for one in sorted(found, reverse=True)[:SHOWN]] or [blank]
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _tile(
    score: float, name: str, box: tuple[float, ...], kind: str, paths: dict[str, Path]
) -> UInt8[np.ndarray, "height width 3"]:
    picture = render_grey(formats.read(paths[name]))
    x0, y0, x1, y1 = box
    half = max(x1 - x0, y1 - y0, 50.0)
    left, top = round((x0 + x1) / 2 - half), round((y0 + y1) / 2 - half)
    side = round(2 * half)
    around = cv2.copyMakeBorder(picture, side, side, side, side, cv2.BORDER_CONSTANT, value=255)
    cut = around[top + side : top + 2 * side, left + side : left + 2 * side]
    tile = cv2.cvtColor(cv2.resize(cut, (TILE_PX, TILE_PX)), cv2.COLOR_GRAY2BGR)
    zoom = TILE_PX / side
    corners = [(round((x - left) * zoom), round((y - top) * zoom)) for x, y in ((x0, y0), (x1, y1))]
    cv2.rectangle(tile, *corners, (0, 70, 255), 1)
    label = np.full((16, TILE_PX, 3), 255, np.uint8)
    text = f"{score:.2f} {kind} {name}"[:38]
    cv2.putText(label, text, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([label, tile])


def told(done: int, count: int) -> None:
    """Print every tenth scan."""
    if done % 10 == 0 or done == count:
        print(f"{done} of {count} scans", file=sys.stderr)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="folder with images, train.json and val.json")
    parser.add_argument("--out", type=Path, default=Path("runs/tip_real"))
    parser.add_argument("--split", choices=("all", "train", "val"), default="all")
    parser.add_argument("--limit", type=int, help="as many scans; all")
    parser.add_argument("--threats", type=int, default=4, help="threats a scan; 4")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
