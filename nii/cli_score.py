"""Commands for many scans at once: score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from nii.cli_station import bundle_of, rules_of
from nii.errors import ConfigError
from nii.terminal import progress, say, stop_signals


def score(  # noqa: PLR0913 - each is a flag
    archive: str,
    *,
    out: str,
    bundle: Path | None = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    engine: Literal["local", "ray"] = "local",
    shard_scans: Annotated[int, Parameter(validator=Number(gte=1))] = 64,
    storage: tuple[str, ...] = (),
    require_gpu: bool = False,
    trust: Path | None = None,
    allow_unsigned: bool = False,
    quiet: bool = False,
) -> int:
    """Score thousands to millions of scans into Parquet: one row a scan, resumable at any moment.

    Run again, it goes on where it ended, and adds what is new in the archive. Read the table with
    pyarrow.parquet.read_table("OUT/scans"). Ctrl-C and SIGTERM end after the shards in hand.

    Example: nii score s3://scans/2026 --out scores --workers 8

    Args:
        archive: folder of scans, or URL that fsspec knows, such as s3://bucket/folder.
        out: folder or URL for the table.
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        workers: processes of one thread each; one for each core where not given.
        engine: local, or ray for a cluster (the address in RAY_ADDRESS); needs the extra [cluster].
        shard_scans: scans of one file of the table.
        storage: NAME=VALUE, an option of the storage, such as endpoint_url=http://host:9000; may
            be repeated.
        require_gpu: refuse to run on the CPU.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
        quiet: report troubles only.
    """
    from nii.bundle import read_bundle
    from nii.infer.runtime import ProviderSettings
    from nii.score.archive import Place
    from nii.score.run import ScoreSettings, cores, run
    from nii.score.worker import Job, Model

    options = _options(storage)
    places = [Place(text, options if "://" in text else ()) for text in (archive, out)]
    settings = ScoreSettings(places[0], places[1], shard_scans, workers, engine)
    folder = bundle_of(bundle).absolute()
    threads = max(1, cores() // workers) if workers and engine == "local" else 1
    # The full model on every machine: the winner of a race could differ from worker to worker.
    provider = ProviderSettings(require_gpu=require_gpu, threads=threads, precision="fp32")
    job = Job(places[0], places[1], Model(folder, provider, rules_of(trust, allow_unsigned)))
    with stop_signals() as stop, progress("scoring", quiet=quiet) as advance:
        summary = run(
            settings,
            job,
            read_bundle(folder).sha256,
            stop,
            lambda done, total: advance(done, total, ""),
        )
    say(f"{summary}: {out}", quiet=quiet)
    if summary.scans < summary.total:
        return 130
    return int(bool(summary.failed))


def _options(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [word.partition("=") for word in words]
    for name, sign, _ in pairs:
        if not (name and sign):
            raise ConfigError(
                "--storage",
                found=repr(name),
                expected="NAME=VALUE",
                remedy="See the documentation of fsspec for the options of a storage.",
            )
    return tuple((name, value) for name, _, value in pairs)
