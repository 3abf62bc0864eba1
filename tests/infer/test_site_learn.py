"""Learning a site: too little is refused, and what was learnt from is on record."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from nii.errors import ConfigError, NiiError
from nii.infer.site_learn import Seen, learn_site
from nii.scan import Scan

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BOX = (0.0, 0.0, 400.0, 200.0)


def seen(seed: int, scanner: str = "lane 1") -> Seen:
    """Return a scan of noise with two containers, one too small to be looked at."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0.5, 0.6, (1, 200, 400)).astype(np.float32)
    return Seen(
        Scan(pixels, scanner=scanner, pixel_pitch_mm=(13.0, 13.0)), (BOX, (0.0, 0.0, 20.0, 20.0))
    )


@pytest.mark.slow
def test_the_model_says_what_it_was_learnt_from() -> None:
    """Scans and containers are counted, time and scanner are kept, progress is told."""
    told = []
    model = learn_site(
        (seen(k) for k in range(20)), lambda: NOW, lambda done, total: told.append((done, total))
    )
    assert (model.facts.scans, model.facts.containers) == (20, 20)
    assert (model.facts.scanner, model.facts.learnt_at) == ("lane 1", NOW.isoformat())
    assert told[-1] == (20, 20)


def test_too_few_containers_and_mixed_scanners_are_refused() -> None:
    """Nineteen are too few; a scan of another lane spoils the set and says so."""
    with pytest.raises(NiiError, match="19 containers"):
        learn_site((seen(k) for k in range(19)), lambda: NOW)
    with pytest.raises(ConfigError, match="lane 2"):
        learn_site(iter([seen(0), seen(1, "lane 2")]), lambda: NOW)
