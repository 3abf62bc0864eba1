"""Training settings: every file loads, places can be moved, nonsense is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nii.errors import ConfigError
from nii.train.config import DataConfig, TrainConfig, read_config, require_files

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))


def test_there_are_configurations() -> None:
    """The guard below tests something."""
    assert {"smoke", "compact_simulated", "real_containers"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_loads_and_carries_the_name_of_its_file(path: Path) -> None:
    """A file in configs/ describes a run whose folder tells which file made it."""
    assert read_config(path, {}).name == path.stem


@pytest.mark.slow
def test_settings_load_without_torch() -> None:
    """Reading a configuration needs no torch, so that the command line starts at once."""
    code = "import sys, nii.train.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_real_data_can_lie_elsewhere(tmp_path: Path) -> None:
    """NII_REAL_DATA takes the place of ../shared/data and of nothing else."""
    text = (
        'name = "x"\n[train]\nsource = "coco"\nannotations = "../shared/data/a/b.json"\n'
        '[validation]\nsource = "coco"\nannotations = "elsewhere/b.json"\n'
    )
    path = tmp_path / "x.toml"
    path.write_text(text, "utf-8")
    moved = read_config(path, {"NII_REAL_DATA": "/scans"})
    assert moved.train.annotations == Path("/scans/a/b.json")
    assert moved.validation.annotations == Path("elsewhere/b.json")


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    """A misspelt setting never goes unnoticed."""
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\nepoch = 3\n', "utf-8")
    with pytest.raises(ConfigError, match="epochs"):
        read_config(path, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"epochs": None}, "never end"),
        ({"max_steps": 0}, "limit"),
        ({"threats": ()}, "no threat class"),
        ({"threats": ("container",)}, "no threat classes"),
        ({"structures": ("container", "container")}, "twice"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"validation": DataConfig(count=1, seed=0)}, "same seed"),
    ],
)
def test_a_run_that_cannot_work_is_refused(
    config: TrainConfig, changes: dict[str, object], problem: str
) -> None:
    """What is impossible is said before anything is read."""
    with pytest.raises(ValueError, match=problem):
        replace(config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_px": 100},
        {"count": 0},
        {"display_share": 1.5},
        {"display_share": 0.6, "single_energy_share": 0.6},
        {"source": "coco"},
    ],
)
def test_a_set_of_scans_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    """Crops fit the strides, shares are shares, and labels have a file."""
    with pytest.raises(ValueError, match=r".+"):
        DataConfig(**({"count": 4} | changes))  # type: ignore[arg-type]


def test_a_missing_label_file_is_named_with_the_way_out(config: TrainConfig) -> None:
    """The message tells of the environment variable."""
    absent = DataConfig(source="coco", annotations=Path("absent.json"))
    with pytest.raises(ConfigError, match="NII_REAL_DATA"):
        require_files(replace(config, train=absent))
