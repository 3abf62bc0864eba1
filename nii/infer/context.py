"""What is known about a scan beside its pixels: what was declared, what is usual at its site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nii.infer.site import SiteModel, check_belongs, unusual
from nii.infer.site_features import container_cells
from nii.inspection import Attention, Declaration, Structure
from nii.scan import AnyScan


@dataclass(frozen=True, slots=True)
class Context:
    """Hold what an inspection is told.

    Attributes:
        declared_empty: every container of the scan was declared empty.
        site: what is usual at the site that the scan comes from; None where that was not learnt.
    """

    declared_empty: bool = False
    site: SiteModel | None = None


NOTHING = Context()


def declarations(structures: Sequence[Structure], context: Context) -> tuple[Declaration, ...]:
    """Return what the scan says about each container that was declared empty."""
    if not context.declared_empty:
        return ()
    parts = [part for part in structures if part.kind == "container"]
    return tuple(_against(part) for part in parts)


def contradictions(found: Sequence[Declaration]) -> tuple[str, ...]:
    """Return the contradictions as warnings for an officer."""
    return tuple(one.reason for one in found if one.contradicted)


def attention(
    scan: AnyScan, structures: Sequence[Structure], context: Context
) -> tuple[Attention, ...]:
    """Return how unusual each container is at its site; most unusual first.

    Raises:
        ConfigError: the scan is of another scanner or kind than the site's.
    """
    if context.site is None:
        return ()
    check_belongs(scan, context.site.facts)
    rows = []
    for part in structures:
        cells = container_cells(scan, part.box_xyxy) if part.kind == "container" else None
        if cells is None:
            continue
        found = unusual(cells, context.site)
        x0, y0, x1, y1 = part.box_xyxy
        x, y = found.hottest_xy
        rows.append(
            Attention(
                container=part.number,
                share=round(found.share, 4),
                excess=round(found.excess, 3),
                hottest_xy=(round(x0 + x * (x1 - x0), 1), round(y0 + y * (y1 - y0), 1)),
                heat=tuple(tuple(round(float(v), 1) for v in row) for row in found.cells[::4, ::4]),
                site_sha256=context.site.sha256,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.excess))


def _against(part: Structure) -> Declaration:
    name = f"Container {part.number} was declared empty"
    if part.load is None:
        text = f"{name}; whether it is cannot be told."
        return Declaration(part.number, contradicted=False, probability=None, reason=text)
    chance = part.load_score if part.load_score is not None else 0.0
    if part.load == "empty":
        text = f"{name}, and looks empty."
        return Declaration(part.number, contradicted=False, probability=chance, reason=text)
    text = (
        f"{name} but is not: its inside darkens the beam as a load does (probability {chance:.2f})."
    )
    return Declaration(part.number, contradicted=True, probability=chance, reason=text)
