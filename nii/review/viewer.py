"""What the viewer in the browser shows beside the pixels: its texts, regions, boxes, other scans.

The JavaScript holds no words of its own. Each text has a key here and an English form, which is
also what a catalogue of another language is looked up by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nii.inspection import Inspection, Level, Region, Structure

TEXTS: Mapping[str, str] = {
    "scan": "X-ray scan",
    "toolbar": "Tools of the viewer",
    "regions": "Highlighted regions",
    "group.view": "View",
    "group.grey": "Grey values",
    "group.detail": "Detail",
    "group.material": "Material",
    "group.tools": "Marks",
    "group.last": "Other",
    "tool.fit": "Whole scan",
    "tool.actual": "Actual pixels (1:1)",
    "tool.zoom_in": "Zoom in",
    "tool.zoom_out": "Zoom out",
    "tool.turn_left": "Turn left",
    "tool.turn_right": "Turn right",
    "tool.mirror": "Mirror",
    "tool.navigator": "Navigator",
    "tool.magnifier": "Magnifier",
    "tool.window_fit": "Fit contrast to what is seen",
    "tool.preset": "Next contrast preset",
    "tool.curve": "Next grey curve",
    "tool.inverse": "Inverse",
    "tool.energy": "Low energy instead of high",
    "tool.edges": "Sharpen edges",
    "tool.local": "Local contrast",
    "tool.dense": "Keep small dense objects when zoomed out",
    "tool.smooth": "Smooth enlarged pixels",
    "tool.colour": "Colour by material",
    "tool.strip_organic": "Strip organic material",
    "tool.strip_metal": "Strip metal",
    "tool.mark": "Highlight a range of density",
    "tool.measure": "Measure",
    "tool.box": "Draw a box of your own",
    "tool.regions": "Show or hide regions",
    "tool.compare": "Compare with another scan",
    "tool.reset": "Reset everything",
    "tool.help": "Keys and tools",
    "tool.cancel": "Put the tool down",
    "tool.pan": "Move",
    "tool.choose_region": "Show a region",
    "tool.peek": "Hide all outlines while held",
    "tool.drag_pan": "Move",
    "tool.drag_window": "Change contrast and brightness",
    "tool.wheel": "Zoom where the pointer is",
    "tool.drag_other": "Shift the other scan",
    "gesture.drag": "Drag",
    "gesture.right_drag": "Right button or Shift, and drag",
    "gesture.wheel": "Wheel",
    "gesture.alt_drag": "Alt and drag",
    "preset": "Contrast",
    "preset.custom": "Custom",
    "preset.whole": "Whole range",
    "preset.light": "Light goods",
    "preset.middle": "Medium goods",
    "preset.deep": "Dense goods",
    "curve": "Grey curve",
    "curve.balanced": "Balanced",
    "curve.log": "Logarithmic",
    "curve.linear": "Linear",
    "low": "Black",
    "high": "White",
    "gamma": "Gamma",
    "mark_low": "Range from",
    "mark_high": "Range to",
    "reading.place": "Pixel",
    "reading.level": "Raw value",
    "reading.transmission": "Transmission",
    "reading.steel": "Steel equivalent",
    "reading.material": "Material",
    "reading.zoom": "Zoom",
    "class.0": "organic",
    "class.1": "mineral or light metal",
    "class.2": "steel",
    "class.3": "heavy metal",
    "class.unclear": "unclear",
    "mm": "mm",
    "cm": "cm",
    "px": "pixels",
    "reason": "Reason",
    "position": "Position",
    "size": "Size",
    "own_box": "Own box",
    "remark": "Remark",
    "keep": "Keep",
    "withdraw": "Withdraw",
    "close": "Close",
    "failed": "A part of the scan could not be loaded.",
    "graphics_lost": "The graphics were interrupted; the picture returns by itself.",
}
"""Key → English text. ``class.N`` are the classes of :data:`nii.physics.dual_energy.CLASSES`."""

LEVEL_TEXTS: Mapping[Level, str] = {
    Level.SEARCH: "search",
    Level.LOOK: "look",
    Level.CLEAR: "clear",
}
SCORE_TEXTS: tuple[tuple[float, str], ...] = (
    (0.9, "very likely"),
    (0.7, "likely"),
    (0.4, "possible"),
    (0.0, "doubtful"),
)
"""Least score → words, falling. The bounds are an assumption: a score is a rank, no probability."""

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """One box that an officer drew, in scan pixels, upper bounds exclusive."""

    id: int
    box_xyxy: tuple[float, float, float, float]
    remark: str
    officer: str


@dataclass(frozen=True, slots=True)
class OtherScan:
    """One scan to compare with: a title, already translated, and the identity of the scan."""

    title: str
    scan_sha256: str


def document(
    inspection: Inspection,
    translate: Translate = str,
    *,
    boxes: Iterable[DrawnBox] = (),
    others: Iterable[OtherScan] = (),
    blind: bool = False,
) -> dict[str, Any]:
    """Return what ``data-inspection`` answers with.

    Args:
        inspection: what the model says; left out, all of it, where `blind`.
        translate: English text → text in the language of the officer.
        boxes: drawn by officers.
        others: scans to compare with, nearest first.
        blind: the officer decides before the model's regions are shown.
    """
    return {
        "labels": {key: translate(text) for key, text in TEXTS.items()},
        "regions": [] if blind else [region(each, translate) for each in inspection.regions],
        "containers": [] if blind else [_container(c, translate) for c in inspection.containers],
        "boxes": [
            {"id": b.id, "box_xyxy": list(b.box_xyxy), "remark": b.remark, "officer": b.officer}
            for b in boxes
        ],
        "compare": [
            {"title": other.title, "scan": f"/api/scans/{other.scan_sha256}/viewer.json"}
            for other in others
        ],
        "blind": blind,
    }


def region(found: Region, translate: Translate = str) -> dict[str, Any]:
    """Return one region as the viewer draws it, with every text translated."""
    width_height = found.size_mm
    size = (
        None
        if width_height is None
        else f"{width_height[0] / 10:.0f} × {width_height[1] / 10:.0f} {translate('cm')}"
    )
    return {
        "number": found.number,
        "class_name": found.class_name,
        "label": translate(found.label),
        "level": found.level.value,
        "level_text": translate(LEVEL_TEXTS[found.level]),
        "score": found.score,
        "score_text": f"{score_in_words(found.score, translate)} ({found.score:.2f})",
        "reason": translate(found.category.replace("_", " ")),
        "position": _position(found.position, translate),
        "size_text": size,
        "box_xyxy": list(found.box_xyxy),
        "contour_xy": [list(corner) for corner in found.contour_xy] if found.contour_xy else None,
    }


def score_in_words(score: float, translate: Translate = str) -> str:
    """Return how sure the model is, as a word."""
    return translate(next(words for least, words in SCORE_TEXTS if score >= least))


def _container(part: Structure, translate: Translate) -> dict[str, Any]:
    load = f", {translate(part.load_words)}" if part.load_words else ""
    label = f"{translate(part.kind)} {part.number}{load}"
    return {"label": label, "box_xyxy": list(part.box_xyxy)}


def _position(words: str, translate: Translate) -> str:
    """Return a place in words, each of its parts translated; numbers stay where they are."""
    parts = []
    for part in words.split(", "):
        kind, _, number = part.rpartition(" ")
        parts.append(f"{translate(kind)} {number}" if number.isdigit() else translate(part))
    return ", ".join(parts)
