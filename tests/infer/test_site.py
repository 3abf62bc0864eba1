"""The score of a site: unusual containers rank high, and planted scans change little."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32

from nii.errors import BundleError, ConfigError
from nii.infer.site import (
    INSIDE,
    KEPT,
    LEAST,
    SiteModel,
    check_belongs,
    kept,
    read_site,
    unusual,
    write_site,
)
from nii.infer.site_features import ROWS, container_cells
from nii.infer.site_learn import Seen, learn_site
from nii.scan import Scan

BOX = (20.0, 20.0, 620.0, 220.0)


def scan(seed: int, *, thing: bool = False, scanner: str = "lane 1") -> Scan:
    """Return a container of corrugated walls with boxes at random places, and perhaps a thing."""
    rng = np.random.default_rng(seed)
    attenuation = np.zeros((240, 640), np.float32)
    attenuation[20:220, 20:620] = 0.15 + 0.02 * np.sin(np.arange(600) / 4)
    attenuation[205:220, 20:620] += 0.5
    left = int(rng.integers(40, 300))
    attenuation[120:205, left : left + 200] += 0.3
    if thing:
        attenuation[50:75, 450:500] += 0.6
    noise = rng.normal(0, 0.003, (2, 240, 640)).astype(np.float32)
    both = np.stack([attenuation, 1.2 * attenuation])
    return Scan(np.exp(-both) + np.abs(noise), scanner=scanner, pixel_pitch_mm=(12.0, 12.0))


def learnt(things: int = 0) -> SiteModel:
    """Return the model of 40 scans, some of which hold the thing."""
    seen = (Seen(scan(k, thing=k < things), (BOX,)) for k in range(40))
    return learn_site(seen, lambda: datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture(scope="module")
def model() -> SiteModel:
    """Return a model of benign scans."""
    return learnt()


def cells(seed: int, *, thing: bool = False) -> Float32[np.ndarray, "row column feature"]:
    """Return the cells of a container."""
    found = container_cells(scan(seed, thing=thing), BOX)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_thing_that_was_never_seen_stands_out_where_it_is(model: SiteModel) -> None:
    """With it a container is most unusual, far above itself without it, and hottest at its place.

    One of ten usual ones may be as unusual: here the one whose boxes lie where none was learnt.
    """
    usual = [unusual(cells(seed), model).excess for seed in range(100, 110)]
    found = unusual(cells(100, thing=True), model)
    assert found.excess > usual[0] + 3
    assert found.excess > sorted(usual)[-2] + 3
    assert found.share == 1.0
    x, y = found.hottest_xy
    assert 0.68 < x < 0.84
    assert 0.1 < y < 0.32


@pytest.mark.slow
def test_a_few_planted_scans_do_not_hide_the_thing() -> None:
    """With 5 % of the scans not benign after all, the thing still ranks above most."""
    poisoned = learnt(things=2)
    usual = [unusual(cells(seed), poisoned).excess for seed in range(100, 110)]
    assert unusual(cells(100, thing=True), poisoned).excess > np.median(usual) + 1


@pytest.mark.slow
def test_the_score_can_fail_to_see_what_is_usual() -> None:
    """Where every second scan holds the thing, it is no longer unusual."""
    common = learnt(things=20)
    assert unusual(cells(100, thing=True), common).share < 1.0


def test_a_model_survives_writing_and_reading(model: SiteModel, tmp_path: Path) -> None:
    """The file gives the same answer and carries its digest; a damaged one is refused."""
    path = tmp_path / "lane.site"
    digest = write_site(model, path)
    again = read_site(path)
    assert again.sha256 == digest
    assert again.facts == model.facts
    assert unusual(cells(7), again).excess == unusual(cells(7), model).excess
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match="site model"):
        read_site(path)


def test_scans_of_another_scanner_or_kind_are_refused(model: SiteModel) -> None:
    """Neither judged nor learnt from."""
    check_belongs(scan(1), model.facts)
    other = scan(1, scanner="lane 2")
    with pytest.raises(ConfigError, match="lane 2"):
        check_belongs(other, model.facts)
    single = replace(scan(1), transmission=scan(1).transmission[:1])
    with pytest.raises(ConfigError, match="1 energies"):
        check_belongs(single, model.facts)


def test_both_ends_and_columns_between_are_kept() -> None:
    """The kept columns begin and end where the container does."""
    columns = np.arange(100, dtype=np.float32)
    wide = np.broadcast_to(columns[None, :, None], (ROWS, 100, 2))
    part = kept(np.ascontiguousarray(wide))[0, :, 0]
    assert len(part) == KEPT
    assert len(set(part.tolist())) == KEPT
    assert (part[0], part[-1]) == (0, 99)
    assert INSIDE > LEAST
