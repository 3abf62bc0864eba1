"""Print how often dual energy names the right class of material, by areal density, as markdown.

Example: python scripts/material_confusion.py

The materials that are told apart are not those of the calibration wedges. Each is put into the
beam behind the two walls of an empty container (3.1 g/cm2 of steel), 400 times with new noise: the
noise of photons and electronics of the default detector, averaged over a segment, and what
calibration leaves over for the whole segment (0.2 % of the signal, each energy for itself), once
for the object and once for the ring around it. A last table puts 60 g/cm2 of water into the beam
as well. Scatter, edges and mixtures are left out.
"""

from __future__ import annotations

import numpy as np

from nii.physics.attenuation import by_name
from nii.physics.beam import Beam, make_beam, transmit
from nii.physics.detector import STEP, DetectorConfig
from nii.physics.dual_energy import CLASSES, WEDGES, Calibration, calibrate, class_of, decode

BEAMS = ((9.0, 6.0), (6.0, 4.0), (6.0, 3.5))
TOLD = (
    *("cellulose", "cocaine", "rdx", "vegetable_oil"),
    *("glass", "limestone", "magnesium", "granite"),
    *("stainless_steel", "brass", "nickel"),
    *("gold", "silver", "platinum"),
)
GRAMS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0)
WALLS = {"iron": 3.1}
LOADED = {"iron": 3.1, "water": 60.0}
DRAWS = 400
CALIBRATION_ERROR = 0.002


def noisy(
    beam: Beam, load: dict[str, float], pixels: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return `DRAWS` measurements of a load and their standard deviation."""
    grid = np.zeros((len(beam.materials), 1, 1), np.float32)
    for material, grams in load.items():
        grid[beam.materials.index(material)] = grams
    ideal, unit = (plane[:, 0, 0].astype(np.float64) for plane in transmit(beam, grid))
    detector = DetectorConfig()
    variance = unit / detector.photons_per_pixel + (detector.electronic_noise_steps * STEP) ** 2
    sigma = np.sqrt(variance / ideal**2 / pixels + CALIBRATION_ERROR**2)
    return -np.log(ideal) + sigma * rng.standard_normal((DRAWS, 2)), np.tile(sigma, (DRAWS, 1))


def table(
    beam: Beam, calibration: Calibration, pixels: int, others: dict[str, float]
) -> np.ndarray:
    """Return the share of draws by areal density, true class and named class."""
    rng = np.random.default_rng(1)
    behind = np.asarray([others.get(name, 0.0) for name in WEDGES])
    shares = np.zeros((len(GRAMS), len(CLASSES), len(CLASSES)))
    for step, grams in enumerate(GRAMS):
        for name in TOLD:
            whole, sigma = noisy(beam, {**others, name: grams}, pixels, rng)
            around, ring_sigma = noisy(beam, others, pixels, rng)
            found = decode(whole - around, np.hypot(sigma, ring_sigma), calibration, behind)
            named = np.bincount(found.probabilities.argmax(1), minlength=len(CLASSES))
            shares[step, CLASSES.index(class_of(by_name(name).z_eff))] += named
    return np.asarray(shares / shares.sum(2, keepdims=True), np.float64)


def main() -> None:
    """Print one table for each beam, size of segment and load, and the first matrix in full."""
    for endpoints in BEAMS:
        beam = make_beam(endpoints, tuple(dict.fromkeys((*TOLD, *LOADED))))
        calibration = calibrate(make_beam(endpoints, WEDGES))
        for pixels, others in ((400, WALLS), (1, WALLS), (400, LOADED)):
            shares = table(beam, calibration, pixels, others)
            load = ", ".join(f"{grams:g} g/cm² {name}" for name, grams in others.items())
            print(f"\n{endpoints[0]:g}/{endpoints[1]:g} MeV, {pixels} pixels, behind {load}\n")
            print("| g/cm² | " + " | ".join(CLASSES) + " |\n|---|" + "---|" * len(CLASSES))
            for grams, matrix in zip(GRAMS, shares, strict=True):
                right = " | ".join(f"{100 * share:.0f} %" for share in np.diag(matrix))
                print(f"| {grams:g} | {right} |")
            if endpoints == BEAMS[0] and pixels > 1 and others is WALLS:
                print_matrices(shares)


def print_matrices(shares: np.ndarray) -> None:
    """Print which class is named instead of which."""
    print("\n| g/cm² | truth | " + " | ".join(CLASSES) + " |\n|---|---|" + "---|" * len(CLASSES))
    for grams, matrix in zip(GRAMS, shares, strict=True):
        for truth, row in zip(CLASSES, matrix, strict=True):
            cells = " | ".join(f"{100 * share:.0f}" for share in row)
            print(f"| {grams:g} | {truth} | {cells} |")


if __name__ == "__main__":
    main()
