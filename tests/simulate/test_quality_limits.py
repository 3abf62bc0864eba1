"""Limits: each has one side and a source, and only what was measured is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from nii.errors import ConfigError
from nii.simulate.quality import Measurement, Subject
from nii.simulate.quality_limits import Limit, Limits, judge, passed, read_limits

LIMITS = Limits(
    preset={"a": Limit("assumption", at_least=2.0)}, scan={"a": Limit("assumption", at_most=2.0)}
)


def subject(value: float | None, kind: str = "preset", *, applicable: bool = True) -> Subject:
    """Return a subject with one figure."""
    figure = Measurement("penetration", "a", "A", value, "mm", applicable=applicable)
    return Subject("x", kind, (figure,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (2.0, "preset", True),
        (1.9, "preset", False),
        (None, "preset", False),
        (2.0, "scan", True),
        (2.1, "scan", False),
        (None, "scan", None),
        (9.9, "display", None),
    ],
)
def test_verdicts(value: float | None, kind: str, expected: bool | None) -> None:  # noqa: FBT001
    """The limit itself passes; what is not measured fails a preset and not a scan."""
    one = subject(value, kind)
    (verdict,) = verdicts = judge(one, LIMITS)
    assert verdict.passed is expected
    assert passed(one, verdicts) is (expected is not False)


def test_what_cannot_apply_is_not_judged() -> None:
    """A single-energy scanner does not fail at telling materials apart."""
    one = subject(None, applicable=False)
    assert passed(one, judge(one, LIMITS))


def test_a_failure_never_passes() -> None:
    """A scan that could not be read is not fine."""
    assert not passed(Subject("x", "scan", failure="broken"), ())


def test_shipped_limits_have_sources() -> None:
    """Every limit that comes with nii says where it is from."""
    shipped = read_limits()
    assert shipped.preset
    assert shipped.scan
    for table in (shipped.preset, shipped.scan, shipped.display):
        for limit in table.values():
            assert "assumption" in limit.source or "OSTI" in limit.source
            assert str(limit)[0] in "≥≤"


@pytest.mark.parametrize(
    "text",
    [
        '[preset.a]\nat_least = 1.0\nat_most = 2.0\nsource = "x"',
        '[preset.a]\nsource = "x"',
        '[preset.a]\nat_least = 1.0\nsource = " "',
        "[preset.a]\nat_least = 1.0",
        '[presets.a]\nat_least = 1.0\nsource = "x"',
    ],
)
def test_bad_limits_are_refused(text: str, tmp_path: Path) -> None:
    """Two sides, none, no source, an unknown table: each is an error with its place."""
    path = tmp_path / "limits.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="preset"):
        read_limits(path)
