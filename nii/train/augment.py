"""Variation of training images: how a scan is shown, and how its pictures are turned and stretched.

Whole scans change before preprocessing, so that what is learnt holds for dual-energy, single-energy
and display images alike. Pictures (crops and overviews, float32 with any number of channels) are
turned and stretched by albumentations. Air is 0 in every channel, so what is moved in from outside
is air.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int64

from nii.scan import Grey, Scan
from nii.simulate.scanner import render_display

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for its version
import albumentations as A

if TYPE_CHECKING:
    from nii.train.config import DataConfig

_LEAST_VISIBLE = 0.4
"""Share of a box that must stay in the picture for it to count as shown: assumption."""
_GAIN_SPREAD = 0.35
"""Standard deviation of the logarithm of the factor on attenuation: for a display image it is the
unknown gamma, for a transmission the unknown load of the same shape. Assumption."""
_BLUR_PX = (0.3, 1.0)
_BLUR_SHARE = 0.25
"""Real exports have less fine detail from row to row than simulated ones (docs/results.md), as if
smoothed: range of sigma, and share of the crops. Assumption."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold what a network sees, and the boxes in it.

    Attributes:
        channels: see :mod:`nii.preprocess`.
        boxes_xyxy: pixels of this picture.
        class_ids: rows of the taxonomy.
        anomaly: what the anomaly map should say, see :mod:`nii.train.synthetic_anomaly`; None
            where nothing is known, as in an overview.
    """

    channels: Float32[np.ndarray, "channel height width"]
    boxes_xyxy: Float32[np.ndarray, "n 4"]
    class_ids: Int64[np.ndarray, " n"]
    anomaly: Float32[np.ndarray, "height width"] | None = None


def vary_scan(scan: Scan, config: DataConfig, rng: np.random.Generator) -> Scan:
    """Return the scan as another scanner would show it: display image, one energy, or as it is."""
    choice = rng.random()
    if scan.grey is Grey.DISPLAY:
        return scan
    if choice < config.display_share:
        return render_display(scan, rng)
    if scan.energy_count > 1 and choice < config.display_share + config.single_energy_share:
        kept = int(rng.integers(scan.energy_count))
        energies = scan.endpoint_mev
        return replace(
            scan,
            transmission=np.ascontiguousarray(scan.transmission[kept : kept + 1]),
            endpoint_mev=(energies[kept],) if energies else None,
        )
    return scan


def vary_crop(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return a crop of the detail, perhaps mirrored, with another thickness of everything."""
    return _apply(_crop_transform(), picture, rng)


def vary_overview(picture: Picture, rng: np.random.Generator) -> Picture:
    """Return an overview, perhaps mirrored, stretched, moved, tilted and seen through a gamma."""
    varied = _apply(_overview_transform(), picture, rng)
    channels = varied.channels.copy()
    channels[:2] *= np.float32(np.exp(rng.normal(0, _GAIN_SPREAD)))
    return replace(varied, channels=channels)


def _crop_transform() -> A.Compose:
    soft = A.GaussianBlur(blur_limit=(3, 5), sigma_limit=_BLUR_PX, p=_BLUR_SHARE)
    return _compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.15), soft])


def _overview_transform() -> A.Compose:
    stretch = A.Affine(
        scale={"x": (0.5, 1.25), "y": (0.8, 1.2)},
        translate_percent={"x": (-0.12, 0.12), "y": (-0.12, 0.12)},
        rotate=(-1.5, 1.5),
        shear={"x": (-1.0, 1.0), "y": (-1.5, 1.5)},
        p=0.85,
    )
    return _compose([A.HorizontalFlip(p=0.5), stretch])


def _compose(transforms: list[A.BasicTransform]) -> A.Compose:
    boxes = A.BboxParams(
        "pascal_voc", label_fields=["class_ids"], min_visibility=_LEAST_VISIBLE, clip=True
    )
    return A.Compose(transforms, bbox_params=boxes)


def _apply(transform: A.Compose, picture: Picture, rng: np.random.Generator) -> Picture:
    transform.set_random_seed(int(rng.integers(2**31)))
    known = {} if picture.anomaly is None else {"mask": picture.anomaly}
    result = transform(
        **known,
        image=np.ascontiguousarray(picture.channels.transpose(1, 2, 0)),
        bboxes=picture.boxes_xyxy,
        class_ids=picture.class_ids,
    )
    boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Picture(
        np.ascontiguousarray(result["image"].transpose(2, 0, 1), dtype=np.float32),
        boxes[whole],
        np.asarray(result["class_ids"], np.int64)[whole],
        np.ascontiguousarray(result["mask"], np.float32) if known else None,
    )
