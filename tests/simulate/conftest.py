"""The ledger of everything that the tables of the simulator make, weighed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def ledger(root: Path) -> dict[str, Any]:
    """Return what ``ledger.py`` prints: mass said, mass seen and extent of every thing."""
    program = Path(__file__).with_name("ledger.py")
    answer = subprocess.run(  # noqa: S603
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    made: dict[str, Any] = json.loads(answer.stdout)
    return made
