"""Claims about pictures of scans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from nii import formats
from nii.errors import NiiError
from nii.review import pictures
from nii.review.pictures import Pictures
from nii.scan import Grey, Scan
from nii.store import scans
from nii.store.database import Store
from nii.store.inspections import Filed


def test_thicker_is_darker() -> None:
    """Grey falls strictly as attenuation rises, from white air to black."""
    attenuation = np.linspace(0, 5, 400, dtype=np.float32)
    image = np.exp(-np.tile(attenuation, (40, 1)))
    grey = pictures.grey_picture(Scan(image[None]))[0].astype(int)
    assert grey[0] == 255
    assert grey[-1] == 0
    assert (np.diff(grey[::4]) <= 0).all()
    assert len(set(grey.tolist())) > 200


def test_noise_in_air_stays_white(rng: np.random.Generator) -> None:
    """An empty scan is white, not noise blown up to full contrast."""
    image = rng.normal(1, 0.005, (1, 50, 50)).astype(np.float32)
    assert pictures.grey_picture(Scan(image)).min() > 225


def test_no_light_is_black() -> None:
    """A transmission of zero is black and not a number out of range."""
    assert pictures.grey_picture(Scan(np.zeros((1, 8, 8), np.float32))).max() == 0


def test_display_pictures_are_shown_as_they_are(rng: np.random.Generator) -> None:
    """A picture made for the eye keeps its greys."""
    greys = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    scan = Scan(greys[None].astype(np.float32) / np.float32(255), grey=Grey.DISPLAY)
    assert (pictures.grey_picture(scan) == greys).all()


def test_wide_scans_are_shrunk_in_proportion() -> None:
    """A picture is at most so wide, and keeps its shape; a narrow one is not touched."""
    grey = np.zeros((100, 1000), np.uint8)
    assert pictures.shrink(grey, 480).shape == (48, 480)
    assert pictures.shrink(grey, 1000) is grey
    assert pictures.shrink(np.zeros((1, 10_000), np.uint8), 480).shape == (1, 480)


@pytest.mark.slow
def test_pictures_are_drawn_once(
    store: Store,
    tmp_path: Path,
    file_scan: Callable[..., Filed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first picture reads the scan, the later ones do not."""
    sha256 = file_scan().scan_sha256
    gallery = Pictures(store, tmp_path / "pictures")
    first = gallery.get(sha256, "picture")
    assert first is not None
    image = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape == (60, 240)
    monkeypatch.delattr(formats, "read")
    assert gallery.get(sha256, "picture") == first
    assert gallery.get(sha256, "thumbnail")
    assert gallery.get("0" * 64, "picture") is None
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == [f"{sha256}-picture.png", f"{sha256}-thumbnail.png"]


@pytest.mark.slow
def test_a_lost_original_is_reported(
    store: Store, tmp_path: Path, file_scan: Callable[..., Filed]
) -> None:
    """A scan whose file is gone gives an error, not an empty picture."""
    kept = scans.get(store, file_scan().scan_sha256)
    assert kept is not None
    scans.path_of(store, kept.files[0].sha256).unlink()
    with pytest.raises(NiiError, match="backup"):
        Pictures(store, tmp_path / "pictures").get(kept.sha256, "picture")
