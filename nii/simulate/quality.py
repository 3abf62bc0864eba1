"""Records of the image quality report: figures, curves, pictures and tables of one subject.

The tests are in the style of ANSI N42.46 and IEC 62523. They are no tests by these standards: the
objects, their sizes and the scores are ours.

Reference:
    ANSI/IEEE N42.46-2008; IEC 62523:2010, clause 7 (names of the tests).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8

Kind = Literal["preset", "scan", "display"]
TESTS = ("penetration", "wires", "contrast", "resolution", "material", "uniformity")
"""The six tests of a preset."""
LIVE_TESTS = ("uniformity", "resolution", "exposure")
"""The tests of a scan."""
AXES = ("vertical", "horizontal")
"""Names of the axes of a scan, in their order."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Hold one figure.

    Attributes:
        test: one of `TESTS` or `LIVE_TESTS`.
        key: identifier of the figure, stable from version to version.
        label: what it is, for people.
        value: the figure; None where it could not be measured.
        unit: of the value.
        note: how to read it, or why there is none.
        applicable: whether the subject could have such a figure at all.
    """

    test: str
    key: str
    label: str
    value: float | None
    unit: str
    note: str = ""
    applicable: bool = True


@dataclass(frozen=True, slots=True)
class Curve:
    """Hold one line of a chart."""

    name: str
    x: Float64[np.ndarray, " point"]
    y: Float64[np.ndarray, " point"]


@dataclass(frozen=True, slots=True)
class Chart:
    """Hold one chart of a test."""

    test: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold one picture of a test: grey, or blue, green and red."""

    test: str
    title: str
    pixels: UInt8[np.ndarray, "height width"] | UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True)
class Table:
    """Hold one table of a test."""

    test: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """Hold all that was measured on one preset or scan.

    Attributes:
        name: of the preset, or the file name of the scan.
        kind: preset, transmission scan or display image; limits differ between them.
        measurements: figures, in the order of the tests.
        charts: curves behind the figures.
        pictures: what was looked at.
        tables: counts behind the figures.
        facts: settings of the scanner, or size and origin of the scan, as plain JSON types.
        failure: why nothing could be measured; empty where something was.
    """

    name: str
    kind: Kind
    measurements: tuple[Measurement, ...] = ()
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    failure: str = ""


Part = Measurement | Chart | Picture | Table


def assemble(name: str, kind: Kind, parts: Iterable[Part], facts: dict[str, Any]) -> Subject:
    """Return a subject from parts in any order; each kind keeps its own order."""
    given = tuple(parts)
    return Subject(
        name=name,
        kind=kind,
        measurements=tuple(part for part in given if isinstance(part, Measurement)),
        charts=tuple(part for part in given if isinstance(part, Chart)),
        pictures=tuple(part for part in given if isinstance(part, Picture)),
        tables=tuple(part for part in given if isinstance(part, Table)),
        facts=facts,
    )


def stretched(plane: Float32[np.ndarray, "height width"]) -> UInt8[np.ndarray, "tall wide"]:
    """Return a plane between its 1 % and 99 % quantiles as grey, each pixel three times as large.

    Attenuation is shown as it is: what absorbs more is lighter.
    """
    low, high = np.quantile(plane, [0.01, 0.99])
    grey = np.clip((plane - low) / max(float(high - low), 1e-9), 0, 1)
    levels = np.rint(255 * grey).astype(np.uint8)
    return np.asarray(np.kron(levels, np.ones((3, 3), np.uint8)), np.uint8)
