"""Which vehicle carries which containers with which load: the plan of a scene."""

from __future__ import annotations

import numpy as np

from nii.simulate import container, convoy, superstructure, vehicles
from nii.simulate.container import HEIGHT_M, HIGH_CUBE_M, LENGTHS_M, Body, Container
from nii.simulate.loads import Hollow, Loaded, LoadShares, Plan, Vehicle, load
from nii.simulate.shapes import Shape, extent

__all__ = ["LoadShares", "Loaded", "Plan", "make_plan"]

_SINGLE_SHARES: dict[tuple[str, Body], float] = {
    ("40", "dry"): 0.44,
    ("20", "dry"): 0.24,
    ("45", "dry"): 0.05,
    ("40", "reefer"): 0.16,
    ("20", "reefer"): 0.03,
    ("20", "tank"): 0.08,
}
_TRACTOR_M = (5.6, 6.6)
_COUPLING_M = 1.8
_LORRY_BODY_M = 13.6
"""Length of the body of a European semi-trailer (Directive 96/53/EC allows 13.6 m)."""

Group = list[tuple[str, Body]]


def make_plan(shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None = None) -> Plan:
    """Draw a vehicle with its containers and their loads.

    Args:
        shares: how often what occurs.
        rng: source of all draws.
        hollow: gives one dry container, van or covered wagon a false wall or floor, if there is
            any.
    """
    draw = float(rng.random())
    if draw < shares.on_ground:
        return _on_ground(shares, rng, hollow)
    if draw < shares.on_ground + shares.rail:
        return convoy.on_rails(shares, rng, hollow)
    return _on_trailers(_groups(shares, rng), shares, rng, hollow)


def _groups(shares: LoadShares, rng: np.random.Generator) -> list[Group]:
    if rng.random() < shares.no_container:
        return [[]]
    if rng.random() < shares.two_containers:
        kinds = [_two_body(rng), _two_body(rng)]
        if rng.random() < 0.3:  # noqa: PLR2004
            return [[kinds[0]], [kinds[1]]]
        return [kinds]
    if rng.random() < shares.other_lorry:
        return [[("lorry", "van" if rng.random() < 0.6 else "flat")]]  # noqa: PLR2004
    return [[_one_body(rng)]]


def _one_body(rng: np.random.Generator) -> tuple[str, Body]:
    kinds = list(_SINGLE_SHARES)
    return kinds[int(rng.choice(len(kinds), p=list(_SINGLE_SHARES.values())))]


def _two_body(rng: np.random.Generator) -> tuple[str, Body]:
    return ("20", "tank") if rng.random() < 0.08 else ("20", "dry")  # noqa: PLR2004


def _on_ground(shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None) -> Plan:
    base = float(rng.uniform(0.0, 0.3))
    one = _load_all([_box(_one_body(rng), 0.0, base, rng)], shares, rng, hollow)[0]
    x_m, z_m = one.container.x_m, one.container.z_m
    shapes = (*container.build(one.container, rng), *one.cargo, *one.lashing)
    return Plan(shapes, (one,), x_m, z_m, None, base)


def _load_all(
    boxes: list[Container], shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None
) -> list[Loaded]:
    loads: list[Loaded] = []
    for box in boxes:
        here = hollow if box.body in ("dry", "van") else None
        loads.append(load(box, shares, rng, here))
        hollow = None if here else hollow
    return loads


