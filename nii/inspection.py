"""Inspection: what an officer gets for one scan; to JSON and back.

The JSON form is described by ``inspection.schema.json`` beside this module. Its `schema_version`
changes when a reader of the older form would misread the newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from nii.config import from_dict, to_dict
from nii.errors import ConfigError
from nii.scan import AnyScan, Grey

SCHEMA_VERSION = 1


class Level(StrEnum):
    """Graded advice to the officer, rising: nothing found, look at it, search it."""

    CLEAR = "clear"
    LOOK = "look"
    SEARCH = "search"

    @property
    def rank(self) -> int:
        """Return 0, 1 or 2, rising with urgency."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """Facts about the scan that was inspected; see :class:`nii.scan.Scan`."""

    files: tuple[str, ...]
    sha256: str | None
    energies: int
    height: int
    width: int
    grey: Grey
    endpoint_mev: tuple[float, ...] | None
    pixel_pitch_mm: tuple[float, float] | None
    scanner: str | None
    acquired_at: str | None
    container_numbers: tuple[str, ...]
    assumptions: tuple[str, ...]

    @classmethod
    def of(cls, scan: AnyScan) -> ScanFacts:
        """Collect the facts from a scan."""
        acquired = scan.acquired_at.isoformat() if scan.acquired_at else None
        return cls(
            files=tuple(source.name for source in scan.provenance.sources),
            sha256=scan.sha256,
            energies=scan.energy_count,
            height=scan.height,
            width=scan.width,
            grey=scan.grey,
            endpoint_mev=scan.endpoint_mev,
            pixel_pitch_mm=scan.pixel_pitch_mm,
            scanner=scan.scanner,
            acquired_at=acquired,
            container_numbers=scan.container_numbers,
            assumptions=scan.provenance.steps,
        )


_FILLINGS = {"partial": "partly filled", "full": "full"}

Edge = Literal["left", "right", "top"]
"""A side of the picture that a vehicle should not reach."""


class Problem(StrEnum):
    """What may be wrong with a scan itself."""

    NO_AIR = "no air"
    DARK = "dark"
    LINES = "lines"
    CUT = "cut"
    BLANK = "blank"
    UPSIDE_DOWN = "upside down"


@dataclass(frozen=True, slots=True)
class Health:
    """State what the scan itself is like, apart from what it shows.

    Attributes:
        air: transmission (or display grey) of the brightest places; 1 is the open beam.
        opaque_share: share of the picture that the beam did not get through, blank columns left
            out, 0 to 1.
        blank_share: share of the columns that are black from top to bottom, 0 to 1.
        rows_apart: rows that differ from their neighbours over the whole width.
        columns_apart: columns that differ from their neighbours over the whole height.
        cut: sides at which the vehicle runs out of the picture: left, right, top.
        problems: what of this is bad enough to be said.
    """

    air: float
    opaque_share: float
    blank_share: float
    rows_apart: int
    columns_apart: int
    cut: tuple[Edge, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """A part of the conveyance that was found.

    Attributes:
        kind: class name, ``container`` or ``vehicle``.
        number: counts the parts of one kind from left to right, from 1.
        box_xyxy: pixels, x right, y down, upper bounds exclusive.
        score: 0 to 1.
        load: ``empty`` or ``loaded``; None where it is no container or the model cannot tell.
        load_score: probability that it is loaded, 0 to 1; None where `load` is None.
        filling: ``partial`` or ``full``; None where it is not loaded or the model cannot tell.
        full_score: probability that it is full, if it is loaded; None where `filling` is None.
    """

    kind: str
    number: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    load: Literal["empty", "loaded"] | None = None
    load_score: float | None = None
    filling: Literal["partial", "full"] | None = None
    full_score: float | None = None

    @property
    def load_words(self) -> str | None:
        """Return how it is loaded: empty, loaded, partly filled, full; None where unknown."""
        return self.load if self.filling is None else _FILLINGS[self.filling]

    @property
    def label(self) -> str:
        """Return kind, number and load in words."""
        return f"{self.kind} {self.number}" + (f", {self.load_words}" if self.load else "")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the scan that is highlighted for the officer.

    Attributes:
        number: counts regions from 1, most urgent first.
        class_name: row of the taxonomy.
        label: the class in words.
        category: customs programme of the class.
        score: 0 to 1.
        level: look or search.
        box_xyxy: pixels, x right, y down, upper bounds exclusive.
        container: number of the container it lies in; None outside all containers.
        position: the place in words.
        size_mm: width and height in the object plane; None where the pixel pitch is unknown.
        contour_xy: corners of the outline in scan pixels, inside the box, the last joined to the
            first; None where the model gives none.
    """

    number: int
    class_name: str
    label: str
    category: str
    score: float
    level: Level
    box_xyxy: tuple[float, float, float, float]
    container: int | None
    position: str
    size_mm: tuple[float, float] | None = None
    contour_xy: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Anomaly:
    """State how much of a scan looks as if it does not belong; it ranks attention, no more.

    Attributes:
        score: 0 to 1; value that a hand-sized part of what was looked at reaches
            (:mod:`nii.infer.anomaly`). It raises no level.
        highest_xy: middle of the most striking place, in scan pixels.
        looked_at: where the score comes from: the containers, else the vehicles, else all.
    """

    score: float
    highest_xy: tuple[float, float]
    looked_at: Literal["container", "vehicle", "scan"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """State what a scan says about a container that was declared empty.

    Attributes:
        container: its number.
        contradicted: it was declared empty but is not.
        probability: that it is loaded, 0 to 1; None where the model cannot tell.
        reason: the same in words.
    """

    container: int
    contradicted: bool
    probability: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Attention:
    """State how unusual a container is at its site. It orders containers; it is no alarm.

    Attributes:
        container: its number.
        share: of similarly loaded benign containers of the site, those that are less unusual.
        excess: how far its score lies above theirs, in their spread.
        hottest_xy: the most unusual place, in pixels.
        heat: how unusual each place is, coarsely, row by row over the container.
        site_sha256: digest of the site model.
    """

    container: int
    share: float
    excess: float
    hottest_xy: tuple[float, float]
    heat: tuple[tuple[float, ...], ...]
    site_sha256: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model looked.

    Attributes:
        name: of the bundle.
        version: of the model.
        sha256: digest of the bundle, whose files were intact.
        signer: who vouches for it: a key's name and fingerprint, or ``nii`` for a shipped one; None
            where nobody does or nobody asked.
    """

    name: str
    version: str
    sha256: str
    signer: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """Which ONNX Runtime execution provider really ran.

    Attributes:
        used: providers of the session, as ONNX Runtime reports them after creation.
        requested: providers asked for, in order.
        available: providers that the installed ONNX Runtime offers.
        device: ``gpu`` or ``cpu``.
        reason: why the GPU was not used, in words; None when it was.
        rejected: providers that were tried and not used, each with the reason, in order.
        self_test: what came of the bundle's self-test on the provider that runs, in words.
        precision: numbers that the model computes in: ``fp32``, or the variant that runs.
    """

    used: tuple[str, ...]
    requested: tuple[str, ...]
    available: tuple[str, ...]
    device: str
    reason: str | None
    rejected: tuple[str, ...] = ()
    self_test: str | None = None
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class GuaranteeFacts:
    """State what the model's guarantee is worth for this result.

    Attributes:
        state: ``holds``: the scores so far are like those of the calibration; ``suspended``: they
            are not, or nobody can tell; ``none``: nothing is promised for such scans.
        reason: why, in one sentence.
        scores: highest threat score in each container, from left to right, 0 where there is none,
            thresholds aside: what drift is judged by.
    """

    state: Literal["holds", "suspended", "none"]
    reason: str
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """Hold everything that is reported about one scan.

    Attributes:
        scan: facts about the image.
        model: which model looked.
        provider: what it ran on.
        level: highest level of all regions.
        structures: containers and vehicles, each kind from left to right.
        regions: highlighted regions, most urgent first.
        inspected_at: time with zone, ISO 8601.
        timing_ms: milliseconds by stage.
        warnings: what the officer should know about this result.
        health: what the scan itself is like; None in results of before it was looked at.
        anomaly: how striking the scan is; None where the model has no map of anomalies.
        declarations: what the scan says about containers that were declared empty.
        attention: how unusual each container is at its site, most unusual first.
        guarantee: what the model's guarantee is worth here; None in results of before it was said.
        schema_version: version of the JSON form.
    """

    scan: ScanFacts
    model: ModelFacts
    provider: ProviderFacts
    level: Level
    structures: tuple[Structure, ...]
    regions: tuple[Region, ...]
    inspected_at: str
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    health: Health | None = None
    anomaly: Anomaly | None = None
    declarations: tuple[Declaration, ...] = ()
    attention: tuple[Attention, ...] = ()
    guarantee: GuaranteeFacts | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        """Check that the parts agree.

        Raises:
            ValueError: the level is not that of the most urgent region, or a time has no zone.
        """
        worst = max((region.level for region in self.regions), key=_rank, default=Level.CLEAR)
        if self.level is not worst:
            msg = f"level {self.level} is not that of the most urgent region, {worst}"
            raise ValueError(msg)
        if datetime.fromisoformat(self.inspected_at).tzinfo is None:
            msg = "the time of inspection has no zone"
            raise ValueError(msg)

    @property
    def containers(self) -> tuple[Structure, ...]:
        """Return the containers from left to right."""
        return tuple(part for part in self.structures if part.kind == "container")

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as JSON types."""
        result: dict[str, Any] = to_dict(self)
        return result

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Inspection:
        """Rebuild the inspection that :meth:`to_json` wrote.

        Raises:
            ConfigError: a key or value does not belong to this version of the form.
        """
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ConfigError(
                "inspection",
                found=f"schema version {version}",
                expected=f"schema version {SCHEMA_VERSION}",
                remedy="Read it with the version of nii that wrote it.",
            )
        return from_dict(cls, data, where="inspection")


def _rank(level: Level) -> int:
    return level.rank
