"""Scene: what stands in the beam, as areal density on the detector grid, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32

from nii import boxes, taxonomy
from nii.annotations.coco import LoadState
from nii.detections import Detections
from nii.simulate.conveyance import MODIFICATIONS
from nii.simulate.geometry import PARALLEL_M, Fan, Geometry
from nii.simulate.hidden import Cuboid
from nii.simulate.layout import LoadShares, Plan, make_plan
from nii.simulate.loads import Hollow, Loaded
from nii.simulate.placement import Placed, put
from nii.simulate.shapes import BASIS, extent, project
from nii.simulate.threats import THREATS

_VISIBLE_SHARE = 0.25
_TRIES = 20


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Set what scenes look like. Pairs are the limits of a uniform draw."""

    height_px: tuple[int, int] = (700, 1100)
    """Rows of a scan."""
    width_px: int = 0
    """Columns of a scan; 0 takes as many as the vehicle needs."""
    widest_px: int = 4500
    """Limit of the width where it follows the vehicle."""
    pitch_mm: tuple[float, float] = (3.5, 6.0)
    """Vertical pixel pitch in the middle plane of the vehicle."""
    stretch: tuple[float, float] = (0.9, 1.15)
    """Horizontal over vertical pitch: the speed of the vehicle, drawn log-uniformly."""
    parallel_share: float = 0.1
    """Share of scans with parallel projection instead of a vertical fan."""
    whole_share: float = 0.35
    """Share of scans that show the whole vehicle, cab and ground included."""
    sag_share: float = 0.7
    """Share of scans in which the vehicle slopes and sways."""
    loads: LoadShares = field(default_factory=LoadShares)
    """How often containers are empty, partly filled or absent."""
    threats: tuple[int, int] = (1, 4)
    """Fewest and most threats in a scan that has any."""
    clean_share: float = 0.4
    """Share of scans without any threat."""
    threat_classes: tuple[str, ...] = ("firearm", "brick", "cigarettes", "dense_object")
    """Classes of threats that may occur."""
    threat_visible_g_per_cm2: float = 0.1
    """Areal density from which a pixel belongs to a threat."""
    threat_contrast_g_per_cm2: float = 0.3
    """Least mean change of areal density that a threat makes; one like the goods it replaces shows
    in no scan and is not put there."""
    modifications: tuple[str, ...] = tuple(MODIFICATIONS)
    """Kinds of the class ``modification`` that may occur, where that class is chosen."""
    keep_masks: bool = False
    """Whether the truth holds the pixels of every threat, cut to its box."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Hold one scene on the detector grid.

    Attributes:
        areal_density_g_per_cm2: per basis material, row and column.
        materials: names of the basis materials.
        pixel_pitch_mm: pitch in the middle plane, (vertical, horizontal).
        truth: boxes of vehicle, containers and threats, in this order; scores are 1.
        load_states: what a container carries, aligned with `truth`; None for the rest.
        behind_g_per_cm2: mean areal density of everything else under a threat's mask, aligned with
            `truth`; nan for structures.
        threat_kinds: kind within the class, aligned with `truth`; None for structures.
        structure_kinds: kind of vehicle or body, aligned with `truth`; None for threats.
        hs_chapters: chapters of the Harmonised System of what a container carries, or a vehicle
            without containers, aligned with `truth`.
        threat_materials: basis material of most of the mass, aligned with `truth`; None for
            structures.
        threat_masses_kg: mass, aligned with `truth`; nan for structures.
        masks: pixels of each threat within its box, aligned with `truth`; None for structures,
            and for all where masks are not kept.
        fan: rays of the rows; None where all are on the axis of the beam.

    The last six are empty where a scene was not made by :func:`build_scene`.
    """

    areal_density_g_per_cm2: Float32[np.ndarray, "material height width"]
    materials: tuple[str, ...]
    pixel_pitch_mm: tuple[float, float]
    truth: Detections
    load_states: tuple[LoadState | None, ...]
    behind_g_per_cm2: Float32[np.ndarray, " n"]
    threat_kinds: tuple[str | None, ...]
    structure_kinds: tuple[str | None, ...] = ()
    hs_chapters: tuple[tuple[str, ...], ...] = ()
    threat_materials: tuple[str | None, ...] = ()
    threat_masses_kg: Float32[np.ndarray, " n"] | None = None
    masks: tuple[Bool[np.ndarray, "_ _"] | None, ...] = ()
    fan: Fan | None = None

    def __post_init__(self) -> None:
        """Check that the truth belongs together.

        Raises:
            ValueError: lengths differ.
        """
        lengths = {len(self.load_states), len(self.behind_g_per_cm2), len(self.threat_kinds)}
        masses = () if self.threat_masses_kg is None else self.threat_masses_kg
        facts = (self.structure_kinds, self.hs_chapters, self.threat_materials, masses, self.masks)
        lengths |= {len(fact) for fact in facts if len(fact)}
        if lengths != {len(self.truth)} or len(self.areal_density_g_per_cm2) != len(self.materials):
            msg = "boxes, load states, areal densities and kinds do not belong together"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One entry of the truth."""

    box_xyxy: tuple[float, float, float, float]
    name: str
    load: LoadState | None = None
    behind_g_per_cm2: float = float("nan")
    threat_kind: str | None = None
    structure_kind: str | None = None
    hs_chapters: tuple[str, ...] = ()
    material: str | None = None
    mass_kg: float = float("nan")
    mask: Bool[np.ndarray, "_ _"] | None = None
    place_m: Cuboid | None = None


def build_scene(rng: np.random.Generator, config: SceneConfig) -> Scene:
    """Draw a vehicle, look at it, hide threats in it and write down the truth."""
    wanted = _wanted(config, rng)
    plan = make_plan(config.loads, rng, _hollow(wanted))
    geometry = make_view(plan, config, rng)
    grid = project(plan.shapes, geometry, rng)
    marks = _structures(plan, geometry)
    hidden: list[_Mark] = []
    for want in wanted:
        mark = _hide(want, _Place(plan, geometry, grid, hidden), config, rng)
        hidden += [mark] if mark else []
    return _scene(grid, geometry, marks + hidden)


@dataclass(frozen=True, slots=True)
class _Want:
    """One threat to hide: its class, and the kind of a modification."""

    name: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where threats are hidden: the plan, its view, the areal densities and earlier threats."""

    plan: Plan
    geometry: Geometry
    grid: Float32[np.ndarray, "material height width"]
    others: list[_Mark]


