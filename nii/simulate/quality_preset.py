"""The six tests of a scanner preset: penetration, wires, contrast, resolution, material, evenness.

Every test lets test objects pass through the scanner like any scene, and turns what the observers
make of the scans into figures, charts and pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from nii import config as settings
from nii.simulate import phantoms, resolution, uniformity
from nii.simulate.discrimination import CLASSES, DiscriminationConfig, confusion
from nii.simulate.observers import (
    ObserverConfig,
    Penetration,
    Wires,
    attenuation,
    contrast_mm,
    diameter_mm,
    penetration,
    wires,
)
from nii.simulate.quality import (
    AXES,
    TESTS,
    Chart,
    Curve,
    Measurement,
    Part,
    Picture,
    Subject,
    Table,
    assemble,
    stretched,
)
from nii.simulate.quality_scan import evenness_parts, worst_evenness
from nii.simulate.scanner import ScannerConfig, acquire

Step = Callable[[str], None]
WIRE_STEEL_MM = (0.0, 50.0, 100.0, 150.0)
"""Steel in front of the wires."""
CONTRAST_SHARES = (0.25, 0.5, 0.75)
"""Shares of the penetration at which contrast is measured."""
_MOST_BLACK = 0.05
_AIR_PX = 512


@dataclass(frozen=True, slots=True)
class QualityConfig:
    """Set how a preset is tested."""

    observer: ObserverConfig = field(default_factory=ObserverConfig)
    """Penetration, wires and contrast."""
    discrimination: DiscriminationConfig = field(default_factory=DiscriminationConfig)
    """Material classes."""


def measure_preset(
    name: str,
    scanner: ScannerConfig,
    config: QualityConfig,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
) -> Subject:
    """Return all six tests of a scanner.

    Args:
        name: what the report calls it.
        scanner: beams and detector.
        config: how much is drawn.
        on_progress: called with the number of tests done, of all, and what is done now.
    """
    done = 0

    def step(text: str) -> None:
        on_progress(done, len(TESTS), f"{name}: {text}")

    step("penetration")
    reached = penetration(scanner, config.observer, step)
    parts: list[Part] = list(_penetration(reached, scanner, config.observer))
    done += 1
    parts += _wires(scanner, config.observer, step)
    done += 1
    parts += _contrast(reached, scanner, config.observer, step)
    done += 1
    parts += _resolution(scanner, config.observer, step)
    done += 1
    parts += _material(scanner, config.discrimination, step)
    done += 1
    parts += _open_beam(scanner, config.observer)
    done += 1
    step("done")
    facts = {"scanner": settings.to_dict(scanner), "settings": settings.to_dict(config)}
    return assemble(name, "preset", parts, facts)


def _penetration(
    reached: Penetration, scanner: ScannerConfig, config: ObserverConfig
) -> Iterable[Part]:
    note = "of four orientations, by a matched filter over the whole arrow"
    if reached.at_the_end:
        note = f"at least: the thickest steel that was tried; {note}"
    if reached.black_share > _MOST_BLACK:
        note += f"; too deep, as {reached.black_share:.0%} of the pixels there are cut at black"
    share = f"{config.correct_share:.0%} told correctly"
    yield Measurement(
        "penetration", "penetration_mm", f"Steel, {share}", reached.steel_mm, "mm", note
    )
    yield Measurement(
        "penetration",
        "visible_mm",
        "Steel, contrast of the arrow = noise of a pixel",
        reached.visible_mm,
        "mm",
        "nearer to what an eye makes out",
    )
    curve = Curve("told", np.asarray(reached.thickness_mm), np.asarray(reached.correct))
    axes = ("steel in mm", "share told correctly (chance 0.25)")
    yield Chart("penetration", "Orientation of the arrow", *axes, (curve,))
    for depth in (0.5 * reached.visible_mm, reached.visible_mm, reached.steel_mm):
        scene = phantoms.penetration_object(depth, 1, config.pitch_mm)
        seen = attenuation(acquire(scene, scanner, np.random.default_rng(config.seed)))
        inside = seen[12:-12, 12:-12]
        yield Picture("penetration", f"Arrow behind {depth:.0f} mm of steel", stretched(inside))


def _wires(scanner: ScannerConfig, config: ObserverConfig, step: Step) -> Iterable[Part]:
    found = [wires(steel, scanner, config, step) for steel in WIRE_STEEL_MM]
    for result in found:
        yield _wire(result)
    seen = [(row.steel_mm, diameter_mm(row.gauge)) for row in found if row.gauge is not None]
    if seen:
        x, y = np.asarray(seen, np.float64).T
        curve = Curve("thinnest wire", x, y)
        yield Chart("wires", "Thinnest wire found", "steel in mm", "diameter in mm", (curve,))
    for result in found[:: len(found) - 1]:
        if result.gauge is not None:
            yield _wire_picture(result, scanner, config)


def _wire_picture(result: Wires, scanner: ScannerConfig, config: ObserverConfig) -> Picture:
    """Return a wire of twice the least diameter: at the limit only the score sees it."""
    diameter = 2 * diameter_mm(result.gauge or 0)
    scene = phantoms.wire_object(
        diameter, result.steel_mm, config.pitch_mm, tangent=0.4, offset_px=0.0
    )
    view = attenuation(acquire(scene, scanner, np.random.default_rng(config.seed)))
    where = f"behind {result.steel_mm:.0f} mm of steel" if result.steel_mm else "in air"
    title = f"Wire of {diameter:.1f} mm, twice the thinnest found, {where}"
    return Picture("wires", title, stretched(view))


def _wire(result: Wires) -> Measurement:
    where = f"behind {result.steel_mm:.0f} mm of steel" if result.steel_mm else "in air"
    key = f"wire_{result.steel_mm:.0f}_mm" if result.steel_mm else "wire_air_mm"
    label = f"Thinnest copper wire {where}"
    if result.gauge is None:
        return Measurement("wires", key, label, None, "mm", "not even AWG 0 (8.25 mm) is found")
    return Measurement("wires", key, label, diameter_mm(result.gauge), "mm", f"AWG {result.gauge}")


def _contrast(
    reached: Penetration, scanner: ScannerConfig, config: ObserverConfig, step: Step
) -> Iterable[Part]:
    points = []
    for share in CONTRAST_SHARES:
        steel = share * reached.steel_mm
        step(f"contrast on {steel:.0f} mm")
        strip = contrast_mm(steel, scanner, config) if steel > 0 else None
        label = f"Thinnest strip at {share:.0%} of the penetration"
        key = f"contrast_{share * 100:.0f}_percent"
        if strip is None:
            note = f"no strip of about 2 % is seen on {steel:.0f} mm of steel"
            yield Measurement("contrast", key, label, None, "%", note)
            continue
        percent = 100 * strip / steel
        yield Measurement(
            "contrast", key, label, percent, "%", f"{strip:.2f} mm on {steel:.0f} mm of steel"
        )
        points.append((steel, percent))
    if points:
        x, y = np.asarray(points, np.float64).T
        axes = ("steel in mm", "strip / steel in %")
        yield Chart("contrast", "Contrast sensitivity", *axes, (Curve("strip", x, y),))
        base, percent = points[-1]
        scene = phantoms.strip_object(base, base * percent / 100, config.pitch_mm)
        view = attenuation(acquire(scene, scanner, np.random.default_rng(config.seed)))
        title = f"Strip of {percent:.1f} % on {base:.0f} mm of steel"
        yield Picture("contrast", title, stretched(view))


def _resolution(scanner: ScannerConfig, config: ObserverConfig, step: Step) -> Iterable[Part]:
    pitch = config.pitch_mm
    mtfs, depths = {}, {}
    for axis, name in enumerate(AXES):
        step(f"resolution, {name}")
        mtfs[name] = resolution.phantom_mtf(scanner, axis, pitch, config.seed)
        depths[name] = [
            resolution.slot_depth(slot, scanner, axis, pitch) for slot in resolution.SLOTS_MM
        ]
        yield from _axis(name, mtfs[name], depths[name], pitch)
    curves = tuple(Curve(name, mtf.frequency_per_px, mtf.modulation) for name, mtf in mtfs.items())
    yield Chart("resolution", "MTF from the slanted edge", "cycles a pixel", "modulation", curves)
    slots = np.asarray(resolution.SLOTS_MM)
    gauge = tuple(Curve(name, slots, np.asarray(depth)) for name, depth in depths.items())
    yield Chart("resolution", "Slot gauge, weakest dip", "slot in mm", "share of contrast", gauge)
    rng = np.random.default_rng(config.seed)
    for slot in (5.0, 8.0):
        scan = acquire(phantoms.slot_object(slot, 1, 0.25, pitch), scanner, rng)
        title = f"Slots of {slot:.0f} mm, pitch {pitch:.0f} mm"
        yield Picture("resolution", title, stretched(scan.transmission[0]))


def _axis(
    name: str, mtf: resolution.Mtf, depths: list[float], pitch_mm: float
) -> Iterable[Measurement]:
    half, tenth = mtf.frequency_at(0.5), mtf.frequency_at(0.1)
    label = f"MTF 50 %, {name}"
    note = f"{half / pitch_mm:.3f} line pairs a mm"
    yield Measurement("resolution", f"mtf50_{name}", label, half, "1/px", note)
    limited = tenth >= resolution.NYQUIST_PER_PX
    note = "at the limit of the pixels (Nyquist)" if limited else f"{tenth:.3f} cycles a pixel"
    label = f"Half a period at MTF 10 %, {name}"
    key = f"resolution_{name}_mm"
    yield Measurement("resolution", key, label, pitch_mm / (2 * tenth), "mm", note)
    finest = resolution.finest_slot_mm(depths)
    note = "worst of four places within a pixel" if finest else "no slot of the gauge is resolved"
    label = f"Narrowest slot, {name}"
    yield Measurement("resolution", f"slot_{name}_mm", label, finest, "mm", note)


def _material(scanner: ScannerConfig, config: DiscriminationConfig, step: Step) -> Iterable[Part]:
    label = "Organic and steel not taken for each other, least from 20 to 100 g/cm2"
    key = "organic_or_steel_percent"
    if len(scanner.endpoint_mev) < 2:  # noqa: PLR2004
        note = "one energy shows no material"
        yield Measurement("material", key, label, None, "%", note, applicable=False)
        return
    result = confusion(scanner, config, step)
    density = np.asarray(result.areal_density_g_per_cm2)
    usual = (density >= 20) & (density <= 100)  # noqa: PLR2004
    value = 100 * float(result.organic_or_steel[usual].min())
    side = config.segment_px * config.pitch_mm
    yield Measurement("material", key, label, value, "%", f"segments of {side:.0f} mm")
    every = 100 * float(result.correct[usual].min())
    label = "All four classes told apart, least from 20 to 100 g/cm2"
    yield Measurement("material", "four_classes_percent", label, every, "%")
    curves = (
        Curve("organic or steel", density, result.organic_or_steel),
        Curve("all four classes", density, result.correct),
    )
    axes = ("areal density in g/cm2", "share of segments")
    yield Chart("material", "Segments classified correctly", *axes, curves)
    rows = [
        (f"{step_density:g}", CLASSES[true], *(str(int(n)) for n in counts))
        for step_density, by_true in zip(density, result.counts, strict=True)
        for true, counts in enumerate(by_true)
    ]
    head = ("g/cm2", "is", *(f"taken for {name}" for name in CLASSES))
    yield Table("material", "Confusion of material classes", head, tuple(rows))


def _open_beam(scanner: ScannerConfig, config: ObserverConfig) -> Iterable[Part]:
    scene = phantoms.air(_AIR_PX, _AIR_PX, config.pitch_mm)
    scan = acquire(scene, scanner, np.random.default_rng(config.seed + 4))
    whole = uniformity.Air(
        float(np.median(scan.transmission[0])), np.ones((_AIR_PX, _AIR_PX), np.bool_)
    )
    yield from evenness_parts(worst_evenness(scan, whole))
    crop = scan.transmission[0, :160, :240]
    yield Picture("uniformity", "Open beam, contrast stretched", stretched(crop))
