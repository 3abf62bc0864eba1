"""Benign scans of one site → what its containers look like; minutes on a CPU, nothing but numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from jaxtyping import Float32

from nii.errors import NiiError
from nii.infer.site import (
    LEAST,
    SiteFacts,
    SiteModel,
    check_belongs,
    kept,
    load_of_cells,
    score_of,
    similar,
    unusual_cells,
)
from nii.infer.site_features import container_cells
from nii.provenance import Provenance, sha256_of_bytes
from nii.scan import AnyScan

Boxes = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold a benign scan and its containers in pixels."""

    scan: AnyScan
    containers: Boxes


def learn_site(
    seen: Iterable[Seen],
    clock: Callable[[], datetime],
    on_progress: Callable[[int, int], None] = lambda _done, _count: None,
) -> SiteModel:
    """Return the model of a site.

    Args:
        seen: benign scans of one scanner; a few that are not quite benign do little harm.
        clock: tells the time with its zone.
        on_progress: called with the number of containers judged, and their total.

    Raises:
        NiiError: there are too few containers.
        ConfigError: a scan is of another scanner or kind than the first.
    """
    containers: list[Float32[np.ndarray, "row column feature"]] = []
    digests: list[str] = []
    facts: SiteFacts | None = None
    for one in seen:
        facts = facts or _facts(one.scan, clock())
        check_belongs(one.scan, facts)
        digests.append(one.scan.sha256 or "")
        containers += _cells(one)
    if facts is None or len(containers) < LEAST:
        raise NiiError(
            "site model",
            found=f"{len(containers)} containers in {len(digests)} scans",
            expected=f"{LEAST} or more",
            remedy="Name more benign scans of this site.",
        )
    known = np.stack([kept(cells) for cells in containers])
    loads = np.stack([load_of_cells(cells) for cells in containers])
    scores = []
    for number, cells in enumerate(containers):
        near = similar(loads[number], loads, leave_out=number)
        scores.append(score_of(unusual_cells(cells, known[near])))
        on_progress(number + 1, len(containers))
    whole = replace(
        facts,
        scans=len(digests),
        containers=len(containers),
        data_sha256=sha256_of_bytes("\n".join(digests).encode()),
    )
    return SiteModel(whole, known, loads, np.asarray(scores, np.float32))


def _cells(one: Seen) -> Iterator[Float32[np.ndarray, "row column feature"]]:
    for box in one.containers:
        cells = container_cells(one.scan, box)
        if cells is not None:
            yield cells


def _facts(scan: AnyScan, now: datetime) -> SiteFacts:
    return SiteFacts(
        scanner=scan.scanner,
        grey=scan.grey.value,
        energies=scan.energy_count,
        endpoint_mev=scan.endpoint_mev,
        scans=0,
        containers=0,
        data_sha256="",
        learnt_at=now.isoformat(timespec="seconds"),
        tool=Provenance().tool,
    )
