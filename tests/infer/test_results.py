"""Tests of :mod:`nii.infer.results`: no result is lost under the name of another."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nii.infer.results import free_stem, stems

names = st.text(
    st.characters(exclude_characters="/\0", codec="utf-8") | st.sampled_from("aAb.<>:*\n"),
    min_size=1,
    max_size=90,
).filter(lambda name: name not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: Path(*parts))


@given(st.lists(paths, max_size=6, unique=True))
def test_names_differ_and_fit_every_file_system(files: list[Path]) -> None:
    """Any files give different names, without regard to case, that Windows can hold too."""
    chosen = stems([(file,) for file in files])
    assert len({name.casefold() for name in chosen}) == len(files)
    for name in chosen:
        assert 0 < len(name.encode()) < 200
        assert not set(name) & set('<>:"/\\|?*\n\0')


def test_a_name_says_no_more_than_it_must() -> None:
    """Folder and suffix appear only where two files would collide."""
    groups = [("in/a.tiff",), ("in/b.tiff",), ("other/b.tiff",), ("in/c.tiff",), ("in/c.png",)]
    files = [tuple(map(Path, group)) for group in groups]
    assert stems(files) == ("a", "in-b.tiff", "other-b.tiff", "c.tiff", "c.png")


def test_another_scans_result_is_never_replaced(tmp_path: Path) -> None:
    """The same scan keeps its name, another one gets a new name, rubbish is left alone."""
    here, other = "ab" * 32, "cd" * 32
    content = json.dumps({"scan": {"sha256": here}})
    (tmp_path / "x.inspection.json").write_text(content)
    (tmp_path / "y.inspection.json").write_text("rubbish")
    assert free_stem(tmp_path, "x", here) == "x"
    assert free_stem(tmp_path, "x", other) == f"x-{other[:8]}"
    assert free_stem(tmp_path, "x", None) == "x-2"
    assert free_stem(tmp_path, "y", here) == f"y-{here[:8]}"
    assert free_stem(tmp_path, "z", None) == "z"
