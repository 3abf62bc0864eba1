"""Doctor: one page about this workstation: versions, devices, providers, disk, signatures.

Each line is good, worth knowing, or bad; a bad one says what to do. All is well where none is bad.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nii
from nii.bundle import Bundle, read_bundle
from nii.config import to_dict
from nii.errors import NiiError
from nii.folders import cache_folder
from nii.infer import engine, runtime
from nii.infer.runtime import CPU, GPUS, NO_SELF_TEST, ProviderSettings
from nii.infer.trial import RACE_PX, Trial, race
from nii.trust import SHIPPED, Trust, judge, keys_of
from nii.versions import read_versions

_PACKAGES = ("numpy", "opencv-python-headless", "cryptography", "pydicom", "tifffile", "sqlalchemy")
_FREE_GB = 5.0
"""Free space below which a lane soon stops: assumption, some hundred scans with their results."""


_FOR = f"for {RACE_PX[0]} x {RACE_PX[1]} pixels"


class State(StrEnum):
    """How a line is meant."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page.

    Attributes:
        subject: what it is about, for example ``disk``.
        state: good, worth knowing or bad.
        text: what was found.
        remedy: what to do about it; empty where there is nothing to do.
    """

    subject: str
    state: State
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The whole page."""

    lines: tuple[Line, ...]

    @property
    def well(self) -> bool:
        """Return whether no line is bad."""
        return all(line.state is not State.BAD for line in self.lines)

    def text(self) -> str:
        """Return the page for people."""
        rows = []
        for line in self.lines:
            rows.append(f"{line.state:<4}  {line.subject:<12}  {line.text}")
            if line.remedy:
                rows.append(f"{'':<20}→ {line.remedy}")
        bad = sum(line.state is State.BAD for line in self.lines)
        rows.append("all is well" if self.well else f"{bad} bad; see the arrows")
        return "\n".join(rows)

    def to_json(self) -> dict[str, Any]:
        """Return the page as JSON types."""
        lines: list[dict[str, Any]] = [to_dict(line) for line in self.lines]
        return {"well": self.well, "lines": lines}


def examine(
    folders: Sequence[Path],
    settings: ProviderSettings,
    rules: Trust,
    places: Sequence[Path],
    now: datetime,
) -> Health:
    """Look at everything that a runner needs.

    Args:
        folders: bundles; the first one is run.
        settings: what it shall run on.
        rules: whom to trust.
        places: folders that are written to.
        now: time with its zone.
    """
    lines = [*_versions(), *_devices()]
    bundles = []
    for folder in folders:
        try:
            bundles.append(read_bundle(folder))
        except NiiError as error:
            lines.append(_bad("bundle", error))
    if not folders:
        text = "no bundle was named, and none is in models/"
        lines.append(Line("bundle", State.BAD, text, "Name one with --bundle."))
    if bundles:
        lines += _providers(bundles[0], settings)
    lines += _keys(rules)
    lines += [_signature(bundle, rules, now) for bundle in bundles]
    lines += [_disk(place) for place in dict.fromkeys((*places, settings.cache or cache_folder()))]
    return Health(tuple(lines))


def _versions() -> Iterator[Line]:
    yield Line("nii", State.GOOD, f"{nii.__version__}, Python {platform.python_version()}")
    yield Line("system", State.GOOD, platform.platform())
    found = runtime.versions()
    yield Line("onnxruntime", State.GOOD, f"{found['onnxruntime']} ({found['build']})")
    if os.environ.get(runtime.TELEMETRY_VARIABLE) == "1":
        yield Line("telemetry", State.GOOD, "ONNX Runtime reports nothing to its makers")
    else:
        text = f"{runtime.TELEMETRY_VARIABLE} is not 1: ONNX Runtime may report to its makers"
        yield Line("telemetry", State.BAD, text, f"Set {runtime.TELEMETRY_VARIABLE}=1.")
    yield Line("packages", State.GOOD, ", ".join(map(_package, _PACKAGES)))


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} of unknown version"


