"""Threat image projection: as if simulated together, for signals, noise, edges and a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import formats
from nii.config import to_dict
from nii.detections import Detections
from nii.errors import ConfigError
from nii.physics.attenuation import mass_attenuation_cm2_per_g
from nii.physics.beam import _moments, transmit
from nii.physics.detector import DetectorConfig
from nii.scan import Grey, Scan
from nii.simulate.geometry import Fan
from nii.simulate.scanner import ScannerConfig, acquire, beam_of, preset, render_display, vary
from nii.simulate.scene import Scene, SceneConfig, build_scene
from nii.simulate.shapes import BASIS, ORGANIC, STEEL
from nii.simulate.sweep import window
from nii.simulate.threats import THREATS
from nii.simulate.tip import ThreatImage, image_of, insert, scanner_of

QUIET = DetectorConfig(
    photons_per_pixel=1e30,
    electronic_noise_steps=0.0,
    psf_sigma_px=(0.0, 0.0),
    scatter_fraction=0.0,
    pulse_jitter=0.0,
    row_gain_error=0.0,
    module_gain_error=0.0,
)
SLABS = {
    "10 g/cm2 polyethylene": ("polyethylene", 10.0),
    "1 cm iron": ("iron", 7.87),
    "1 cm lead": ("lead", 11.35),
}
LOADS: tuple[tuple[tuple[str, float], ...], ...] = (
    (),
    (("iron", 3.0),),
    (("iron", 40.0),),
    (("iron", 100.0),),
    (("polyethylene", 60.0),),
    (("polyethylene", 100.0),),
    (("aluminium", 60.0),),
    (("water", 80.0),),
    (("polyethylene", 40.0), ("iron", 20.0)),
    (("cellulose", 50.0), ("lead", 10.0)),
)


def through(
    energies: tuple[float, ...], *plates: tuple[str, float], angle: float = 0.0
) -> np.ndarray:
    """Return the transmission of plates, integrated over the whole spectrum."""
    fine, moments = _moments(energies, angle)
    depth = sum((mass_attenuation_cm2_per_g(name, fine) * x for name, x in plates), 0 * fine)
    return np.asarray(moments[: len(energies)] @ np.exp(-depth))


def flat(values: np.ndarray, energies: tuple[float, ...] | None) -> Scan:
    """Return a small scan of constant transmission, unquantised."""
    plane = np.tile(values.astype(np.float32)[:, None, None], (1, 9, 9))
    return Scan(plane, endpoint_mev=energies)


def slab(name: str, grams: float) -> ThreatImage:
    """Return a plate that covers the small scan."""
    return ThreatImage(np.full((1, 9, 9), grams, np.float32), (name,), "dense_object", name)


@pytest.mark.parametrize("energies", [(9.0, 6.0), (6.0, 4.0)])
@pytest.mark.parametrize("threat", SLABS.values(), ids=SLABS)
def test_insertion_agrees_with_simulation(
    energies: tuple[float, ...], threat: tuple[str, float]
) -> None:
    """Behind 0 to 100 g/cm2, transmission is within 1 % of the truth and the ratio within 0.5 %."""
    scanner = ScannerConfig(endpoint_mev=energies, detector=QUIET)
    for load in LOADS:
        scan = flat(through(energies, *load), energies)
        done = insert(scan, slab(*threat), (0, 0), np.random.default_rng(0), scanner)
        found = done.scan.transmission[:, 4, 4].astype(np.float64)
        expected = through(energies, *load, threat)
        np.testing.assert_allclose(found, expected, rtol=0.01)
        alpha, truth = -np.log(found), -np.log(expected)
        assert alpha[1] / alpha[0] == pytest.approx(truth[1] / truth[0], rel=0.005)
        assert done.way == "areal density"


def test_insertion_knows_the_fan() -> None:
    """25 degrees off the axis insertion is as exact as on it; taken for the axis it is not."""
    scanner = ScannerConfig(endpoint_mev=(9.0, 6.0), detector=QUIET)
    rise = float(np.tan(np.radians(25.0)))
    fan = {"fan": to_dict(Fan(9, rise, rise, 0.0))}
    off, threat = [], ("iron", 7.87)
    for load in LOADS:
        blind = flat(through((9.0, 6.0), *load, angle=25.0), (9.0, 6.0))
        scan = replace(blind, provenance=replace(blind.provenance, settings=fan))
        rng = np.random.default_rng(0)
        found, guessed = (
            insert(one, slab(*threat), (0, 0), rng, scanner).scan.transmission[:, 4, 4]
            for one in (scan, blind)
        )
        expected = through((9.0, 6.0), *load, threat, angle=25.0)
        np.testing.assert_allclose(found, expected, rtol=0.01)
        off.append(np.abs(guessed / expected - 1).max())
    assert max(off) > 0.02


@pytest.mark.parametrize("threat", SLABS.values(), ids=SLABS)
def test_multiplication_overstates_by_what_was_published(threat: tuple[str, float]) -> None:
    """Multiplied contrast at 6 MeV is 20 to 33 % too strong behind 100 g/cm2, 3 % in empties."""
    scan = flat(through((6.0,), ("iron", 100.0)), None)
    bare = through((6.0,), ("iron", 100.0))[0]
    done = insert(scan, slab(*threat), (0, 0), np.random.default_rng(0))
    assert done.way == "multiplication"
    assert "multiplied" in done.scan.provenance.steps[-1]
    found = 1 - done.scan.transmission[0, 4, 4] / bare
    exact = 1 - through((6.0,), ("iron", 100.0), threat)[0] / bare
    assert 1.20 < found / exact < 1.33
    thin = flat(through((6.0,), ("iron", 3.0)), None)
    done = insert(thin, slab(*threat), (0, 0), np.random.default_rng(0))
    found = 1 - done.scan.transmission[0, 4, 4] / thin.transmission[0, 4, 4]
    exact = 1 - through((6.0,), ("iron", 3.0), threat)[0] / through((6.0,), ("iron", 3.0))[0]
    assert 1.0 < found / exact < 1.03


def test_one_energy_is_near() -> None:
    """With one energy and steel assumed, contrast behind organic loads is within 6 %, not 30 %."""
    for load in LOADS:
        scan = flat(through((6.0,), *load), (6.0,))
        scanner = ScannerConfig(endpoint_mev=(6.0,), detector=QUIET)
        done = insert(scan, slab("iron", 7.87), (0, 0), np.random.default_rng(0), scanner)
        bare = through((6.0,), *load)[0]
        exact = 1 - through((6.0,), *load, ("iron", 7.87))[0] / bare
        assert 1 - done.scan.transmission[0, 4, 4] / bare == pytest.approx(exact, rel=0.06)
        assert done.way == "areal density, steel"
        assert "steel assumed" in done.scan.provenance.steps[-1]


def scene_of(load: float) -> Scene:
    """Return a flat organic load behind steel walls."""
    grid = np.zeros((len(BASIS), 120, 160), np.float32)
    grid[STEEL], grid[ORGANIC] = 3.0, load
    none = np.zeros(0, np.float32)
    return Scene(grid, BASIS, (5.0, 5.0), Detections.empty(), (), none, ())


def block() -> ThreatImage:
    """Return a block of steel, 30 pixels wide."""
    planes = np.zeros((1, 40, 50), np.float32)
    planes[0, 5:35, 10:40] = 15.0
    return ThreatImage(planes, ("steel",), "dense_object", "block")


def test_box_fits_mask_and_the_original_is_untouched() -> None:
    """The box touches the mask on all sides; outside the margin no pixel changes; input stays."""
    scan = acquire(scene_of(20.0), preset("linac_9_6"), np.random.default_rng(0))
    before = scan.transmission.copy()
    done = insert(scan, block(), (30, 40), np.random.default_rng(1))
    np.testing.assert_array_equal(scan.transmission, before)
    assert done.box_xyxy == (50, 35, 80, 65)
    assert done.mask.shape == (30, 30)
    assert done.mask.any(0).all()
    assert done.mask.any(1).all()
    changed = (done.scan.transmission != before).any(0)
    changed[20:82, 28:102] = False
    assert not changed.any()
    steps = done.scan.transmission.astype(np.float64) * 65535
    assert np.abs(steps - steps.round()).max() < 0.02
    assert "(50, 35, 80, 65)" in done.scan.provenance.steps[-1]


@pytest.mark.parametrize(
    ("name", "load"), [("linac_9_6", 0.0), ("mobile_6_4", 40.0), ("linac_9_6", 100.0)]
)
def test_noise_and_edges_are_those_of_the_scanner(name: str, load: float) -> None:
    """Over 24 draws, mean and variance of every energy agree inside, and the mean at the edge."""
    scanner = preset(name)
    detector = replace(scanner.detector, scatter_fraction=0.01, photons_per_pixel=2e4)
    scanner = replace(scanner, detector=replace(detector, wobble=0.0))
    scene, threat = scene_of(load), block()
    both = replace(scene, areal_density_g_per_cm2=scene.areal_density_g_per_cm2.copy())
    steel = both.areal_density_g_per_cm2[both.materials.index("steel")]
    steel[30:70, 40:90] += threat.areal_density_g_per_cm2[0]
    rng = np.random.default_rng(0)
    simulated = np.stack([acquire(both, scanner, rng).transmission for _ in range(24)])
    inserted = np.stack(
        [
            insert(acquire(scene, scanner, rng), threat, (30, 40), rng).scan.transmission
            for _ in range(24)
        ]
    )
    mean, found = simulated.mean(0), inserted.mean(0)
    core = (slice(None), slice(40, 60), slice(55, 75))
    np.testing.assert_allclose(found[core].mean((1, 2)), mean[core].mean((1, 2)), rtol=0.01)
    spread, varied = simulated.var(0)[core].mean((1, 2)), inserted.var(0)[core].mean((1, 2))
    np.testing.assert_allclose(varied, spread, rtol=0.08)
    profile = mean[:, 40:60].mean(1)[:, 46:56], found[:, 40:60].mean(1)[:, 46:56]
    np.testing.assert_allclose(profile[1], profile[0], rtol=0.03)


def test_without_the_missing_noise_it_is_too_calm() -> None:
    """A multiplied patch has less noise than its level asks for: the test above can fail."""
    scanner = replace(preset("linac_9_6"), detector=replace(QUIET, photons_per_pixel=1e4))
    rng = np.random.default_rng(0)
    scan = acquire(scene_of(0.0), scanner, rng)
    threat = block()
    done = insert(scan, threat, (30, 40), rng).scan.transmission[:, 40:60, 55:75]
    plain = scan.transmission[:, 40:60, 55:75]
    plain = plain * (done.mean((1, 2)) / plain.mean((1, 2)))[:, None, None]
    assert (plain.var((1, 2)) < 0.75 * done.var((1, 2))).all()


def test_a_threat_at_the_edge_is_cut_and_outside_refused() -> None:
    """Half a threat is inserted with half a box; one that lies outside is an error."""
    scan = acquire(scene_of(0.0), preset("linac_9_6"), np.random.default_rng(0))
    done = insert(scan, block(), (-20, 40), np.random.default_rng(0))
    assert done.box_xyxy == (50, 0, 80, 15)
    with pytest.raises(ConfigError, match="outside the scan"):
        insert(scan, block(), (500, 0), np.random.default_rng(0))


def test_a_scanner_is_known_or_measured() -> None:
    """A simulated scan says which scanner it comes from; from another the dose is measured."""
    scanner = vary(preset("linac_6_4"), np.random.default_rng(3))
    scene = build_scene(
        np.random.default_rng(5), SceneConfig((300, 300), 900, pitch_mm=(5.0, 12.0))
    )
    scan = acquire(scene, scanner, np.random.default_rng(0))
    assert scanner_of(scan) == replace(scanner, ranges={})
    anonymous = replace(scan, provenance=replace(scan.provenance, settings={}))
    found = scanner_of(anonymous).detector.photons_per_pixel
    assert found == pytest.approx(scanner.detector.photons_per_pixel, rel=0.6)
    with pytest.raises(ConfigError, match="end-point"):
        scanner_of(replace(scan, endpoint_mev=None))


@pytest.mark.parametrize("wrong", [np.zeros((1, 4, 4)), -np.ones((1, 4, 4)), np.ones((2, 4, 4))])
def test_an_impossible_threat_is_refused(wrong: np.ndarray) -> None:
    """Nothing, less than nothing and planes without a material cannot be inserted."""
    with pytest.raises(ValueError, match=r"areal density|planes"):
        ThreatImage(wrong.astype(np.float32), ("steel",), "dense_object", "block")


@pytest.mark.slow
@pytest.mark.parametrize("name", THREATS)
def test_a_threat_keeps_its_mass_on_the_pixels(name: str) -> None:
    """The areal density of the image adds up to the mass of the threat within 2 %."""
    for seed in range(5):
        threat = THREATS[name](np.random.default_rng(seed))
        image = image_of(threat, (4.0, 5.0), np.random.default_rng(0))
        mass_kg = float(image.areal_density_g_per_cm2.sum()) * 0.4 * 0.5 / 1e3
        assert mass_kg == pytest.approx(threat.mass_kg, rel=0.02)
        assert image.mask.any()


# ── can a classifier tell? ──────────────────────────────────────────────────────────────────────

SIDE = 96
Example = tuple[Scan, ThreatImage, tuple[int, int]]
STRUCTURE_BLIND = np.asarray([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


@cache
def scenes() -> tuple[Scene, ...]:
    """Return six loaded vehicles without threats."""
    config = SceneConfig(height_px=(320, 320), width_px=900, pitch_mm=(5.0, 12.0), clean_share=1.0)
    return tuple(build_scene(np.random.default_rng(100 + k), config) for k in range(6))


@cache
def images() -> tuple[ThreatImage, ...]:
    """Return four threats of every usual class that fit on a patch."""
    rng = np.random.default_rng(0)
    found: list[ThreatImage] = []
    for name in SceneConfig().threat_classes:
        make = THREATS[name]
        fitting: list[ThreatImage] = []
        while len(fitting) < 4:
            image = image_of(make(rng), (8.0, 9.0), rng)
            if max(image.areal_density_g_per_cm2.shape[1:]) <= SIDE - 24:
                fitting.append(image)
        found += fitting
    return tuple(found)


def draw(rng: np.random.Generator) -> tuple[Scene, ThreatImage, tuple[int, int], ScannerConfig]:
    """Draw a window of a scene, a threat, its place, and a scanner with all its errors."""
    scene = scenes()[int(rng.integers(len(scenes())))]
    top, left = int(rng.integers(60, 300 - SIDE)), int(rng.integers(900 - SIDE))
    view = window(scene, top, left, SIDE, SIDE)
    threat = images()[int(rng.integers(len(images())))]
    _, height, width = threat.areal_density_g_per_cm2.shape
    place = int(rng.integers(8, SIDE - height - 8)), int(rng.integers(8, SIDE - width - 8))
    return view, threat, place, vary(preset("portal_9_6"), rng)


def covered(threat: ThreatImage, place: tuple[int, int]) -> tuple[slice, slice]:
    """Return the pixels that the image of a threat covers."""
    _, height, width = threat.areal_density_g_per_cm2.shape
    return slice(place[0], place[0] + height), slice(place[1], place[1] + width)


def simulated_together(rng: np.random.Generator) -> Example:
    """Simulate threat and background in one go."""
    view, threat, place, scanner = draw(rng)
    grid = view.areal_density_g_per_cm2.copy()
    grid[:, *covered(threat, place)] += threat.areal_density_g_per_cm2
    return acquire(replace(view, areal_density_g_per_cm2=grid), scanner, rng), threat, place


def inserted(rng: np.random.Generator) -> Example:
    """Simulate the background and insert the threat."""
    view, threat, place, scanner = draw(rng)
    return insert(acquire(view, scanner, rng), threat, place, rng).scan, threat, place


def multiplied(rng: np.random.Generator) -> Example:
    """Multiply grey values, as is often done, and leave the noise as it is."""
    view, threat, place, scanner = draw(rng)
    scan = acquire(view, scanner, rng)
    beam = beam_of(ScannerConfig(endpoint_mev=(6.0,)), threat.materials)
    passed = transmit(beam, threat.areal_density_g_per_cm2)[0][0]
    transmission = scan.transmission.copy()
    transmission[:, *covered(threat, place)] *= passed
    return replace(scan, transmission=transmission), threat, place


def statistics(example: Example) -> np.ndarray:
    """Return levels, contrast, noise for its level, edges and ratios, on and around a threat."""
    scan, threat, place = example
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[covered(threat, place)] = threat.mask
    square = np.ones((3, 3), np.uint8)
    core = cv2.erode(mask, square) > 0
    core = core if core.sum() > 20 else mask > 0
    near = cv2.dilate(mask, square, iterations=2)
    ring = (cv2.dilate(mask, square, iterations=6) > 0) & (cv2.dilate(near, square) == 0)
    edge = (near > 0) & (cv2.erode(mask, square) == 0)
    attenuation = -np.log(np.maximum(scan.transmission, np.float32(1 / 65535)))
    found: list[float] = []
    for plane, signal in zip(attenuation, scan.transmission, strict=True):
        rough = np.log(cv2.filter2D(signal, -1, STRUCTURE_BLIND) ** 2 + 1e-12)
        slope = np.abs(cv2.Laplacian(plane, cv2.CV_32F, ksize=3))
        inside, around = plane[core].mean(), plane[ring].mean()
        noise = np.median(rough[core]) + inside - np.median(rough[ring]) - around
        steep = np.log(slope[edge].mean() / (abs(inside - around) + 0.02) + 1e-3)
        found += [inside, around, inside - around, np.median(rough[core]), noise, steep]
        found += [np.log(slope[edge].mean()), np.log(slope[core].mean() / slope[ring].mean())]
    (low, low_around), (high, high_around) = (
        (float(plane[core].mean()), float(plane[ring].mean())) for plane in attenuation[::-1]
    )
    found += [(low - low_around) / (abs(high - high_around) + 0.05), low / (high + 0.05)]
    return np.asarray(np.nan_to_num(np.asarray([float(value) for value in found])))


def area_under_curve(first: np.ndarray, second: np.ndarray) -> float:
    """Return how well logistic regression tells examples apart that it was not trained on.

    Each half of the examples is judged by what the other half taught.
    """
    features = np.concatenate([first, second])
    label = np.repeat([0.0, 1.0], [len(first), len(second)])
    even = np.arange(len(label)) % 2 == 0
    found = []
    for known in (even, ~even):
        scaled = (features - features[known].mean(0)) / (features[known].std(0) + 1e-9)
        scaled = np.clip(scaled, -4, 4)
        design = np.concatenate([np.ones((len(label), 1)), scaled, scaled**2], 1)
        score, truth = design[~known] @ regress(design[known], label[known]), label[~known]
        found.append((score[truth == 1][:, None] > score[truth == 0][None]).mean())
    return float(np.mean(found))


def regress(design: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression with a small ridge."""
    weights = np.zeros(design.shape[1])
    for _ in range(20):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design
        gradient = design.T @ (label - chance) - 3 * weights
        weights += np.linalg.solve(curvature + 3 * np.eye(len(weights)), gradient)
    return weights


