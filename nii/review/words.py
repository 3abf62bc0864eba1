"""What models and the store say in English, said in the officer's language.

An inspection keeps its texts as they were made: they are evidence. To show them in another
language, a text is recognised by the pattern that it was made from, and the pattern is what the
catalogue translates. Parts that stand in a pattern are recognised in the same way. A text that no
pattern fits is shown as it stands.
"""

from __future__ import annotations

import re
from functools import cache

from nii import taxonomy
from nii.inspection import Level
from nii.review.language import Tongue

LEVELS = {Level.CLEAR: "clear", Level.LOOK: "look", Level.SEARCH: "search"}
CATEGORIES = tuple(sorted({row.category for row in taxonomy.classes()}))

POSITIONS = (
    "container %(number)s, %(along)s, %(height)s",
    "no container there; %(along)s of the scan, %(height)s",
    "outside the containers, %(along)s of the vehicle, %(height)s",
    "tractor",
    "left third",
    "middle third",
    "right third",
    "front third",
    "rear third",
    "under the roof",
    "mid height",
    "floor level",
    "high",
    "near the ground",
    "left",
    "right",
    "top",
)
"""What :mod:`nii.infer.position` and the health of a scan call places."""

WARNINGS = (
    (
        "This is a display picture whose grey curve is unknown, not the scanner's raw data: "
        "dense places and materials are judged less well."
    ),
    "The scan has one energy: materials cannot be told apart.",
    "The energies of the beams are unknown: materials may be judged wrongly.",
    "No container was found: positions are given along the vehicle or the picture.",
    (
        "The scan is %(height)s pixels high; the model knows scans of about %(low)s to "
        "%(most)s: small objects may be missed."
    ),
    "The thresholds of this model are not calibrated: take the levels as a rough order.",
    (
        "The beam did not get through %(share)s %% of container %(number)s: nothing can be said"
        " about what is there."
    ),
    (
        "No open beam is in the picture (brightest %(air)s of it): the scan may be badly "
        "normalised, inverted or a cut-out, and materials are judged less well."
    ),
    "The scan is dark: nothing gets through %(share)s %% of it.",
    (
        "The scan has faulty lines (%(rows)s rows, %(columns)s columns unlike their "
        "neighbours): detectors or pulses failed; thin objects may be hidden."
    ),
    (
        "The picture seems to stand on its head (matter along the top, open beam along the "
        "bottom): turn it, since the model knows upright vehicles only."
    ),
    "The vehicle runs out of the picture (%(sides)s): what is beyond was not seen.",
    (
        "%(share)s %% of the picture's columns are black from top to bottom: nothing was "
        "recorded there."
    ),
    "Container %(number)s was declared empty; whether it is cannot be told.",
    "Container %(number)s was declared empty, and looks empty.",
    (
        "Container %(number)s was declared empty but is not: its inside darkens the beam as a "
        "load does (probability %(chance)s)."
    ),
    "This model was not calibrated for a scanner.",
    "The calibration of this model proved nothing that could be promised.",
    "The guarantee is for %(promised)s; this scan is from %(scanner)s.",
    "The guarantee of the model's card holds, as far as one scan can tell.",
)
"""What :mod:`nii.infer` says about a scan as a whole."""

PARTS = (
    "container %(number)s, empty",
    "container %(number)s, loaded",
    "container %(number)s, partly filled",
    "container %(number)s, full",
    "container %(number)s",
    "vehicle %(number)s",
    "empty",
    "loaded",
    "partly filled",
    "full",
)
"""What :attr:`nii.inspection.Structure.label` says."""

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_LONGEST = 1000
"""A longer text is nothing that we wrote."""


def messages() -> frozenset[str]:
    """Return every text that can be said by way of this module."""
    labels = {row.label for row in taxonomy.classes()}
    return frozenset({*labels, *CATEGORIES, *LEVELS.values(), *POSITIONS, *WARNINGS, *PARTS})


def translate(tongue: Tongue, text: str) -> str:
    """Return a text of a model in a language, or as it stands where it is not recognised."""
    if text in messages():
        return tongue.say(text)
    for pattern, template in _patterns() if len(text) <= _LONGEST else ():
        found = pattern.fullmatch(text)
        if found:
            parts = {name: _each(tongue, part) for name, part in found.groupdict().items()}
            return tongue.say(template, **parts)
    return text


def class_label(tongue: Tongue, class_name: str) -> str:
    """Return the words for a class, or its name where the taxonomy no longer has it."""
    known = {row.name: row.label for row in taxonomy.classes()}
    return tongue.say(known[class_name]) if class_name in known else class_name


def _each(tongue: Tongue, text: str) -> str:
    known = messages()
    return ", ".join(tongue.say(part) if part in known else part for part in text.split(", "))


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    patterns = []
    for template in (*POSITIONS, *WARNINGS, *PARTS):
        if "%(" not in template:
            continue
        pieces = _PLACEHOLDER.split(template.replace("%%", "%"))
        written = "".join(
            f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
        patterns.append((re.compile(written), template))
    return tuple(patterns)