def _devices() -> Iterator[Line]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    yield Line("CPU", State.GOOD, f"{name}, {cores} cores for this process")
    offered = [name for name in runtime.available_providers() if name in GPUS]
    found = engine.gpus()
    for gpu in found:
        yield Line("GPU", State.GOOD, gpu)
    if not found:
        yield Line("GPU", State.NOTE, "none was found; scans are inspected on the CPU")
    elif not offered:
        yield Line(
            "GPU",
            State.BAD if any("NVIDIA" in gpu for gpu in found) else State.NOTE,
            "the installed ONNX Runtime offers no provider for it",
            "Install the ONNX Runtime for this GPU: docs/install.md.",
        )


def _providers(bundle: Bundle, settings: ProviderSettings) -> Iterator[Line]:
    """Try every provider, and tell which one a runner would take."""
    chosen = None
    try:
        for trial in runtime.try_providers(bundle, settings):
            yield _provider(trial)
            if trial.refusal is None and chosen is None:
                chosen = trial
            if trial.provider == CPU and trial.refusal is None:
                yield from _cpu_speed(trial, bundle)
    except NiiError as error:
        yield _bad("provider", error)
        return
    if chosen is None:
        return
    if settings.require_gpu and chosen.provider not in GPUS:
        yield Line(
            "runs on",
            State.BAD,
            f"{chosen.provider}, although a GPU is required",
            "Mend the GPU providers above, or run without --require-gpu.",
        )
    else:
        yield Line("runs on", State.GOOD, f"{chosen.provider}, with the bundle {bundle.card.name}")
    if bundle.self_test_path is None:
        yield Line("self-test", State.NOTE, NO_SELF_TEST, "Export the model again.")


def _provider(trial: Trial) -> Line:
    if trial.refusal is not None:
        return Line(
            "provider", State.BAD, f"{trial.provider}: {trial.refusal}", _remedy(trial.provider)
        )
    parts = [trial.provider]
    if trial.outcome is not None:
        parts.append(f"self-test {trial.outcome}")
    if trial.milliseconds is not None:
        parts.append(f"{trial.milliseconds:.1f} ms {_FOR}")
    return Line("provider", State.GOOD, ", ".join(parts))


def _remedy(provider: str) -> str:
    if provider == CPU:
        return "Install ONNX Runtime again, in the version of constraints.txt."
    return (
        "Install driver and libraries in the versions that ONNX Runtime asks for, see "
        "docs/install.md, or leave the provider out with --provider."
    )


def _cpu_speed(trial: Trial, bundle: Bundle) -> Iterator[Line]:
    test = runtime.self_test_of(bundle)
    if test is not None:
        spent = race(trial.session, test, time.perf_counter)
        yield Line("speed", State.GOOD, f"{trial.provider}: {spent:.1f} ms {_FOR}")


def _keys(rules: Trust) -> Iterator[Line]:
    try:
        keys = keys_of(rules.folder)
        used = read_versions(rules.folder)
    except NiiError as error:
        yield _bad("trust", error)
        return
    names = ", ".join(f"{name} {mark[:16]}" for mark, (name, _) in keys.items()) or "no keys"
    yield Line("trust", State.GOOD, f"{names}, in {rules.folder}")
    for name, issue in sorted(used.items()):
        yield Line("used", State.GOOD, f"{name}: {issue}")


def _signature(bundle: Bundle, rules: Trust, now: datetime) -> Line:
    try:
        admission = judge(bundle, rules, now)
    except NiiError as error:
        return _bad("signature", error)
    if admission.signer is None:
        return Line("signature", State.NOTE, str(admission.warning))
    until = f", until {admission.expires}" if admission.expires else ""
    name = f"{bundle.card.name} {bundle.card.version}"
    word = "as shipped with" if admission.signer == SHIPPED else "signed by"
    return Line("signature", State.GOOD, f"{name}: {word} {admission.signer}{until}")


def _disk(place: Path) -> Line:
    there = place.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / 1e9
    text = f"{free:.1f} GB free for {place}"
    if not os.access(there, os.W_OK):
        remedy = "Give this user the right to write there, or name another folder."
        return Line("disk", State.BAD, f"{place} cannot be written", remedy)
    if free < _FREE_GB:
        return Line("disk", State.BAD, text, f"Free space: {_FREE_GB:.0f} GB at least.")
    return Line("disk", State.GOOD, text)


def _bad(subject: str, error: NiiError) -> Line:
    return Line(subject, State.BAD, f"{error.subject}: {error.found}", error.remedy)