@cache
def patches(kind: Callable[[np.random.Generator], Example], count: int, seed: int) -> np.ndarray:
    """Return the statistics of many examples."""
    rng = np.random.default_rng(seed)
    return np.stack([statistics(kind(rng)) for _ in range(count)])


@pytest.mark.slow
def test_a_classifier_cannot_tell_insertion_from_simulation() -> None:
    """Logistic regression tells inserted from simulated threats with an AUC below 0.6."""
    found = area_under_curve(patches(simulated_together, 130, 1), patches(inserted, 130, 2))
    assert found < 0.6


@pytest.mark.slow
def test_the_classifier_can_tell_multiplication() -> None:
    """The same classifier finds multiplied threats with an AUC above 0.85: it is not blind."""
    found = area_under_curve(patches(simulated_together, 130, 1), patches(multiplied, 130, 3))
    assert found > 0.85


# ── display images and real scans ───────────────────────────────────────────────────────────────


def test_a_display_image_gets_a_multiplied_threat() -> None:
    """In a picture a threat darkens, in steps of 1/255, and is marked as multiplied."""
    scan = acquire(scene_of(10.0), preset("linac_9_6"), np.random.default_rng(0))
    picture = render_display(scan, np.random.default_rng(1))
    done = insert(picture, block(), (30, 40), np.random.default_rng(0))
    assert done.way == "multiplication"
    assert done.scan.grey is Grey.DISPLAY
    levels = done.scan.transmission.astype(np.float64) * 255
    assert np.abs(levels - levels.round()).max() < 1e-3
    change = picture.transmission[0] - done.scan.transmission[0]
    assert change[40:60, 55:75].mean() > 0.05
    assert change[90:].max() == 0


@pytest.mark.real
def test_a_real_scan_takes_a_threat(real_data: Path) -> None:
    """Into real display images threats go by multiplication; noise and steps remain the scan's."""
    groups = formats.find([real_data / "cargo-trucks" / "images"])[::60]
    rng = np.random.default_rng(0)
    for files in groups:
        scan = formats.read(files)
        before = scan.transmission.copy()
        threat = image_of(THREATS["firearm"](rng), (5.4, 5.4), rng)
        done = insert(scan, threat, (scan.height // 2, scan.width // 2), rng)
        assert done.way == "multiplication"
        np.testing.assert_array_equal(scan.transmission, before)
        x0, y0, x1, y1 = done.box_xyxy
        after = done.scan.transmission[0, y0:y1, x0:x1][done.mask]
        assert after.mean() <= before[0, y0:y1, x0:x1][done.mask].mean()
