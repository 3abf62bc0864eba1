"""Loads the test client of Starlette, whose newer versions prefer another package and say so."""

from __future__ import annotations

import contextlib
import warnings

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")
    import starlette.testclient  # noqa: F401