def _wanted(config: SceneConfig, rng: np.random.Generator) -> list[_Want]:
    wanted: list[_Want] = []
    for _ in range(_threat_count(config, rng)):
        name = config.threat_classes[int(rng.integers(len(config.threat_classes)))]
        kind = None
        if name == "modification":
            kind = config.modifications[int(rng.integers(len(config.modifications)))]
        wanted.append(_Want(name, kind))
    return wanted


def _hollow(wanted: list[_Want]) -> Hollow | None:
    """Return the first false wall or floor that is wanted: the load must leave room for it."""
    for want in wanted:
        if want.kind == "false_wall":
            return "false_wall"
        if want.kind == "false_floor":
            return "false_floor"
    return None


def _scene(
    grid: Float32[np.ndarray, "material height width"], geometry: Geometry, marks: list[_Mark]
) -> Scene:
    truth = Detections(
        np.asarray([m.box_xyxy for m in marks], np.float32).reshape(-1, 4),
        np.ones(len(marks), np.float32),
        np.asarray([taxonomy.by_name(m.name).class_id for m in marks], np.int64),
    )
    return Scene(
        areal_density_g_per_cm2=grid,
        materials=BASIS,
        pixel_pitch_mm=(geometry.pitch_m[0] * 1e3, geometry.pitch_m[1] * 1e3),
        truth=truth,
        load_states=tuple(m.load for m in marks),
        behind_g_per_cm2=np.asarray([m.behind_g_per_cm2 for m in marks], np.float32),
        threat_kinds=tuple(m.threat_kind for m in marks),
        structure_kinds=tuple(m.structure_kind for m in marks),
        hs_chapters=tuple(m.hs_chapters for m in marks),
        threat_materials=tuple(m.material for m in marks),
        threat_masses_kg=np.asarray([m.mass_kg for m in marks], np.float32),
        masks=tuple(m.mask for m in marks),
        fan=geometry.fan(),
    )


def make_view(plan: Plan, config: SceneConfig, rng: np.random.Generator) -> Geometry:
    """Draw the place of the source, the part of the vehicle that is seen and its pixels."""
    whole = rng.random() < config.whole_share
    distance, source_height = _source(plan, config, rng)
    high, low = _vertical(plan, distance, source_height, rng, whole=whole)
    height = int(rng.integers(config.height_px[0], config.height_px[1] + 1))
    margin = float(rng.uniform(0.015, 0.1)) * height
    pitch = float(np.clip((high - low) / (height - margin), *np.asarray(config.pitch_mm) / 1e3))
    stretch = float(np.exp(rng.uniform(*np.log(config.stretch))))
    left, right = _horizontal(plan, rng, whole=whole)
    along = pitch * stretch
    width = config.width_px or int((right - left) / along)
    if not config.width_px and width > config.widest_px:
        width = config.widest_px
        along = (right - left) / width
    spare = (right - left) - width * along
    left += float(rng.uniform(min(spare, 0.0), max(spare, 0.0)))
    mirrored = rng.random() < 0.3  # noqa: PLR2004
    return Geometry(
        height_px=height,
        width_px=width,
        pitch_m=(pitch, along),
        left_m=left + width * along if mirrored else left,
        top_m=high + margin * pitch,
        source_distance_m=distance,
        source_height_m=source_height,
        skew=float(rng.normal(0, 0.02)) if rng.random() < 0.7 else 0.0,  # noqa: PLR2004
        mirrored=mirrored,
        sag_px=_sag(width, along, pitch, rng) if rng.random() < config.sag_share else _level(width),
    )


