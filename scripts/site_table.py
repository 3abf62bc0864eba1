"""How well the score learnt from benign scans alone ranks containers with things it never saw.

    python scripts/site_table.py [LEARNT] [BENIGN] [EACH]

Simulates one site (one scanner, one place), learns from LEARNT benign scans, and prints the area
under the ROC curve per container for each kind of threat, EACH scans of it against BENIGN other
benign scans, in light loads and in heavy ones. The score never sees a threat, so every row is a
kind left out. A container is light where less than 20 g/cm2 lie behind the threat; a benign one
where its median attenuation at 9 MeV is below 0.65, about 20 g/cm2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from nii import taxonomy
from nii.infer.site import SiteModel, unusual
from nii.infer.site_features import container_cells
from nii.infer.site_learn import Seen, learn_site
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, SimulatedScan, simulate

KINDS = ("firearm", "brick", "cigarettes", "dense_object", "hidden_vehicle", "modification")
LIGHT_G_PER_CM2, LIGHT_ATTENUATION = 20.0, 0.65
CONTAINER = taxonomy.by_name("container").class_id
SITE = SceneConfig(
    height_px=(800, 801),
    pitch_mm=(5.0, 5.01),
    parallel_share=0.0,
    whole_share=0.0,
    clean_share=1.0,
)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Case:
    """Hold one container: its excess, and whether little lies in or behind it."""

    excess: float
    light: bool


def main(arguments: list[str]) -> int:
    """Simulate, learn, judge, print."""
    counts = [int(word) for word in arguments] or [200, 150, 50]
    learnt, benign, each = counts
    model = learn_site(
        (Seen(one.scan, boxes(one)) for one in scans(SITE, 1, learnt)), lambda: datetime.now(UTC)
    )
    print(f"{model.facts.containers} benign containers learnt", flush=True)
    others = [case for one in scans(SITE, 2, benign) for case in cases(one, model)]
    print("| kind | light: AUROC (containers) | heavy: AUROC (containers) |\n|---|---|---|")
    for number, kind in enumerate(KINDS):
        scene = replace(SITE, clean_share=0.0, threats=(1, 1), threat_classes=(kind,))
        found = [case for one in scans(scene, 11 + number, each) for case in cases(one, model)]
        cells = []
        for light in (True, False):
            mine = [case.excess for case in found if case.light is light]
            rest = [case.excess for case in others if case.light is light]
            cells.append(f"{auroc(mine, rest)} ({len(mine)} against {len(rest)})")
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)
    return 0


def scans(scene: SceneConfig, seed: int, count: int) -> Iterator[SimulatedScan]:
    """Yield scans of the site."""
    config = SimulateConfig(scene, ("linac_9_6",), vary_detector=False)
    return (simulate(seed, index, config) for index in range(count))


def boxes(one: SimulatedScan) -> tuple[Box, ...]:
    """Return the containers of a scan."""
    rows = one.truth.boxes_xyxy[one.truth.class_ids == CONTAINER].tolist()
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in rows)


def cases(one: SimulatedScan, model: SiteModel) -> list[Case]:
    """Return the containers that count: those with a threat, or all of a benign scan."""
    found = []
    threats = [row for row in range(len(one.truth)) if one.threat_kinds[row] is not None]
    for box in boxes(one):
        cells = container_cells(one.scan, box)
        behind = [
            float(one.behind_g_per_cm2[row])
            for row in threats
            if inside(one.truth.boxes_xyxy[row], box)
        ]
        if cells is None or (threats and not behind):
            continue
        x0, y0, x1, y1 = (round(edge) for edge in box)
        part = one.scan.plane(slice(max(y0, 0), y1), slice(max(x0, 0), x1))
        dark = float(-np.log(max(float(np.median(part)), 1e-3)))
        light = min(behind) < LIGHT_G_PER_CM2 if behind else dark < LIGHT_ATTENUATION
        found.append(Case(unusual(cells, model).excess, light))
    return found


def inside(threat: np.ndarray, box: Box) -> bool:
    """Tell whether the middle of a threat lies in a container."""
    x, y = float(threat[0] + threat[2]) / 2, float(threat[1] + threat[3]) / 2
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def auroc(mine: list[float], rest: list[float]) -> str:
    """Return the chance that one of `mine` lies above one of `rest`; a dash where one is empty."""
    if not mine or not rest:
        return "–"
    above = np.subtract.outer(np.asarray(mine), np.asarray(rest))
    return f"{float((above > 0).mean() + (above == 0).mean() / 2):.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