def _on_trailers(
    groups: list[Group], shares: LoadShares, rng: np.random.Generator, hollow: Hollow | None
) -> Plan:
    front = float(rng.uniform(*_TRACTOR_M))
    tank = vehicles.draw_tank(rng)
    shapes: list[Shape] = vehicles.tractor((0.0, front), rng, tank)
    hides = [vehicles.tank_hide(tank)]
    boxes: list[Container] = []
    deck, start = float(rng.uniform(1.15, 1.6)), front - _COUPLING_M
    end = start
    for group in groups:
        spec = _trailer(group, start, deck, rng, alone=len(groups) == 1)
        boxes += _stand(group, spec, rng)
        shapes += vehicles.trailer(spec, rng)
        hides += vehicles.trailer_hides(spec)
        end = spec.x_m[1] + 0.1
        start = spec.x_m[1] + float(rng.uniform(0.7, 1.6))
    loads = _load_all(boxes, shares, rng, hollow)
    for one in loads:
        shapes += [*_shell(one.container, rng), *one.cargo, *one.lashing]
    top = max([_height(one) for one in loads], default=3.8)
    end = max([end, *(one.container.x_m[1] for one in loads)])
    x_m, z_m = (0.0, end), (0.0, max(top, 2.8))
    kind = "tractor_trailer" if all(one.is_container for one in loads) else "lorry"
    lorry = Vehicle(kind, x_m, z_m)
    return Plan(tuple(shapes), tuple(loads), x_m, z_m, (0.0, 2.3), deck, (lorry,), tuple(hides))


def _height(one: Loaded) -> float:
    """Return the top of a body; an open deck is as high as its load and headboard."""
    if one.container.body != "flat":
        return one.container.z_m[1]
    return max([one.container.z_m[0] + 1.9, *(extent(s)[3] for s in one.cargo)])


def _shell(box: Container, rng: np.random.Generator) -> list[Shape]:
    if box.body == "van":
        return superstructure.van(box, rng)
    if box.body == "flat":
        return superstructure.flat(box, rng)
    return container.build(box, rng)


def _trailer(
    group: Group,
    start: float,
    deck: float,
    rng: np.random.Generator,
    *,
    alone: bool,
) -> vehicles.Trailer:
    lorry = bool(group) and group[0][0] == "lorry"
    need = _need(group) + 0.1 * max(len(group) - 1, 0)
    shortest = max(need, 6.2)
    choices = [shortest, shortest + float(rng.uniform(0, 1.0))]
    if alone and shortest < 12.4:  # noqa: PLR2004
        choices.append(float(rng.uniform(12.4, 14.0)))
    length = shortest if lorry else choices[int(rng.integers(len(choices)))]
    long = length > 9  # noqa: PLR2004
    return vehicles.Trailer(
        x_m=(start, start + length),
        deck_m=deck,
        axles=int(rng.integers(2, 4)) if long else int(rng.integers(1, 4)),
        flat=lorry or bool(rng.random() < (0.5 if not group else 0.15)),
        guides=not lorry and bool(rng.random() < 0.25),  # noqa: PLR2004
        overhang_m=float(rng.uniform(0.9, 1.6)),
        wheel_m=float(rng.uniform(0.46, 0.53)),
    )


def _need(group: Group) -> float:
    return 0.0 + sum(_LORRY_BODY_M if size == "lorry" else LENGTHS_M[size] for size, _ in group)


def _stand(group: Group, spec: vehicles.Trailer, rng: np.random.Generator) -> list[Container]:
    need = _need(group)
    free = max(spec.x_m[1] - spec.x_m[0] - need, 0.0)
    # A free length is shared between front, gaps and rear; most drivers use one end or the middle.
    where = float(rng.choice([0.0, 0.5, 1.0, rng.uniform()]))
    gap = min(free, float(rng.uniform(0.06, 1.2))) if len(group) > 1 else 0.0
    x = spec.x_m[0] + (free - gap) * where
    boxes = []
    for kind in group:
        box = _box(kind, x, spec.deck_m, rng)
        boxes.append(box)
        x = box.x_m[1] + gap
    return boxes


def _box(kind: tuple[str, Body], x: float, z: float, rng: np.random.Generator) -> Container:
    size, body = kind
    if size == "lorry":
        tall_m = superstructure.VAN_HEIGHT_M
        x_m, wide = (x, x + _LORRY_BODY_M), superstructure.VAN_WIDTH_M
        return Container(x_m, (z, z + tall_m), body, doors_right=True, width_m=wide)
    tall = size == "45" or (size == "40" and (body == "reefer" or rng.random() < 0.6))  # noqa: PLR2004
    height = HIGH_CUBE_M if tall else HEIGHT_M
    doors_right = rng.random() < 0.9  # noqa: PLR2004
    return Container((x, x + LENGTHS_M[size]), (z, z + height), body, doors_right)
