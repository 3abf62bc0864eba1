"""A bundle calibrated for one site: thresholds, guarantee and page from its own benign scans.

Threats are projected into the scans (:mod:`nii.simulate.projection`), the model answers, and
thresholds are chosen by :mod:`nii.evaluate.guarantee`. The new bundle has the same network, byte
for byte; only its card is another, beside the model and inside it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from nii import formats
from nii.bundle import (
    PARITY_FILE,
    Beside,
    Bundle,
    Card,
    Thresholds,
    metadata_of,
    read_bundle,
    write_bundle,
)
from nii.errors import ConfigError
from nii.evaluate import detectability as chart
from nii.evaluate.containers import ContainerTable
from nii.evaluate.elements import section, table, whole_page
from nii.evaluate.guarantee import (
    Guarantee,
    GuaranteeConfig,
    Promise,
    calibrate,
    misses_allowed,
    spec_of,
    trials_needed,
)
from nii.evaluate.intervals import lower_limit
from nii.evaluate.site import Answers, Known, answers, ask
from nii.folders import write_whole
from nii.infer.inspect import Finds
from nii.infer.metadata import with_metadata
from nii.provenance import Provenance
from nii.simulate.projection import ProjectionConfig, makeable

PAGE_FILE = "index.html"
ANY_SCANNER = "the scanner of the calibration scans"
_MOST_TRIALS = 20_000
"""Threats beyond which nobody calibrates: assumption."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Hold a calibration.

    Attributes:
        card: of the bundle, with thresholds and guarantee; still without digests.
        guarantee: what is promised.
        map: the detectability map; None where no threat found a place.
        notes: what a person should know, in sentences.
    """

    card: Card
    guarantee: Guarantee
    map: chart.DetectabilityMap | None
    notes: tuple[str, ...]


def ask_site(
    groups: Sequence[tuple[Path, ...]],
    detector: Finds,
    work: Path,
    projection: ProjectionConfig | None = None,
    known: Known | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Answers:
    """Return a model's answers to the scans of a site, with threats of its classes projected in.

    Raises:
        ConfigError: the folder holds other answers, or the model has no class that can be made.
        ProviderError: the hardware gave up.
    """
    classes = makeable(detector.card.threats)
    if not classes:
        raise ConfigError(
            "calibration",
            found=f"a model of {', '.join(detector.card.threats)}",
            expected="a class that can be projected into a container",
            remedy="Calibrate another model.",
        )
    chosen = projection or ProjectionConfig()
    chosen = replace(chosen, classes=classes)
    return answers(groups, detector, chosen, work, known, on_progress)


def forecast(
    groups: Sequence[tuple[Path, ...]],
    detector: Finds,
    projection: ProjectionConfig,
    config: GuaranteeConfig,
    timer: Callable[[], float] = time.perf_counter,
) -> list[str]:
    """Return in words how long a calibration takes and what so many scans can prove; write nothing.

    Args:
        groups: the files of each scan.
        detector: the model.
        projection: what would be projected; into the first scan it is.
        config: what is to be promised.
        timer: clock in seconds that only rises.

    Raises:
        ScanFormatError: the first scan cannot be read.
        ProviderError: the hardware gave up.
    """
    classes = makeable(detector.card.threats)
    started = timer()
    scan = formats.read(list(groups[0]))
    row = ask(scan, 0, detector, replace(projection, classes=classes))
    minutes = (timer() - started) * len(groups) / 60
    each = 1 - (1 - config.confidence) / len(classes)
    clean, few = (trials_needed(misses, config.miss, each) for misses in (0, 5))
    percent, count = f"{100 * (1 - config.miss):g} %", len(groups)
    said = f"{count} scans, at most as many threats of each class that count: one a scan."
    can = f"{clean} without a miss, or {few} with five misses, prove {percent}"
    return [
        f"{groups[0][0].name}: {len(row.containers_xyxy)} containers, {len(row.truth)} threats.",
        f"About {minutes:.1f} minutes for all {count} scans.",
        f"{said} For each of {len(classes)} classes {can}.",
        *([f"{count} scans cannot prove {percent}."] if count < clean else []),
    ]


def calibrated(
    card: Card, seen: Answers, config: GuaranteeConfig, scanner: str | None = None
) -> Calibrated:
    """Choose thresholds and state what they promise.

    Args:
        card: of the model that answered.
        seen: its answers.
        config: what is to be promised.
        scanner: name of the machine; that of the scans where not given.

    Raises:
        ConfigError: there are too few benign containers, or the scans are of several scanners.
    """
    named = {row.scanner for row in seen.rows if row.scanner}
    if len(named) > 1 and scanner is None:
        raise ConfigError(
            "calibration scans",
            found=f"scans of {', '.join(sorted(named))}",
            expected="scans of one scanner: a guarantee is for one",
            remedy="Calibrate each by itself, or name them together with --scanner.",
        )
    cases = seen.table()
    config = replace(config, classes=makeable(card.threats))
    made = calibrate(cases, config)
    picture = chart.detectability(cases, made.look, 1 - config.miss, config.seed)
    machine = scanner or seen.scanner or ANY_SCANNER
    data = f"{len(seen.rows)} benign scans of the site with threats projected in"
    spec = spec_of(made, machine, data, chart.in_words(picture) if picture else {})
    holds = any(row.at_least is not None for row in made.promises)
    spec = replace(spec, holds=holds, reference=seen.reference())
    look, search = dict(card.thresholds.look), dict(card.thresholds.search)
    look, search = look | dict(made.look), search | dict(made.search)
    search = {name: max(score, look[name]) for name, score in search.items()}
    basis = f"calibrated on {spec.basis}; at most {100 * config.miss:g} % missed where promised"
    story = Provenance.from_json(card.provenance).with_step(
        f"calibrated for {machine} from version {card.version}"
    )
    new = replace(
        card,
        version=raised(card.version),
        thresholds=Thresholds(look, search, card.thresholds.structure, basis),
        guarantee=spec,
        provenance=story.to_json(),
        variants={},
    )
    notes = notes_of(seen, cases, made, config)
    if card.variants:
        left = ", ".join(card.variants)
        notes += (
            f"Left out: {left}. nii export OUT OUT --quantize compares anew at these scores.",
        )
    return Calibrated(new, made, picture, notes)


def raised(version: str) -> str:
    """Return a version that is newer than another one, and tells what it was made of."""
    return f"{version}.1"


def _too_many_missed(
    silent: Sequence[Promise], scans: int, miss: float, confidence: float
) -> list[str]:
    """Return whether more scans would help where the model, and not their number, is the limit."""
    notes, hopeless = [], []
    for row in silent:
        trials, missed = row.counts.trials, row.counts.trials - row.counts.successes
        more = _trials_at(missed / trials, trials, miss, confidence)
        if more is None:
            hopeless.append(row.class_name)
            continue
        wanted = math.ceil(scans * more / trials)
        notes.append(
            f"Nothing is promised for {row.class_name} yet: {missed} of {trials} are missed at the "
            f"lowest threshold. If it stays at that share, about {wanted} scans prove enough."
        )
    if hopeless:
        notes.append(
            f"Nothing is promised for {', '.join(hopeless)}: the model misses too many of them "
            "here. More scans do not help; a lower --target, or nii adapt, may."
        )
    return notes


def _trials_at(share: float, trials: int, miss: float, confidence: float) -> int | None:
    """Return how many trials prove `miss` while a share of them is missed; None where none do."""
    while trials <= _MOST_TRIALS:
        trials += max(1, trials // 20)
        allowed = misses_allowed(trials, miss, confidence)
        if allowed is not None and allowed >= math.ceil(share * trials):
            return trials
    return None


def notes_of(
    seen: Answers, cases: ContainerTable, made: Guarantee, config: GuaranteeConfig
) -> tuple[str, ...]:
    """Return what is missing for a promise, and what could be promised with so many scans."""
    each = 1 - (1 - config.confidence) / len(made.promises)
    scans = len(seen.rows)
    needed = trials_needed(0, config.miss, each)
    notes = []
    silent = [row for row in made.promises if row.at_least is None]
    short = [row.counts.trials for row in silent if row.counts.trials < needed]
    if short:
        most = lower_limit(min(short), min(short), each) or 0.0
        wanted = math.ceil(needed * scans / max(min(short), 1))
        notes.append(
            f"With {min(short)} threats at most {100 * most:.0f} % could be promised even if none "
            f"was missed. About {max(wanted, needed)} scans or more are needed for "
            f"{100 * (1 - config.miss):g} %, fewer with more threats in each."
        )
    elif silent:
        notes += _too_many_missed(silent, scans, config.miss, each)
    if len(seen.reference()) < 20:  # noqa: PLR2004 - drift.LEAST_REFERENCE
        notes.append(
            "Fewer than 20 containers: the drift test cannot begin, nothing holds for long."
        )
    if seen.left_out:
        notes.append(f"{len(seen.left_out)} scans show no container to the model and are left out.")
    if seen.failures:
        notes.append(f"{len(seen.failures)} scans could not be used: {seen.failures[0].reason}")
    if not len(cases.table.found_score):
        notes.append("No threat found a plausible place.")
    return tuple(notes)


def write_with_card(source: Bundle, card: Card, out: Path) -> Bundle:
    """Write a bundle with another card, beside the model and inside it.

    The signature of the source does not pass to it.

    Raises:
        BundleError: the folder holds something else, or the model is damaged.
    """
    model = with_metadata(source.model_path.read_bytes(), metadata_of(card))
    parity_path = source.folder / PARITY_FILE
    parity = json.loads(parity_path.read_text("utf-8")) if parity_path.is_file() else {}
    test, weights = source.self_test_path, source.weights_path
    return write_bundle(
        out,
        card,
        model,
        parity,
        test.read_bytes() if test else None,
        Beside(weights=weights.read_bytes() if weights else None),
    )


def page(done: Calibrated) -> str:
    """Return the page about a calibration."""
    spec = done.card.guarantee
    promises = "".join(f"<p>{escape(row.text)}</p>" for row in done.guarantee.promises)
    body = [
        f"<h1>{escape(done.card.name)} {escape(done.card.version)}, calibrated</h1>",
        f"<p>{escape(spec.scanner if spec else '')}: {escape(spec.basis if spec else '')}</p>",
        section("What is promised", promises),
        section("What it costs", "".join(f"<p>{escape(t)}</p>" for t in done.guarantee.costs)),
    ]
    if done.notes:
        body.append(section("Notes", "".join(f"<p>{escape(t)}</p>" for t in done.notes)))
    if done.map is not None:
        words = "".join(
            f"<tr><td>{escape(load)}</td><td>{escape(text)}</td></tr>"
            for load, text in chart.in_words(done.map).items()
        )
        shown = f"{chart.picture(done.map)}<table>{words}</table>"
        body.append(section("Smallest size found, by areal density behind", shown))
    rows = [
        f"<td>{escape(row.class_name)}</td><td>{_band(row.from_g_per_cm2, row.up_to_g_per_cm2)}"
        f"</td><td>{row.counts.successes} of {row.counts.trials}</td>"
        f"<td>{'–' if row.threshold is None else f'{row.threshold:.3f}'}</td>"
        for row in done.guarantee.cells
        if row.counts.trials
    ]
    head = ("class", "areal density behind, g/cm²", "flagged", "threshold of the cell alone")
    body.append(section("Every class and load by itself (a map, no promises)", table(head, rows)))
    missing = "".join(f"<li>{escape(text)}</li>" for text in done.guarantee.not_covered)
    body.append(section("What it does not cover", f"<ul>{missing}</ul>"))
    return whole_page(f"Calibration of {done.card.name}", body)


def calibrate_bundle(
    bundle: Path,
    seen: Answers,
    out: Path,
    config: GuaranteeConfig,
    scanner: str | None = None,
    report: Path | None = None,
) -> tuple[Bundle, Calibrated]:
    """Write the calibrated bundle, and its page into a folder beside it.

    Args:
        bundle: folder of the model that answered.
        seen: its answers.
        out: folder of the new bundle.
        config: what is to be promised.
        scanner: name of the machine; that of the scans where not given.
        report: folder for the page.

    Raises:
        BundleError: a bundle is damaged, or the folder holds something else.
        ConfigError: the scans do not suffice, or the new bundle would replace the old one.
    """
    source = read_bundle(bundle)
    if out.resolve() == bundle.resolve():
        raise ConfigError(
            "out",
            found=f"the folder of the bundle itself, {out}",
            expected="another folder",
            remedy="Name another one; the old bundle stays, to go back to.",
        )
    done = calibrated(source.card, seen, config, scanner)
    written = write_with_card(source, done.card, out)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        write_whole(report / PAGE_FILE, page(done).encode())
    return written, done


def _band(low: float, high: float | None) -> str:
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"
