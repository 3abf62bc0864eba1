"""What pages and API share: the store at hand, and how a request asks for things in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.exceptions import HTTPException

from nii import taxonomy
from nii.errors import NiiError
from nii.inspection import Level
from nii.review.pictures import Pictures
from nii.store import decisions, inspections
from nii.store.database import Store
from nii.store.decisions import Decision, Opinion, Verdict
from nii.store.inspections import Filed, Query

_LARGEST_ID = 2**31 - 1
"""Ids are 32-bit integers in PostgreSQL."""
_LONGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Desk:
    """Hold what every handler needs.

    Attributes:
        store: what is shown.
        pictures: draws the scans.
        page_size: inspections on a page unless the request says otherwise.
        clock: gives the time of a decision.
    """

    store: Store
    pictures: Pictures
    page_size: int
    clock: Callable[[], datetime]

    def query(self, parameters: Mapping[str, str]) -> Query:
        """Read a query from the address: level, class, all, limit, before.

        Raises:
            HTTPException: 404 where a value is none of those that exist.
        """
        level, class_name = parameters.get("level"), parameters.get("class")
        if level and level not in list(Level):
            raise HTTPException(404)
        if class_name and class_name not in {row.name for row in taxonomy.classes()}:
            raise HTTPException(404)
        before = parameters.get("before")
        limit = number(parameters["limit"]) if "limit" in parameters else self.page_size
        return Query(
            level=Level(level) if level else None,
            class_name=class_name or None,
            undecided=parameters.get("all") != "1",
            limit=min(max(limit, 1), _LONGEST_PAGE),
            before=number(before) if before else None,
        )

    def filed(self, text: str) -> Filed:
        """Return the inspection whose id stands in the address.

        Raises:
            HTTPException: 404 where there is none.
        """
        filed = inspections.get(self.store, number(text))
        if filed is None:
            raise HTTPException(404)
        return filed

    def decide(self, filed: Filed, fields: Mapping[str, object]) -> Decision:
        """Add the decision that a form or a JSON document describes.

        Raises:
            NiiError: a field is missing, of the wrong kind, or the store refuses it.
        """
        unknown = set(fields) - {"verdict", "officer", "reason"}
        texts = {key: value for key, value in fields.items() if isinstance(value, str)}
        verdict = texts.get("verdict")
        if unknown or len(texts) < len(fields) or verdict not in list(Verdict):
            raise NiiError(
                "decision",
                found=f"the fields {sorted(fields)} and the verdict {verdict!r}",
                expected=f"officer, reason, and a verdict out of {', '.join(Verdict)}",
                remedy="Choose one of the four.",
            )
        opinion = Opinion(Verdict(verdict), texts.get("officer", ""), texts.get("reason", ""))
        return decisions.add(self.store, filed.id, opinion, self.clock())


def number(text: str) -> int:
    """Read a whole number that can be an id.

    Raises:
        HTTPException: 404 where it cannot.
    """
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > _LARGEST_ID:
        raise HTTPException(404)
    return int(text)
