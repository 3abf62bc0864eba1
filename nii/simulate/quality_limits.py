"""Limits of the image quality report, and the verdicts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from nii import config
from nii.simulate.quality import Measurement, Subject


@dataclass(frozen=True, slots=True)
class Limit:
    """State what passes."""

    source: str
    """Where the limit comes from, or the word assumption."""
    at_least: float | None = None
    """Smallest value that passes."""
    at_most: float | None = None
    """Largest value that passes."""

    def __post_init__(self) -> None:
        """Check that there is exactly one limit, and that it says where it comes from.

        Raises:
            ValueError: there is none, there are two, or the source is empty.
        """
        if (self.at_least is None) == (self.at_most is None) or not self.source.strip():
            msg = "a limit has either at_least or at_most, and a source"
            raise ValueError(msg)

    def allows(self, value: float) -> bool:
        """Tell whether a value passes; the limit itself does."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    def __str__(self) -> str:
        """Return the limit in words."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Hold the limits by kind of subject and key of the measurement."""

    preset: dict[str, Limit] = field(default_factory=dict)
    """For scanner presets."""
    scan: dict[str, Limit] = field(default_factory=dict)
    """For transmission scans."""
    display: dict[str, Limit] = field(default_factory=dict)
    """For 8-bit pictures."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold one measurement with its limit.

    Attributes:
        measurement: the figure.
        limit: what passes; None where nothing is asked.
        passed: None where there is no limit or no figure.
    """

    measurement: Measurement
    limit: Limit | None
    passed: bool | None


def read_limits(path: Path | None = None) -> Limits:
    """Return the limits of a TOML file, or those that come with `nii`.

    Raises:
        ConfigError: the file is missing or has a key or value that does not fit.
    """
    if path is not None:
        return config.load(path, Limits)
    with as_file(files("nii.simulate").joinpath("quality_limits.toml")) as shipped:
        return config.load(shipped, Limits)


def judge(subject: Subject, limits: Limits) -> tuple[Verdict, ...]:
    """Return a verdict for every measurement of a subject.

    A preset is tested with objects that are made for it, so a figure that it does not reach at all
    fails its limit; on a scan it only could not be measured.
    """
    table: dict[str, Limit] = getattr(limits, subject.kind)
    verdicts = []
    for measurement in subject.measurements:
        limit = table.get(measurement.key)
        passed = None
        if limit is not None and measurement.value is not None:
            passed = limit.allows(measurement.value)
        elif limit is not None and subject.kind == "preset" and measurement.applicable:
            passed = False
        verdicts.append(Verdict(measurement, limit, passed))
    return tuple(verdicts)


def passed(subject: Subject, verdicts: Sequence[Verdict]) -> bool:
    """Tell whether a subject was measured and no verdict is against it."""
    return not subject.failure and all(verdict.passed is not False for verdict in verdicts)
