"""Commands about a site: calibrate a model on its own scans, and what the guarantee stands at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from nii.errors import ConfigError, ScanFormatError
from nii.terminal import complain, progress, say

_Share = Annotated[float, Parameter(validator=Number(gt=0, lt=1))]
_Count = Annotated[int, Parameter(validator=Number(gte=1))]


def calibrate(  # noqa: PLR0913 - each is a flag
    bundle: Path,
    *,
    benign: tuple[Path, ...],
    out: Path,
    target: _Share = 0.8,
    up_to: float = 20.0,
    threats_per_scan: _Count = 4,
    look_share: _Share = 0.1,
    search_share: _Share = 0.01,
    scanner: str | None = None,
    work: Path | None = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    allow_unsigned: bool = False,
    trust: Path | None = None,
    dry_run: bool = False,
) -> int:
    """Calibrate a model for a site on its own benign scans, and say what can be promised.

    Threats are projected into the scans; thresholds follow from what the model makes of them. The
    new bundle has the same network and another card. It is not signed: nii bundle sign does it.
    Interrupted, it goes on when run again.

    Example: nii calibrate models/compact --benign local_scans --out models/compact_here

    Args:
        bundle: folder of the model.
        benign: scans without threats, or folders of them; may be repeated.
        out: folder of the new bundle.
        target: share of the threats that shall be flagged at least, 0 to 1.
        up_to: areal density behind a threat up to which that is promised: 5, 20, 50 or 100 g/cm2.
        threats_per_scan: threats projected into each scan.
        look_share: share of benign containers looked at where nothing can be promised.
        search_share: largest share of benign containers sent to search.
        scanner: name of the machine; that of the scans where not given.
        work: folder for answers and the page; OUT.calibration where not given.
        seed: another seed gives other threats.
        allow_unsigned: run a bundle that nobody known has signed.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        dry_run: try one scan, say how long all take and what so many can promise; write nothing.
    """
    from nii import formats
    from nii.cli_station import rules_of
    from nii.evaluate.calibration import PAGE_FILE, ask_site, calibrate_bundle, forecast
    from nii.evaluate.guarantee import GuaranteeConfig
    from nii.infer.detect import Detector
    from nii.simulate.projection import ProjectionConfig

    try:
        groups = formats.find(benign)
        wanted = GuaranteeConfig(
            miss=round(1 - target, 9),
            up_to_g_per_cm2=up_to,
            look_share=look_share,
            search_share=search_share,
            seed=seed,
        )
    except (ScanFormatError, ValueError) as error:
        return complain(str(error), 2)
    if not groups:
        return complain("Nothing to do: there is no scan in what was named.", 2)
    place = work or out.with_name(f"{out.name}.calibration")
    if out.resolve() == bundle.resolve():
        return complain(f"{out} is the bundle itself. Name another folder for the new one.", 2)
    detector = Detector.open(bundle, rules=rules_of(trust, allow_unsigned))
    projection = ProjectionConfig(threats_per_scan=threats_per_scan, seed=seed)
    if dry_run:
        say("\n".join(forecast(groups, detector, projection, wanted)))
        return 0
    with progress("calibrating") as advance:
        seen = ask_site(
            groups,
            detector,
            place,
            projection,
            on_progress=lambda done, total: advance(done, total, ""),
        )
    written, done = calibrate_bundle(bundle, seen, out, wanted, scanner, place)
    lines = [
        *(row.text for row in done.guarantee.promises),
        *done.guarantee.costs,
        "Not covered:",
        *(f"  {text}" for text in done.guarantee.not_covered),
        *done.notes,
        f"{written.card.name} {written.card.version}: {written.folder}; page: {place / PAGE_FILE}",
        f"It is not signed: nii bundle sign {written.folder} --key FILE",
    ]
    say("\n".join(lines))
    return int(bool(seen.failures))


def adapt(  # noqa: PLR0913 - each is a flag
    bundle: Path,
    *,
    benign: tuple[Path, ...],
    out: Path,
    cleared: tuple[Path, ...] = (),
    minutes: Annotated[float, Parameter(validator=Number(gt=0))] = 10.0,
    steps: _Count | None = None,
    suspect_share: _Share = 0.05,
    target: _Share = 0.8,
    tolerance: _Share = 0.02,
    work: Path | None = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    allow_unsigned: bool = False,
    trust: Path | None = None,
    dry_run: bool = False,
) -> int:
    """Adapt a model to a site: fine-tune it on threats projected into the site's benign scans.

    Scans in which the model is surest of a threat are held back, and named for a person to look at:
    those that prove benign teach most, so name them with --cleared. A quarter of the others is kept
    apart. The new bundle is written only if it is better there, and loses no more than the
    tolerance on simulated scans. It is calibrated, and not signed.
    Interrupted, it goes on when run again.

    Example: nii adapt models/compact --benign local_scans --out models/compact_here --minutes 10

    Args:
        bundle: folder of the model, with weights.npz.
        benign: scans without threats, or folders of them; may be repeated.
        out: folder of the new bundle.
        cleared: scans that a person looked at and found benign, or folders of them: not held back.
        minutes: longest time of the fine-tuning; all else takes about as long again, and a second
            try, where the first forgets too much elsewhere, some minutes more.
        steps: most steps of the optimiser; as many as the time allows where not given.
        suspect_share: share of the scans, those of the highest scores, held back for a person.
        target: share of the threats that shall be flagged at least, 0 to 1.
        tolerance: largest loss of P_d on simulated scans.
        work: folder for the run, the answers and the page; OUT.adaptation where not given.
        seed: another seed draws other scans and threats.
        allow_unsigned: run a bundle that nobody known has signed.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        dry_run: look at the scans, say what would become of each, and write nothing.
    """
    from nii import formats
    from nii.bundle import read_bundle
    from nii.cli_station import rules_of
    from nii.infer.detect import Detector
    from nii.train import adapt as adapting

    try:
        groups = formats.find(benign)
        looked_at = formats.find(cleared)
    except ScanFormatError as error:
        return complain(str(error), 2)
    if strange := adapting.not_among(looked_at, groups):
        return complain(f"{strange[0][0]} is cleared but not among the benign scans.", 2)
    if out.resolve() == bundle.resolve():
        return complain(f"{out} is the bundle itself. Name another folder for the new one.", 2)
    place = work or out.with_name(f"{out.name}.adaptation")
    config = adapting.AdaptConfig(
        minutes=minutes,
        max_steps=steps,
        suspect_share=suspect_share,
        tolerance=tolerance,
        seed=seed,
    )
    base = Detector.open(bundle, rules=rules_of(trust, allow_unsigned))
    source = read_bundle(bundle)
    adapting.require_weights(source)
    with progress("looking at the scans") as advance:
        scored = adapting.look_at(groups, base, lambda done, total: advance(done, total, ""))
    local = adapting.sort_out(groups, scored, config, looked_at)
    say("\n".join(adapting.sorted_in_words(local)))
    adapting.require_enough(local)
    if dry_run:
        return 0
    with progress("adapting") as advance:
        outcome = adapting.adapt(source, local, place, config, _told(advance))
    say("\n".join(adapting.in_words(outcome)))
    if outcome.refused:
        return complain("The base model stays; nothing was written.", 1)
    _calibrate_adapted(outcome.bundle.folder, local.held, (out, place), target, seed)
    return 0


def _told(advance: Callable[[int, int, str], None]) -> Callable[[str, int, int], None]:
    """Move a bar, and say each part once, since a log has no bar."""
    said: list[str] = []

    def tell(what: str, done: int, total: int) -> None:
        if what not in said:
            said.append(what)
            say(what)
        advance(done, total, what)

    return tell


def _calibrate_adapted(
    bundle: Path,
    held: Sequence[tuple[tuple[Path, ...], tuple[tuple[float, float, float, float], ...]]],
    places: tuple[Path, Path],
    target: float,
    seed: int,
) -> None:
    """Calibrate an adapted bundle on scans that did not teach it; say what comes of it."""
    from nii.evaluate.calibration import ask_site, calibrate_bundle
    from nii.evaluate.guarantee import GuaranteeConfig
    from nii.evaluate.site import Known
    from nii.infer.detect import Detector
    from nii.simulate.projection import ProjectionConfig

    out, work = places
    known = Known({files[0]: boxes for files, boxes in held})
    # Other threats than those that decided whether the adapted model is better.
    projection = ProjectionConfig(seed=seed + 2)
    groups = [files for files, _ in held]
    with progress("calibrating") as advance:
        seen = ask_site(
            groups,
            Detector.open(bundle),
            work / "calibration",
            projection,
            known,
            lambda done, total: advance(done, total, ""),
        )
    wanted = GuaranteeConfig(miss=round(1 - target, 9), seed=seed)
    try:
        written, done = calibrate_bundle(bundle, seen, out, wanted, None, work)
    except ConfigError as error:  # too few containers: adapted all the same
        complain(f"not calibrated: {error}", 1)
        say(f"The adapted bundle stands in {bundle}, with the thresholds of its base.")
        return
    say("\n".join([*(row.text for row in done.guarantee.promises), *done.notes]))
    say(f"{written.card.name} {written.card.version}: {written.folder}; it is not signed")


def guarantee(action: Literal["show", "reset"], place: Path, *, by: str = "", why: str = "") -> int:
    """Show what the guarantee stands at, or reset it knowingly after it was suspended.

    A reset begins the drift test anew. Who did it, and why, stays on record and in every result.

    Example: nii guarantee show results/.watch

    Args:
        action: what to do.
        place: folder of the results, or of the journal, that holds guarantee.json.
        by: who resets it.
        why: reason for the reset.
    """
    from nii.infer import promise
    from nii.inspection import GuaranteeFacts

    if action == "reset":
        standing = promise.reset(place, by, why, lambda: datetime.now(UTC))
    else:
        standing = promise.read_standing(place / promise.PROMISE_FILE)
    result = promise.worth(standing, GuaranteeFacts("holds", ""))
    say(result.reason)
    for row in standing.resets:
        say(f"reset by {row.by} at {row.at}: {row.why} (was: {row.suspended})")
    return int(result.state == "suspended")
