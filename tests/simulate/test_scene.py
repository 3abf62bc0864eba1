"""Scene: boxes fit what they mark, threats are whole, behind is what lies behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.simulate.layout import LoadShares
from nii.simulate.scene import Scene, SceneConfig, build_scene

SMALL = SceneConfig(
    height_px=(220, 220), pitch_mm=(10.0, 26.0), clean_share=0.0, threats=(1, 4), parallel_share=0.3
)


def scenes(config: SceneConfig, count: int) -> list[Scene]:
    """Return the first scenes of a configuration."""
    return [build_scene(np.random.default_rng([5, k]), config) for k in range(count)]


def test_threat_boxes_fit_their_masks() -> None:
    """What a threat adds to a scene lies in its box and touches all four sides of it."""
    checked = 0
    plain = replace(SMALL, loads=LoadShares(empty=0.7, on_ground=1.0))
    for index in range(6):
        with_one = build_scene(np.random.default_rng(index), replace(plain, threats=(1, 1)))
        without = build_scene(np.random.default_rng(index), replace(plain, threats=(0, 0)))
        marked = [i for i, kind in enumerate(with_one.threat_kinds) if kind]
        if not marked:
            continue
        added = (with_one.areal_density_g_per_cm2 - without.areal_density_g_per_cm2).sum(0)
        mask = added > max(0.1, 0.05 * float(added.max())) + 1e-3
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert with_one.truth.boxes_xyxy[marked[0]] == pytest.approx(tight, abs=1)
        behind = without.areal_density_g_per_cm2.sum(0)[mask].mean()
        assert with_one.behind_g_per_cm2[marked[0]] == pytest.approx(behind, rel=0.1, abs=0.2)
        checked += 1
    assert checked > 2


def test_truth_is_complete_and_inside() -> None:
    """Boxes lie in the picture; containers have a load, threats a kind and what is behind them."""
    container = taxonomy.by_name("container").class_id
    threats = {row.class_id for row in taxonomy.in_group("threat")}
    seen = 0
    for scene in scenes(SMALL, 5):
        height, width = scene.areal_density_g_per_cm2.shape[1:]
        boxes = scene.truth.boxes_xyxy
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()
        for row, class_id in enumerate(scene.truth.class_ids):
            is_threat = int(class_id) in threats
            seen += is_threat
            assert (scene.load_states[row] is not None) == (class_id == container)
            assert (scene.threat_kinds[row] is not None) == is_threat
            assert np.isfinite(scene.behind_g_per_cm2[row]) == is_threat
    assert seen > 3


def test_container_boxes_fit_their_walls() -> None:
    """An empty container in a parallel beam ends where its box ends, within two pixels."""
    config = replace(
        SMALL,
        parallel_share=1.0,
        sag_share=0.0,
        clean_share=1.0,
        loads=LoadShares(empty=1.0, on_ground=1.0, two_containers=0.0),
    )
    container = taxonomy.by_name("container").class_id
    for scene in scenes(config, 4):
        mask = scene.areal_density_g_per_cm2.sum(0) > 0.5
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = scene.truth.boxes_xyxy[scene.truth.class_ids == container][0]
        tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert box == pytest.approx(tight, abs=2)


def test_size_can_be_fixed() -> None:
    """A fixed height and width are kept whatever the vehicle needs."""
    for scene in scenes(replace(SMALL, height_px=(200, 200), width_px=512), 2):
        assert scene.areal_density_g_per_cm2.shape[1:] == (200, 512)


def test_a_scene_must_belong_together() -> None:
    """A scene with a missing load state is refused."""
    scene = scenes(SMALL, 1)[0]
    with pytest.raises(ValueError, match="belong together"):
        replace(scene, load_states=())
