"""The command line: one function for each command; heavy imports stand inside them.

Exit codes: 0 all done, 1 something failed, 2 wrong usage or nothing to do, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

import nii
from nii.cli_calibrate import adapt, calibrate, guarantee
from nii.cli_data import data
from nii.cli_desk import evidence, feedback
from nii.cli_export import export
from nii.cli_review import review
from nii.cli_score import score
from nii.cli_serve import serve
from nii.cli_site import site as site_commands
from nii.cli_station import bundle, doctor, verify, watch
from nii.cli_station import bundle_of as _bundle
from nii.cli_station import database_of as _database
from nii.cli_station import rules_of as _rules
from nii.cli_store import audit, ingest
from nii.errors import ConfigError, MissingExtraError, NiiError, ScanFormatError
from nii.terminal import complain as _complain
from nii.terminal import progress as _progress
from nii.terminal import say as _say
from nii.terminal import stop_signals as _stop_signals

if TYPE_CHECKING:
    from nii.infer.batch import Inspected
    from nii.simulate.source import SimulateConfig
    from nii.train.loop import Progress

_EXTRAS = {
    "albumentations": ("train", "training"),
    "jinja2": ("review", "the web app"),
    "multipart": ("review", "the web app"),
    "onnx": ("train", "export"),
    "onnxscript": ("train", "export"),
    "fsspec": ("score", "nii score"),
    "pyarrow": ("score", "Parquet"),
    "ray": ("cluster", "the engine ray"),
    "starlette": ("serve", "a server"),
    "torch": ("train", "training"),
    "torchvision": ("train", "training"),
    "uvicorn": ("serve", "a server"),
}
"""Package that may be absent: its extra, and what needs it."""


def inspect(  # noqa: PLR0913 - each is a flag
    *scans: Path,
    out: Path,
    bundle: Path | None = None,
    forms: Annotated[str, Parameter("--format")] = "",
    require_gpu: bool = False,
    provider: tuple[str, ...] | None = None,
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    trust: Path | None = None,
    allow_unsigned: bool = False,
    sign: Path | None = None,
    declared_empty: bool = False,
    site: Path | None = None,
    guarantee_state: Path | None = None,
    quiet: bool = False,
) -> int:
    """Look for threats in scans and write a report.

    For each scan the folder gets NAME.inspection.json, NAME.overlay.png and NAME.thumbnail.png, and
    for all together index.html, which opens without a network. A file that cannot be read is listed
    there, and the others are done.

    Example: nii inspect data/samples --out report

    Args:
        scans: scan files, or folders of them.
        out: folder for the results.
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        forms: further files, joined by commas: csv (regions.csv), coco (regions.coco.json) and
            parquet (scans.parquet) for all scans, dicos-tdr (NAME.tdr.dcs, a threat detection
            report) for each.
        require_gpu: refuse to run on the CPU.
        provider: ONNX Runtime execution provider to use; may be repeated, in order of preference.
        threads: threads on the CPU; all cores where not given.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
        sign: private key; each NAME.inspection.json gets a signature beside it.
        declared_empty: all containers were declared empty; each that is not becomes a warning.
        site: file of nii site learn; containers are ranked by how unusual they are at that site.
        guarantee_state: folder of the drift test (guarantee.json), to go on from earlier calls;
            that of the results where not given.
        quiet: print errors only.
    """
    from nii import formats
    from nii.infer.batch import inspect_files
    from nii.infer.context import Context
    from nii.infer.detect import Detector
    from nii.infer.promise import Watched
    from nii.infer.report import entry_of, write_report
    from nii.infer.results import INSPECTION_SUFFIX, Failure
    from nii.infer.runtime import ProviderSettings
    from nii.infer.site import read_site
    from nii.infer.tables import REPORT, wanted_of, write_tables
    from nii.signing import read_key, sign_findings

    try:
        groups = formats.find(scans)
    except ScanFormatError as error:
        return _complain(str(error), 2)
    if not groups:
        return _complain("Nothing to do: there is no scan in what was named.", 2)
    wanted = wanted_of(forms)
    settings = ProviderSettings(provider, require_gpu, threads)
    key = read_key(sign) if sign else None
    detector = Detector.open(_bundle(bundle), settings, _rules(trust, allow_unsigned))
    context = Context(declared_empty, read_site(site) if site else None)
    watched = Watched(detector, guarantee_state or out)
    results = inspect_files(groups, watched, out, tdr=REPORT in wanted, context=context)
    entries, failures, interrupted = [], [], False
    with _progress("inspecting", quiet=quiet) as advance:
        try:
            for done, result in enumerate(results, 1):
                if isinstance(result, Failure):
                    failures.append(result)
                    _complain(f"not inspected: {result.error}", 1)
                else:
                    entries.append(entry_of(result))
                    if key is not None:
                        findings = out / f"{result.stem}{INSPECTION_SUFFIX}"
                        sign_findings(findings, key, datetime.now(UTC))
                    _say(_line(result), quiet=quiet)
                del result  # it holds the pixels
                advance(done, len(groups), "")
        except KeyboardInterrupt:
            interrupted = True
    page = write_report(out, entries, failures, datetime.now(UTC))
    done_ones = [(entry.stem, entry.inspection) for entry in entries]
    write_tables(out, wanted, done_ones, failures)
    facts = detector.provider
    _say(
        f"ran on {', '.join(facts.used)}{f'; {facts.reason}' if facts.reason else ''}", quiet=quiet
    )
    _say(f"{len(entries)} inspected, {len(failures)} failed; report: {page}", quiet=quiet)
    return 130 if interrupted else int(bool(failures))


def evaluate(
    bundle: Path,
    data: Path,
    *,
    out: Path,
    against: Path | None = None,
    images: Path | None = None,
    workers: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
) -> int:
    """Measure a model on a labelled set, or two models on the same one.

    Writes metrics.json, detections.json and index.html; with a second model also its report in
    OUT/against, comparison.json and comparison.html. Interrupted, it goes on when run again.

    Example: nii evaluate models/compact data/labelled --out evaluation

    Args:
        bundle: folder of the model.
        data: COCO file, or a folder that holds one.
        out: folder for the results.
        against: folder of a second model, to be compared scan by scan.
        images: folder of the scans; that of the COCO file where not given.
        workers: processes that look at scans, each with its part of the cores.
    """
    from nii.evaluate import report

    if against is not None:
        with _progress("comparing") as advance:
            found = report.evaluate_pair(
                bundle,
                against,
                data,
                out,
                images=images,
                workers=workers,
                on_progress=lambda done, total: advance(done, total, ""),
            )
        _say(f"{found.scans} scans; comparison: {out / report.COMPARISON_PAGE_FILE}")
        return int(bool(found.failures))
    with _progress("evaluating") as advance:
        result = report.evaluate(
            bundle,
            data,
            out,
            images=images,
            workers=workers,
            on_progress=lambda done, total: advance(done, total, ""),
        )
    for text in result.warnings:
        _complain(text, 1)
    _say(f"report: {out / report.PAGE_FILE}")
    return int(bool(result.failures))


def train(
    config: Path,
    *,
    resume: bool = False,
    out: Path | None = None,
    without: tuple[str, ...] = (),
    dry_run: bool = False,
) -> int:
    """Train a model.

    Ctrl-C stops after the step in hand; --resume goes on from there. Several processes or GPUs:
    torchrun --nproc-per-node 2 -m nii.cli train CONFIG.

    Example: nii train configs/smoke.toml

    Args:
        config: TOML file; see configs/.
        resume: go on from the last checkpoint.
        out: folder of the run; the one the file names, or runs/NAME.
        without: kind of threat that is neither shown nor taught; may be repeated. The run is then
            runs/NAME_without_KIND, or OUT.
        dry_run: pass one batch through everything, up to the export, and keep nothing.
    """
    from dataclasses import replace

    from nii.train.config import read_config
    from nii.train.leave_out import without as leave_out

    settings = leave_out(read_config(config), without)
    if out is not None:
        settings = replace(settings, out=out)
    if dry_run:
        from nii.train.rehearsal import rehearse

        rehearse(settings, _say)
        _say("All parts work; nothing was kept.")
        return 0
    from nii.train.loop import train as train_model  # torch takes seconds: a bad file shows first

    first = os.environ.get("RANK", "0") == "0"  # of several processes one reports
    with _progress("training", quiet=not first) as advance:

        def show(state: Progress) -> None:
            loss = state.loss.get("total", float("nan"))
            left = f"{state.left_s / 60:.0f} min left"
            text = f"epoch {state.epoch}, step {state.step}, loss {loss:.3f}, {left}"
            advance(round(1000 * state.share), 1000, text)

        result = train_model(settings, resume=resume, on_progress=show)
    text = f"{result.status} after {result.step} steps on {result.compute}: {result.folder}"
    _say(text, quiet=not first)
    return 130 if result.status == "interrupted" else 0


def simulate(  # noqa: PLR0913 - each is a flag
    *,
    out: Path,
    count: Annotated[int, Parameter(validator=Number(gte=1))] = 10,
    preset: str = "linac_9_6",
    seed: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    threats: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.6,
    workers: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    suffix: str = ".tiff",
) -> int:
    """Make labelled scans by simulation.

    Run again with the same settings, it makes what is still missing, or more.

    Example: nii simulate --out data/made --count 20 --preset mixed --seed 1

    Args:
        out: folder for the scans and their labels (annotations.json, COCO).
        count: number of scans.
        preset: scanner, as linac_9_6, linac_6_4, linac_6, portal_9_6, rail_9_6, betatron_7_5;
            display: 8-bit pictures of unknown grey curve; mixed: linacs and display.
        seed: another seed gives other scans.
        threats: share of the scans that hold threats, 0 to 1.
        workers: processes; 0 works in this one.
        suffix: .tiff, .png or .dcs.
    """
    from nii.simulate.dataset import DatasetConfig, write_dataset

    config = DatasetConfig(_simulation(preset, threats), seed=seed, count=count, suffix=suffix)
    with _progress("simulating") as advance:
        path = write_dataset(
            out,
            config,
            workers=workers,
            on_progress=lambda done, total: advance(done, total, ""),
        )
    _say(f"{count} scans: {path}")
    return 0


def quality(*subjects: str, out: Path, limits: Path | None = None) -> int:
    """Measure the image quality of simulated scanners or of scans, and judge it against limits.

    Writes quality.html and quality.json. The tests are in the style of ANSI N42.46 and IEC 62523
    and show no conformity. Code 1 says that something did not pass.

    Example: nii quality linac_9_6 data/samples --out quality

    Args:
        subjects: scanner presets, scan files, or folders of scans.
        out: folder for the results.
        limits: TOML file with what passes; the one that comes with nii where not given.
    """
    from nii.simulate.quality_limits import read_limits
    from nii.simulate.quality_report import PAGE_FILE, write_report
    from nii.simulate.quality_run import find_subjects, measure

    allowed = read_limits(limits)
    try:
        named = find_subjects(subjects)
    except ScanFormatError as error:
        return _complain(str(error), 2)
    if not named:
        return _complain("Nothing to do: there is no preset and no scan in what was named.", 2)
    with _progress("measuring") as advance:
        measured = list(measure(named, advance))
    for subject in measured:
        if subject.failure:
            _complain(f"not measured: {subject.failure}", 1)
    good = write_report(out, measured, allowed, datetime.now(UTC))
    _say(f"{'all passed' if good else 'not all passed'}; report: {out / PAGE_FILE}")
    return int(not good)


def worker(  # noqa: PLR0913 - each is a flag
    inbox: Path,
    *,
    store: Path,
    database: str | None = None,
    quarantine: Path | None = None,
    outbox: Path | None = None,
    bundle: Path | None = None,
    renamed: bool = False,
    once: bool = False,
    require_gpu: bool = False,
    trust: Path | None = None,
    allow_unsigned: bool = False,
) -> int:
    """Inspect scans as they arrive in a folder, and store the results.

    Example: nii worker /lane1/inbox --store /srv/nii --outbox /lane1/outbox

    Args:
        inbox: folder that scans arrive in; nothing in it is changed.
        store: folder of the store.
        database: address of a PostgreSQL database; that in NII_DATABASE where not given, else
            SQLite in the folder of the store.
        quarantine: folder for copies of scans that cannot be inspected; STORE/quarantine.
        outbox: folder for packages; none are written where not given.
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        renamed: scans get their final name when they are finished; otherwise a scan counts as
            finished when it has not changed between two looks.
        once: deal with what is there, then stop.
        require_gpu: refuse to run on the CPU.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
    """
    from nii.infer.detect import Detector
    from nii.infer.promise import Watched
    from nii.infer.runtime import ProviderSettings
    from nii.worker import WorkerSettings, run, run_once

    settings = WorkerSettings(
        inbox=inbox,
        store=store,
        quarantine=quarantine or store / "quarantine",
        outbox=outbox,
        database_url=_database(database),
        finished_by="rename" if renamed else "two looks",
    )
    providers = ProviderSettings(require_gpu=require_gpu)
    opened = Detector.open(_bundle(bundle), providers, _rules(trust, allow_unsigned))
    detector = Watched(opened, store)
    if once:
        summary = run_once(settings, detector)
    else:
        with _stop_signals() as stop:
            summary = run(settings, detector, stop)
    _say(", ".join(f"{getattr(summary, name)} {name}" for name in summary.__slots__))
    return int(bool(summary.quarantined))


COMMANDS = (
    inspect,
    score,
    serve,
    watch,
    worker,
    ingest,
    review,
    audit,
    simulate,
    quality,
    train,
    export,
    evaluate,
    calibrate,
    adapt,
    guarantee,
    bundle,
    verify,
    doctor,
    data,
    site_commands,
    evidence,
    feedback,
)


def name_of(command: object) -> str:
    """Return the word that a command is called by."""
    if isinstance(command, cyclopts.App):
        return str(command.name[0])
    return str(getattr(command, "__name__", "")).replace("_", "-")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="nii: %(levelname)s: %(message)s")
    app = cyclopts.App(
        name="nii",
        version=nii.__version__,
        help=nii.__doc__ or "",
        default_parameter=Parameter(negative=()),
        suppress_keyboard_interrupt=False,
    )
    for command in COMMANDS:
        app.command(command)
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(
            words or ["--help"],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except cyclopts.CycloptsError as error:
        return _complain(f"{error}\nSee nii --help, or nii COMMAND --help.", 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        return _complain(str(MissingExtraError.of(*extra)), 1)
    except NiiError as error:
        return _complain(str(error), 2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        return _complain(f"{error}. Check the path, free space and access rights.", 1)
    return int(code or 0) if words else 2


def _simulation(preset: str, threats: float) -> SimulateConfig:
    from nii.simulate.scanner import preset as known
    from nii.simulate.scene import SceneConfig
    from nii.simulate.source import SimulateConfig

    scene = SceneConfig(clean_share=1.0 - threats)
    if preset == "display":
        return SimulateConfig(scene=scene, display_share=1.0)
    if preset == "mixed":
        scanners = ("linac_9_6", "linac_6_4", "linac_6")
        return SimulateConfig(scene=scene, scanners=scanners, display_share=0.25)
    known(preset)  # an unknown name ends here, before anything is written
    return SimulateConfig(scene=scene, scanners=(preset,))


def _line(result: Inspected) -> str:
    """Return one line about a scan."""
    inspection = result.inspection
    found = "; ".join(
        f"{region.class_name} {region.score:.2f} ({region.position})"
        for region in inspection.regions[:3]
    )
    more = len(inspection.regions) - 3
    tail = f"; and {more} more" if more > 0 else ""
    parts = ", ".join(part.label for part in inspection.containers) or "no container"
    return f"{inspection.level:6}  {result.files[0]}  {parts}: {found or 'nothing found'}{tail}"


if __name__ == "__main__":
    sys.exit(main())
