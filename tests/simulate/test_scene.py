"""Scene: boxes fit what they mark, threats are whole, behind is what lies behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nii import taxonomy
from nii.simulate.layout import LoadShares, make_plan
from nii.simulate.placement import put
from nii.simulate.scene import Scene, SceneConfig, build_scene, make_view
from nii.simulate.shapes import BASIS, project
from nii.simulate.threats import THREATS

SMALL = SceneConfig(
    height_px=(220, 220), pitch_mm=(10.0, 26.0), clean_share=0.0, threats=(1, 4), parallel_share=0.3
)


def scenes(config: SceneConfig, count: int) -> list[Scene]:
    """Return the first scenes of a configuration."""
    return [build_scene(np.random.default_rng([5, k]), config) for k in range(count)]


def test_threat_boxes_fit_their_masks() -> None:
    """The mask of a threat touches all four sides of its box, and is denser than what is behind."""
    checked = 0
    plain = replace(SMALL, loads=LoadShares(empty=1.0, on_ground=1.0), keep_masks=True)
    for index in range(4):
        scene = build_scene(np.random.default_rng(index), replace(plain, threats=(1, 1)))
        marked = [i for i, kind in enumerate(scene.threat_kinds) if kind]
        if not marked:
            continue
        mask = scene.masks[marked[0]]
        assert mask is not None
        x0, y0, x1, y1 = scene.truth.boxes_xyxy[marked[0]].astype(int)
        assert mask.shape == (y1 - y0, x1 - x0)
        assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        seen = scene.areal_density_g_per_cm2.sum(0)[y0:y1, x0:x1][mask].mean()
        assert seen > scene.behind_g_per_cm2[marked[0]]
        assert scene.threat_masses_kg is not None
        assert scene.threat_masses_kg[marked[0]] > 0.2
        assert scene.threat_materials[marked[0]] in BASIS
        checked += 1
    assert checked > 2


def test_a_threat_adds_its_mass_and_takes_what_it_replaces() -> None:
    """In a parallel view without sag an image gains what a thing weighs, in an empty container."""
    config = replace(
        SMALL, loads=LoadShares(empty=1.0, on_ground=1.0), parallel_share=1.0, sag_share=0.0,
        threat_classes=("dense_object",), threats=(1, 1), height_px=(300, 300),
    )  # fmt: skip
    found = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        plan = make_plan(config.loads, rng)
        geometry = make_view(plan, config, rng)
        placed = put(THREATS["dense_object"](rng), plan, [], rng)
        if placed is None:
            continue
        grid = project(placed.threat.parts, geometry, rng).sum(dtype=np.float64)
        area_cm2 = geometry.pitch_m[0] * geometry.pitch_m[1] * 1e4
        assert grid * area_cm2 / 1000 == pytest.approx(placed.threat.mass_kg, rel=0.01)
        found += 1
    assert found


@pytest.mark.slow
def test_new_classes_and_changes_of_the_vehicle_are_found_where_asked() -> None:
    """Classes that are off by default come when they are named, with kind, mass and material."""
    names = ("modification", "currency", "person", "ammunition")
    kinds = set()
    for scene in scenes(replace(SMALL, threat_classes=names, whole_share=1.0), 4):
        for row, kind in enumerate(scene.threat_kinds):
            if kind:
                kinds.add(taxonomy.classes()[int(scene.truth.class_ids[row])].name)
    assert kinds <= set(names)
    assert "modification" in kinds
    assert len(kinds) > 1


@pytest.mark.slow
def test_loads_tell_their_chapters() -> None:
    """Every full or partial container names the HS chapters of its goods; empty ones name none."""
    full = 0
    for scene in scenes(replace(SMALL, clean_share=1.0, loads=LoadShares(empty=0.2, rail=0.0)), 4):
        for state, chapters in zip(scene.load_states, scene.hs_chapters, strict=True):
            assert all(len(chapter) == 2 for chapter in chapters)
            if state in ("full", "partial"):
                assert chapters
                full += 1
            if state == "empty":
                assert not chapters
    assert full > 0


@pytest.mark.slow
def test_truth_is_complete_and_inside() -> None:
    """Boxes lie in the picture; containers have a load, threats a kind and what is behind them."""
    container = taxonomy.by_name("container").class_id
    threats = {row.class_id for row in taxonomy.in_group("threat")}
    seen = 0
    for scene in scenes(SMALL, 4):
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
    assert seen > 2


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


@pytest.mark.slow
def test_size_can_be_fixed() -> None:
    """A fixed height and width are kept whatever the vehicle needs."""
    for scene in scenes(replace(SMALL, height_px=(200, 200), width_px=512), 2):
        assert scene.areal_density_g_per_cm2.shape[1:] == (200, 512)


def test_a_scene_must_belong_together() -> None:
    """A scene with a missing load state is refused."""
    scene = scenes(SMALL, 1)[0]
    with pytest.raises(ValueError, match="belong together"):
        replace(scene, load_states=())
