"""Marks: what officers say of the model's regions, and what they draw themselves; only ever added.

A mark is taken back by another mark that withdraws it, so the record shows both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from nii.errors import NiiError
from nii.store import audit, tables, texts
from nii.store.audit import Actor, canonical
from nii.store.database import Store, timestamp

_TABLE = tables.marks
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in scan pixels, upper bounds exclusive."""


class Sign(StrEnum):
    """What a mark says: a region is right, wrong, or sits wrong; an own box; a mark taken back."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    WRONG_BOX = "wrong_box"
    DRAWN = "drawn"
    WITHDRAWN = "withdrawn"


_ABOUT_REGION = (Sign.CONFIRMED, Sign.REJECTED, Sign.WRONG_BOX)


@dataclass(frozen=True, slots=True)
class Mark:
    """What an officer says; surrounding white space is not kept.

    Attributes:
        sign: what the mark says.
        region_number: the model's region, for ``confirmed``, ``rejected`` and ``wrong_box``.
        class_name: what the officer takes it for; may be empty.
        box_xyxy: the officer's box, for ``drawn``; the better one, if given, for ``wrong_box``.
        remark: may be empty.
        withdraws: id of the mark that is taken back, for ``withdrawn``.
    """

    sign: Sign
    region_number: int | None = None
    class_name: str = ""
    box_xyxy: Box | None = None
    remark: str = ""
    withdraws: int | None = None

    def __post_init__(self) -> None:
        """Check that the parts go together.

        Raises:
            NiiError: they do not, or a text cannot be shown.
        """
        object.__setattr__(self, "class_name", texts.optional("class", self.class_name, 64))
        object.__setattr__(self, "remark", texts.remark("remark", self.remark))
        if (self.sign in _ABOUT_REGION) != (self.region_number is not None):
            raise _odd(self, "the number of a region with what is said of a region, else none")
        if (self.sign is Sign.WITHDRAWN) != (self.withdraws is not None):
            raise _odd(self, "the id of a mark with what takes one back, else none")
        boxed = self.box_xyxy is not None
        if (self.sign is Sign.DRAWN and not boxed) or (
            boxed and self.sign not in (Sign.DRAWN, Sign.WRONG_BOX)
        ):
            raise _odd(self, "a box with what is drawn or sits wrong, else none")
        if self.box_xyxy is not None:
            object.__setattr__(self, "box_xyxy", tuple(float(side) for side in self.box_xyxy))
            left, top, right, bottom = self.box_xyxy
            if not (0.0 <= left < right < float("inf") and 0.0 <= top < bottom < float("inf")):
                raise _odd(self, "a box whose sides rise from 0")


@dataclass(frozen=True, slots=True)
class KeptMark:
    """A mark as it stands in the store."""

    id: int
    inspection_id: int
    mark: Mark
    officer: str
    user_id: int | None
    marked_at: datetime


def add(store: Store, inspection_id: int, mark: Mark, by: Actor, at: datetime) -> KeptMark:
    """Add a mark and its event, together or not at all.

    Raises:
        NiiError: there is no such inspection, region or mark, the box lies outside the scan, or the
            mark was taken back before.
    """
    with store.write() as connection:
        _check(connection, inspection_id, mark)
        row = {
            "inspection_id": inspection_id,
            "region_number": mark.region_number,
            "mark": mark.sign.value,
            "withdraws": mark.withdraws,
            "class_name": mark.class_name,
            "box_xyxy": None if mark.box_xyxy is None else canonical(list(mark.box_xyxy)),
            "remark": mark.remark,
            "user_id": by.user_id,
            "officer": texts.name("officer", by.name),
            "marked_at": timestamp(at),
        }
        result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
        number = int(result.scalar_one())
        payload = {"id": number, **row}
        audit.append(connection, audit.Entry(audit.MARKED, inspection_id, payload), at)
    return _kept(payload)


def of_inspection(store: Store, inspection_id: int) -> tuple[KeptMark, ...]:
    """Return all marks on an inspection, oldest first, also those taken back."""
    query = sa.select(_TABLE).where(_TABLE.c.inspection_id == inspection_id).order_by(_TABLE.c.id)
    with store.read() as connection:
        return tuple(_kept(row._asdict()) for row in connection.execute(query))


def standing(found: Iterable[KeptMark]) -> tuple[KeptMark, ...]:
    """Return the marks that hold: not taken back, and the newest of each officer on each region."""
    every = tuple(found)
    gone = {one.mark.withdraws for one in every}
    newest: dict[object, KeptMark] = {}
    for one in every:
        if one.mark.sign is Sign.WITHDRAWN or one.id in gone:
            continue
        drawn = one.mark.sign is Sign.DRAWN
        who = one.officer if one.user_id is None else one.user_id
        key = one.id if drawn else (one.inspection_id, one.mark.region_number, who)
        newest[key] = one
    return tuple(sorted(newest.values(), key=lambda one: one.id))


def _check(connection: sa.Connection, inspection_id: int, mark: Mark) -> None:
    subject = f"inspection {inspection_id}"
    table, regions = tables.inspections, tables.regions
    query = sa.select(table.c.document).where(table.c.id == inspection_id)
    document = connection.execute(query).scalar_one_or_none()
    if document is None:
        raise texts.refusal(subject, "no such inspection", "a stored one", "Check the id.")
    own = (regions.c.inspection_id == inspection_id) & (regions.c.number == mark.region_number)
    there = connection.execute(sa.select(sa.exists().where(own))).scalar_one()
    if mark.region_number is not None and not there:
        found = f"no region {mark.region_number}"
        raise texts.refusal(subject, found, "one of its regions", "Check the number.")
    if mark.box_xyxy is not None:
        size = json.loads(document)["scan"]
        _, _, right, bottom = mark.box_xyxy
        if right > size["width"] or bottom > size["height"]:
            found, scan = (
                f"a box to {right}, {bottom}",
                f"{size['width']} x {size['height']} pixels",
            )
            raise texts.refusal(subject, found, f"one within {scan}", "Draw it on the scan.")
    if mark.withdraws is not None:
        _check_withdrawal(connection, inspection_id, mark.withdraws)


def _check_withdrawal(connection: sa.Connection, inspection_id: int, number: int) -> None:
    subject = f"mark {number}"
    own = (_TABLE.c.id == number) & (_TABLE.c.inspection_id == inspection_id)
    sign = connection.execute(sa.select(_TABLE.c.mark).where(own)).scalar_one_or_none()
    if sign is None or sign == Sign.WITHDRAWN.value:
        expected = "a mark of this inspection"
        raise texts.refusal(subject, "nothing to take back", expected, "Check the id.")
    if connection.execute(sa.select(sa.exists().where(_TABLE.c.withdraws == number))).scalar_one():
        raise texts.refusal(subject, "a mark taken back before", "one that holds", "Leave it so.")


def _odd(mark: Mark, expected: str) -> NiiError:
    parts = f"region {mark.region_number}, box {mark.box_xyxy}, mark {mark.withdraws}"
    return texts.refusal(f"a mark {mark.sign}", parts, expected, "Mend the mark.")


def _kept(row: dict[str, Any]) -> KeptMark:
    box = None if row["box_xyxy"] is None else json.loads(row["box_xyxy"])
    mark = Mark(
        Sign(row["mark"]),
        row["region_number"],
        row["class_name"],
        None if box is None else (box[0], box[1], box[2], box[3]),
        row["remark"],
        row["withdraws"],
    )
    marked_at = datetime.fromisoformat(row["marked_at"])
    return KeptMark(
        row["id"], row["inspection_id"], mark, row["officer"], row["user_id"], marked_at
    )
