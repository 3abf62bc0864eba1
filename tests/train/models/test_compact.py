"""Tests of :mod:`nii.train.models.compact`."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.train.config import ModelConfig
from nii.train.models.compact import Compact, build

CONFIG = ModelConfig(width=8, depth=1, overview_width=8)


@pytest.fixture(scope="module")
def network() -> Compact:
    """Return a narrow network with fixed weights."""
    torch.manual_seed(0)
    made = build(CONFIG, 3, 2).eval()
    assert isinstance(made, Compact)
    return made


def test_maps_lie_on_the_grids_of_the_contract(network: Compact) -> None:
    """Any height and width that are multiples of 16 give maps at stride 4 and at stride 2."""
    detail, overview = torch.zeros(2, 4, 96, 160), torch.zeros(1, 4, 128, 224)
    with torch.no_grad():
        heat, ltrb, centre, inside, sides = network(detail, overview)
    assert heat.shape == (2, 3, 24, 40)
    assert ltrb.shape == (2, 4, 24, 40)
    assert centre.shape == inside.shape == (1, 2, 64, 112)
    assert sides.shape == (1, 8, 64, 112)
    assert float(ltrb.min()) > 0
    assert float(sides.min()) > 0


def test_what_moves_by_a_coarse_cell_is_found_as_far_away(network: Compact) -> None:
    """Shifting the detail by 16 pixels shifts the maps by 4 cells: no place is special."""
    torch.manual_seed(1)
    scene = torch.zeros(1, 4, 256, 256)
    scene[..., 112:144, 96:128] = torch.rand(1, 4, 32, 32)
    moved = torch.roll(scene, 16, dims=3)
    tiny = torch.zeros(1, 4, 128, 32)
    with torch.no_grad():
        here, there = network(scene, tiny)[0], network(moved, tiny)[0]
    torch.testing.assert_close(here[..., 16:48, 16:40], there[..., 16:48, 20:44])


def test_the_two_branches_do_not_see_each_other(network: Compact) -> None:
    """Strips of the detail can be run with any overview: their maps stay the same."""
    torch.manual_seed(2)
    detail = torch.rand(1, 4, 64, 64)
    with torch.no_grad():
        first = network(detail, torch.zeros(1, 4, 128, 32))[:2]
        second = network(detail, torch.rand(1, 4, 128, 64))[:2]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_the_shipped_size_stays_small() -> None:
    """The default network has fewer than three million weights."""
    made = build(ModelConfig(), 4, 2)
    assert sum(weight.numel() for weight in made.parameters()) < 3_000_000
