"""DICOS by its first bytes: nothing of pydicom is loaded before a DICOS file turns up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from nii import formats
import nii.infer.batch
found = formats.find([Path(sys.argv[1])])
formats.read(found[0])
print("pydicom" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "needed"), [("mixed_load.png", "False"), ("reefer.high.dcs", "True")]
)
def test_pydicom_is_loaded_for_dicos_only(root: Path, name: str, needed: str) -> None:
    """A PNG is found and read without pydicom, which would take a third of the cold start."""
    words = [sys.executable, "-c", PROGRAM, str(root / "data" / "samples" / name)]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603
    assert answer.stdout.strip() == needed