def _source(plan: Plan, config: SceneConfig, rng: np.random.Generator) -> tuple[float, float]:
    """Return distance and height of the source; the two roof edges lie 0.15-1.1 m apart."""
    if rng.random() < config.parallel_share:
        return PARALLEL_M, 1.5
    top = plan.vehicle_z_m[1]
    for _ in range(_TRIES):
        distance = float(np.exp(rng.uniform(np.log(3.6), np.log(12.0))))
        source_height = float(rng.uniform(-1.2, 2.6))
        parting = 1 / (1 - 1.22 / distance) - 1 / (1 + 1.22 / distance)
        if 0.15 < (top - source_height) * parting < 1.1:  # noqa: PLR2004
            break
    return distance, source_height


def _vertical(
    plan: Plan,
    distance: float,
    source_height: float,
    rng: np.random.Generator,
    *,
    whole: bool,
) -> tuple[float, float]:
    """Return highest and lowest height seen, measured in the middle plane."""

    def seen(z: float, y: float) -> float:
        return source_height + (z - source_height) * distance / (distance + y)

    top = plan.vehicle_z_m[1]
    high = max(seen(top, -1.22), seen(top, 1.22))
    bottom = plan.vehicle_z_m[0] - float(rng.uniform(0.0, 0.3))
    if not whole and plan.cab_x_m is not None:
        bottom = plan.deck_m - float(rng.uniform(0.2, 0.9))
    return high, min(seen(bottom, -1.22), seen(bottom, 1.22))


def _horizontal(plan: Plan, rng: np.random.Generator, *, whole: bool) -> tuple[float, float]:
    """Return the part of x that is seen; most scans spare the cab."""
    x0, x1 = plan.vehicle_x_m
    right = x1 + float(rng.gamma(1.5, 1.2)) + 0.1
    if whole or not plan.loads or plan.cab_x_m is None:
        return x0 - float(rng.uniform(0.1, 1.5)), right
    first = min(load.container.x_m[0] for load in plan.loads)
    close = first - float(rng.uniform(0.02, 0.8))
    loose = float(rng.uniform(min(plan.cab_x_m[1] + 0.1, first - 0.1), first))
    inside = first + float(rng.uniform(0.1, 2.0))
    left = float(rng.choice([close, loose, inside], p=[0.35, 0.61, 0.04]))
    if rng.random() < 0.15:  # noqa: PLR2004
        right = max(load.container.x_m[1] for load in plan.loads) + float(rng.uniform(0.05, 0.6))
    return left, right


def _level(width: int) -> Float32[np.ndarray, " width"]:
    return np.zeros(width, np.float32)


def _sag(
    width: int, along_m: float, pitch_m: float, rng: np.random.Generator
) -> Float32[np.ndarray, " width"]:
    x = np.arange(width) * along_m
    slope = float(rng.normal(0, 0.008))
    sway = float(rng.uniform(0, 0.012)) * np.sin(
        2 * np.pi * (x / float(rng.uniform(1.5, 9)) + float(rng.random()))
    )
    shake = float(rng.uniform(0, 0.003)) * np.sin(
        2 * np.pi * (x / float(rng.uniform(0.3, 1.2)) + float(rng.random()))
    )
    shift = slope * (x - x.mean()) + sway + shake
    return np.asarray(shift / pitch_m, np.float32)


def _structures(plan: Plan, geometry: Geometry) -> list[_Mark]:
    marks = []
    for vehicle in plan.vehicles:
        box = _cut(geometry.box(vehicle.x_m, (-1.25, 1.25), vehicle.z_m), geometry)
        if box:
            inside = [load for load in plan.loads if _on(vehicle.x_m, load)]
            own = tuple(c for load in inside if not load.is_container for c in load.hs_chapters)
            marks.append(_Mark(box, "vehicle", structure_kind=vehicle.kind, hs_chapters=own))
    for load in plan.loads:
        body = load.container
        box = _cut(geometry.box(body.x_m, body.y_m, body.z_m), geometry)
        if box and load.is_container:
            marks.append(
                _Mark(box, "container", load.state, structure_kind=body.body,
                      hs_chapters=load.hs_chapters)
            )  # fmt: skip
    return marks


