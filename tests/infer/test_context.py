"""What was declared against what is seen; what is usual at a site changes no level."""

from __future__ import annotations

import numpy as np

from nii.infer.context import NOTHING, Context, attention, contradictions, declarations
from nii.inspection import Structure
from nii.scan import Scan

BOX = (0.0, 0.0, 100.0, 50.0)
PARTS = (
    Structure("container", 1, BOX, 0.9, "loaded", 0.97),
    Structure("container", 2, BOX, 0.9, "empty", 0.02),
    Structure("container", 3, BOX, 0.9),
    Structure("vehicle", 1, BOX, 0.9),
)


def test_a_loaded_container_contradicts_the_declaration() -> None:
    """Of a loaded, an empty and an unknown one only the first is declared empty but is not."""
    found = declarations(PARTS, Context(declared_empty=True))
    assert [one.contradicted for one in found] == [True, False, False]
    assert [one.probability for one in found] == [0.97, 0.02, None]
    (warning,) = contradictions(found)
    assert warning.startswith("Container 1 was declared empty but is not")
    assert "0.97" in warning


def test_nothing_is_said_where_nothing_was_declared_or_learnt() -> None:
    """Without a declaration there is no finding, without a site no ranking."""
    scan = Scan(np.full((1, 50, 100), 0.5, np.float32))
    assert declarations(PARTS, NOTHING) == ()
    assert attention(scan, PARTS, NOTHING) == ()
