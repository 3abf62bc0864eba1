"""Claims about the settings: what would go wrong later is refused at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nii.config import from_dict, to_dict
from nii.errors import ConfigError
from nii.watch.settings import LaneSettings, WatchSettings


def test_round_trip(settings: WatchSettings) -> None:
    """Settings survive the way through plain values, as in a TOML file."""
    assert from_dict(WatchSettings, to_dict(settings)) == settings


def test_results_never_arrive_as_scans(settings: WatchSettings) -> None:
    """No place for results may lie in a lane, not even through a link."""
    (lane,) = settings.lanes
    link = lane.parent / "link"
    link.symlink_to(lane)
    for bad in (lane, lane / "out", link / "out"):
        for name in ("out", "store", "state", "quarantine"):
            with pytest.raises(ConfigError, match="inside the watched folder"):
                replace(settings, **{name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lanes": ()}, "no folder"),
        ({"out": None}, "no place for results"),
        ({"post": "file:///etc/passwd"}, "no web address"),
        ({"webhook": "example"}, "no web address"),
        ({"webhook": "http://host:port/"}, "no web address"),
        ({"port": 65536}, "0 to 65535"),
        ({"look_every_s": -1.0}, "0 s or more"),
        ({"finished": LaneSettings(quiet_s=float("nan"))}, "quiet_s"),
        ({"lanes": (Path("/a"), Path("/a/b"))}, "watched twice"),
    ],
)
def test_refusals(settings: WatchSettings, change: dict[str, object], words: str) -> None:
    """A watch without lanes or sinks, with overlapping lanes or odd addresses does not start."""
    with pytest.raises(ConfigError, match=words):
        replace(settings, **change)  # type: ignore[arg-type]