def _on(x_m: tuple[float, float], load: Loaded) -> bool:
    return x_m[0] <= sum(load.container.x_m) / 2 <= x_m[1]


def _cut(
    box: tuple[float, float, float, float], geometry: Geometry
) -> tuple[float, float, float, float] | None:
    """Return the part of a box on the scan, or None where too little of it is there."""
    whole = np.asarray([box], np.float32)
    inside = boxes.clip(whole, geometry.height_px, geometry.width_px)
    if boxes.area(inside)[0] < _VISIBLE_SHARE * boxes.area(whole)[0]:
        return None
    x0, y0, x1, y1 = (float(v) for v in inside[0])
    return x0, y0, x1, y1


def _threat_count(config: SceneConfig, rng: np.random.Generator) -> int:
    if rng.random() < config.clean_share:
        return 0
    return int(rng.integers(config.threats[0], config.threats[1] + 1))


def _hide(
    want: _Want, where: _Place, config: SceneConfig, rng: np.random.Generator
) -> _Mark | None:
    """Add one threat to the grid where it fits; return its truth, or None where nothing fits."""
    for turn in range(_TRIES):
        placed = _place(want, turn, where, config, rng)
        mark = _draw(placed, where, config, rng) if placed else None
        if mark:
            return mark
    return None


def _place(
    want: _Want, turn: int, where: _Place, config: SceneConfig, rng: np.random.Generator
) -> Placed | None:
    if want.kind is not None:
        # A vehicle without the place that was wanted is changed elsewhere.
        others = config.modifications
        kind = want.kind if turn == 0 else others[int(rng.integers(len(others)))]
        return MODIFICATIONS[kind](where.plan, rng)
    taken = [other.place_m for other in where.others if other.place_m]
    return put(THREATS[want.name](rng), where.plan, taken, rng)


def _draw(
    placed: Placed, where: _Place, config: SceneConfig, rng: np.random.Generator
) -> _Mark | None:
    threat, geometry = placed.threat, where.geometry
    window = _window(placed, geometry)
    if window is None:
        return None
    y0, y1, x0, x1 = window
    # The window holds every row that sag can move the threat from.
    spread = int(np.ceil(np.abs(geometry.sag_px[x0:x1]).max())) + 1
    part = geometry.window(y0 - spread, x0, y1 - y0 + 2 * spread, x1 - x0)
    added = project(threat.parts, part, rng)[:, spread:-spread]
    total = added.sum(0)
    mask = total > max(config.threat_visible_g_per_cm2, 0.05 * float(total.max()))
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    box = (float(x0 + left), float(y0 + top), float(x0 + right), float(y0 + bottom))
    target = where.grid[:, y0:y1, x0:x1]
    rest = target
    if placed.displaced:
        rest = np.maximum(target - project(placed.displaced, part, rng)[:, spread:-spread], 0)
    change = rest.sum(0) + total - target.sum(0)
    unseen = abs(float(change[mask].mean())) < config.threat_contrast_g_per_cm2
    if unseen or _crowded(box, where.others):
        return None
    behind = float(rest.sum(0)[mask].mean())
    np.add(rest, added, out=target)
    return _Mark(
        box, threat.name, None, behind, threat.kind, material=threat.material,
        mass_kg=threat.mass_kg,
        mask=mask[top:bottom, left:right].copy() if config.keep_masks else None,
        place_m=threat.box_m,
    )  # fmt: skip


def _window(placed: Placed, geometry: Geometry) -> tuple[int, int, int, int] | None:
    """Return first and last row, then column, that a threat may touch; None if cut off."""
    places = [geometry.box(extent(p)[:2], p.y_m, extent(p)[2:]) for p in placed.threat.parts]
    corners = np.asarray(places)
    x0, y0 = (int(v) - 3 for v in corners[:, :2].min(0))
    x1, y1 = (int(v) + 4 for v in corners[:, 2:].max(0))
    if x0 < 0 or y0 < 0 or x1 > geometry.width_px or y1 > geometry.height_px:
        return None
    return y0, y1, x0, x1


def _crowded(box: tuple[float, float, float, float], others: list[_Mark]) -> bool:
    if not others:
        return False
    mine = np.asarray([box], np.float32)
    theirs = np.asarray([other.box_xyxy for other in others], np.float32)
    return bool(boxes.iou(mine, theirs).max() > 0.1)  # noqa: PLR2004
