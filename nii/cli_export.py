"""The command export: checkpoint → bundle, variants in fewer bits, and a repository for Triton."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nii.errors import ConfigError
from nii.terminal import complain, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nii.bundle import Bundle
    from nii.train.quantize import Labelled

_MOST_SCANS = 60
"""Calibration scans that are looked at; more take longer and say more."""


def export(  # noqa: PLR0913 - each is a flag
    run: Path,
    bundle: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    quantize: str = "",
    calibration: Path | None = None,
    triton: Path | None = None,
) -> int:
    """Turn a training run into a model bundle, after proving that both compute the same.

    Variants in fewer bits are compared with the full model on labelled scans and left out, with
    code 1, where they lose more than half a point of P_d or find other regions.

    Example: nii export runs/smoke models/smoke --quantize int8,fp16

    Args:
        run: folder of the run, a checkpoint, or a bundle that is to be written again.
        bundle: folder to write; a bundle that is there is replaced.
        name: of the model; the name of the folder where not given.
        version: of the model; that of nii and the step where not given.
        quantize: variants to add, joined by commas: int8, fp16.
        calibration: folder of labelled scans; the validation scans of the run where not given.
        triton: folder for a Triton model repository of this bundle.
    """
    from nii.bundle import CARD_FILE, read_bundle

    wanted = tuple(word.strip() for word in quantize.split(",") if word.strip())
    is_bundle = (run / CARD_FILE).is_file()
    if is_bundle and (name or version or not (wanted or triton)):
        raise ConfigError(
            "export",
            found="a bundle, which has its name and version",
            expected="a run, or a bundle with --quantize or --triton",
            remedy="Leave out --name and --version, or name a run.",
        )
    if is_bundle:
        written = read_bundle(run)
    else:
        from nii.train.export import export as export_model

        written = export_model(run, bundle, name=name, version=version)
    refused: Sequence[object] = ()
    if wanted:
        from nii.train.quantize import quantize as lighten

        scans = _calibration(run, calibration, is_bundle=is_bundle)
        written, refused = lighten(written, bundle, wanted, scans)
    if triton is not None:
        from nii.infer.triton import write_repository

        say(f"Triton: {write_repository(written, triton)}")
    say(_told(written))
    for refusal in refused:
        complain(str(refusal), 1)
    return int(bool(refused))


def _calibration(run: Path, named: Path | None, *, is_bundle: bool) -> list[Labelled]:
    from itertools import islice

    if named is not None:
        from nii import formats
        from nii.evaluate.truth_set import read_truth

        images = read_truth(named).images[:_MOST_SCANS]
        return [(formats.read(image.path), image.truth) for image in images]
    if is_bundle:
        raise ConfigError(
            "--calibration",
            found="nothing",
            expected="a folder of labelled scans: a bundle does not know any",
            remedy="Name one, for example made by nii simulate.",
        )
    from nii.train.dataset import validation_scans
    from nii.train.export import trained

    return list(islice(validation_scans(trained(run)[1].config.validation), _MOST_SCANS))


def _told(bundle: Bundle) -> str:
    lines = [f"{bundle.card.name} {bundle.card.version}: {bundle.folder}"]
    lines += [
        f"{name}: P_d {one.p_d:.4f} (full model {one.p_d_full:.4f}), {one.boxes_agree:.4f} of the "
        f"regions agree; {one.threats} threats in {one.scans} scans"
        for name, one in bundle.card.variants.items()
    ]
    return "\n".join(lines)
