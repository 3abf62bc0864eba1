"""Draw pictures of the docs: simulated scans of every family, and samples in false colour.

Run it in the root of the repository: ``python scripts/make_contact_sheet.py``.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nii import formats
from nii.physics.beam import make_beam, transmit
from nii.physics.dual_energy import WEDGES, calibrate_fan
from nii.physics.false_colour import false_colour
from nii.simulate.cargo import CARGO
from nii.simulate.container import Container, build, room
from nii.simulate.geometry import Geometry
from nii.simulate.layout import LoadShares
from nii.simulate.scanner import fan_of
from nii.simulate.scene import SceneConfig, build_scene
from nii.simulate.shapes import BASIS, project

FOLDER = Path("docs/images")
SAMPLES = Path("data/samples")
WIDTH = 1000
COLUMNS = 6


def grey(areal_density: Float32[np.ndarray, "material height width"]) -> UInt8[np.ndarray, "h w"]:
    """Return what a 9 MV linac shows, lifted for the eye."""
    transmission, _ = transmit(make_beam((9.0,), BASIS, 8), areal_density)
    lifted = (np.asarray(transmission[0]) ** 0.4 - 0.05) / 0.95
    return np.asarray(np.rint(np.clip(lifted, 0, 1) * 255), np.uint8)


def tile(kind: str) -> UInt8[np.ndarray, "h w"]:
    """Return a 20-foot container with one kind of goods and its name."""
    pitch, rng = 0.016, np.random.default_rng(5)
    box = Container((0.0, 6.058), (0.0, 2.591), "dry", doors_right=True)
    high, wide = int(2.9 / pitch), int(6.5 / pitch)
    sag = np.zeros(wide, np.float32)
    view = Geometry(high, wide, (pitch,) * 2, -0.2, 2.75, 7.0, 1.0, 0.01, False, sag)  # noqa: FBT003
    shapes = [*build(box, rng), *CARGO[kind](room(box), rng)]
    picture = cv2.resize(grey(project(shapes, view, rng)), (WIDTH // COLUMNS, 74),
                         interpolation=cv2.INTER_AREA)  # fmt: skip
    label = np.full((13, picture.shape[1]), 255, np.uint8)
    cv2.putText(label, kind, (3, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, 0, 1, cv2.LINE_AA)
    return np.vstack([label, picture])


def vehicles() -> UInt8[np.ndarray, "h w"]:
    """Return road vehicles and wagons, one below the other in two columns."""
    road = LoadShares(empty=0.2, on_ground=0.0, rail=0.0, no_container=0.0)
    lorry = LoadShares(on_ground=0.0, rail=0.0, no_container=0.0, two_containers=0.0,
                       other_lorry=1.0, empty=0.0)  # fmt: skip
    rail = LoadShares(on_ground=0.0, rail=1.0, coupled=(1, 1), empty=0.0)
    wanted = [(road, 1), (lorry, 21), (rail, 0), (rail, 3), (rail, 4), (rail, 5)]
    tiles = []
    for loads, seed in wanted:
        config = SceneConfig(
            height_px=(500, 500), pitch_mm=(5.0, 14.0), widest_px=2000,
            clean_share=1.0, whole_share=1.0, loads=loads,
        )  # fmt: skip
        scene = build_scene(np.random.default_rng(seed), config)
        picture = grey(scene.areal_density_g_per_cm2)
        tiles.append(cv2.resize(picture, (WIDTH // 2, 130), interpolation=cv2.INTER_AREA))
    return np.vstack([np.hstack(tiles[row : row + 2]) for row in range(0, len(tiles), 2)])


def false_colours() -> UInt8[np.ndarray, "height width 3"]:
    """Return two of the samples in the colours of the field, decoded at the angle of every row."""
    pictures = []
    for name in ("mixed_load.png", "twin_containers.tiff"):
        scan, fan = formats.read(SAMPLES / name), None
        if scan.endpoint_mev is None or (fan := fan_of(scan)) is None:
            raise SystemExit(f"{name}: no end-points or no fan; run scripts/make_samples.py")
        beam = make_beam(scan.endpoint_mev, WEDGES)
        picture = false_colour(scan.transmission, calibrate_fan(beam.at, fan.angle_deg()))
        pictures.append(cv2.resize(picture, (WIDTH, 480), interpolation=cv2.INTER_AREA))
    return np.asarray(np.vstack(pictures)[..., ::-1], np.uint8)


def main() -> None:
    """Write the pictures."""
    small = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    cv2.imwrite(str(FOLDER / "false_colour.png"), (false_colours() // 8) * 8 + 4, small)
    tiles = [tile(kind) for kind in CARGO]
    while len(tiles) % COLUMNS:
        tiles.append(np.full_like(tiles[0], 255))
    goods = np.vstack(
        [np.hstack(tiles[row : row + COLUMNS]) for row in range(0, len(tiles), COLUMNS)]
    )
    pad = np.full((goods.shape[0], WIDTH - goods.shape[1]), 255, np.uint8)
    sheet = np.vstack([vehicles(), np.hstack([goods, pad])])
    # Sixteen greys are enough for the eye and make the file small.
    cv2.imwrite(str(FOLDER / "scenes.png"), (sheet // 16) * 17, small)


if __name__ == "__main__":
    main()
