"""Make the scans of data/samples again: simulated, each in another format.

Example: python scripts/make_samples.py data/samples

The scans were chosen by what they show, before any model looked at them. labels.json holds the
truth; nii inspect does not read it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nii import formats
from nii.annotations import coco
from nii.provenance import sha256_of_file
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

SEED = 77
SCENE = SceneConfig(
    height_px=(700, 760),
    pitch_mm=(5.2, 6.0),
    widest_px=1500,
    whole_share=0.0,
    threats=(1, 2),
    clean_share=0.3,
)
DUAL = SimulateConfig(scene=SCENE)
SINGLE = SimulateConfig(scene=SCENE, scanners=("linac_6",))
DISPLAY = SimulateConfig(scene=SCENE, display_share=1.0)
SAMPLES = (
    ("twin_containers.tiff", 1, DUAL, ("CSQU3054383",)),
    ("reefer.dcs", 11, DUAL, ("NIIU0000015",)),
    ("mixed_load.png", 19, DUAL, ()),
    ("empty_single_energy.png", 13, SINGLE, ()),
    ("display_export.jpg", 5, DISPLAY, ()),
)
"""File, number in the stream, what is drawn from, container numbers (invented)."""


def main(folder: Path) -> None:
    """Write the scans and their labels into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for day, (name, index, config, numbers) in enumerate(SAMPLES, 1):
        made = simulate(SEED, index, config)
        moment = datetime(2026, 11, day, 8, 30, tzinfo=UTC)
        scan = replace(made.scan, container_numbers=numbers, acquired_at=moment)
        files = formats.write(scan, folder / name)
        images.append(
            coco.CocoImage(
                path=files[0],
                height=scan.height,
                width=scan.width,
                truth=made.truth,
                load_states=made.load_states,
                behind_g_per_cm2=made.behind_g_per_cm2,
                sha256=sha256_of_file(files[0]),
                seed=SEED,
            )
        )
        print(*files)
    coco.write_coco(coco.CocoSet(tuple(images)), folder / "labels.json", folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data/samples"))
