"""One object to hide, as plates around the origin: x right, z up, y away from the source."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from nii.simulate.shapes import BASIS, Polygon, mass_kg

Outline = Float64[np.ndarray, "n 2"]
Span = tuple[float, float]
Cuboid = tuple[Span, Span, Span]


@dataclass(frozen=True, slots=True)
class Threat:
    """One object to hide.

    Attributes:
        name: taxonomy class.
        kind: what it is within the class.
        parts: plates in metres around the origin.
        rests: whether it may only stand (rotation 0), or lie at any angle.
        large: whether it neither turns nor leans.
    """

    name: str
    kind: str
    parts: tuple[Polygon, ...]
    rests: bool = False
    large: bool = False

    @property
    def mass_kg(self) -> float:
        """Return the mass."""
        return sum(mass_kg(part) for part in self.parts)

    @property
    def material(self) -> str:
        """Return the basis material that makes up most of the mass."""
        masses = [0.0] * len(BASIS)
        for part in self.parts:
            masses[part.material] += mass_kg(part)
        return BASIS[int(np.argmax(masses))]

    @property
    def size_m(self) -> tuple[float, float]:
        """Return width and height."""
        points = np.concatenate([part.outlines_m[0] for part in self.parts])
        width, height = points.max(0) - points.min(0)
        return float(width), float(height)

    @property
    def lowest_m(self) -> float:
        """Return the lowest z."""
        return min(float(part.outlines_m[0][:, 1].min()) for part in self.parts)

    @property
    def box_m(self) -> Cuboid:
        """Return the extent in x, y and z."""
        points = np.concatenate([part.outlines_m[0] for part in self.parts])
        (x0, z0), (x1, z1) = points.min(0).tolist(), points.max(0).tolist()
        near, far = (part.y_m[0] for part in self.parts), (part.y_m[1] for part in self.parts)
        return (x0, x1), (min(near), max(far)), (z0, z1)


def rotate(threat: Threat, angle: float, tilt: float) -> Threat:
    """Return the threat turned by `angle` in the picture and leant out of it by `tilt`, in radians.

    Leaning shortens the picture along x and lengthens the path by the same factor: mass is kept.
    """
    lean = np.array([np.cos(tilt), 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return replace(
        threat,
        parts=tuple(
            replace(
                part,
                outlines_m=tuple((o * lean) @ turn.T for o in part.outlines_m),
                y_m=(part.y_m[0] / float(lean[0]), part.y_m[1] / float(lean[0])),
            )
            for part in threat.parts
        ),
    )


def place(threat: Threat, x: float, y: float, z: float) -> Threat:
    """Return the threat moved, in metres."""
    shift = np.array([x, z])
    return replace(
        threat,
        parts=tuple(
            replace(
                part,
                outlines_m=tuple(o + shift for o in part.outlines_m),
                y_m=(part.y_m[0] + y, part.y_m[1] + y),
            )
            for part in threat.parts
        ),
    )


def rectangle(x0: float, z0: float, x1: float, z1: float) -> Outline:
    """Return the outline of an upright rectangle."""
    return np.array([(x0, z0), (x1, z0), (x1, z1), (x0, z1)], np.float64)


def slanted(x: float, z: float, width: float, height: float, rake: float) -> Outline:
    """Return the outline of a parallelogram that leans by `rake` metres a metre of height."""
    lean = rake * height
    return np.array(
        [(x + lean, z), (x + width + lean, z), (x + width, z + height), (x, z + height)], np.float64
    )


def weighing(threat: Threat, total_kg: float) -> Threat:
    """Return the threat with densities scaled, so that it has a mass."""
    factor = total_kg / threat.mass_kg
    return replace(
        threat,
        parts=tuple(
            replace(part, density_g_per_cm3=part.density_g_per_cm3 * factor)
            for part in threat.parts
        ),
    )


def centred(threat: Threat) -> Threat:
    """Return the threat with the middle of its outline at the origin."""
    points = np.concatenate([part.outlines_m[0] for part in threat.parts])
    middle = (points.max(0) + points.min(0)) / 2
    return place(threat, float(-middle[0]), 0.0, float(-middle[1]))
