"""Outcomes: what the physical examination found; only ever added, the newest one counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from nii.store import audit, queue, tables, texts
from nii.store.audit import Actor
from nii.store.database import Store, timestamp

_TABLE = tables.outcomes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found; surrounding white space is not kept.

    Attributes:
        found: something that had no business there.
        examined_at: when the cargo was opened, with zone.
        class_name: what it was; empty where nothing was found or no class fits.
        quantity: how much, in words.
        remark: may be empty.
    """

    found: bool
    examined_at: datetime
    class_name: str = ""
    quantity: str = ""
    remark: str = ""

    def __post_init__(self) -> None:
        """Check the texts and the time.

        Raises:
            NiiError: a text cannot be shown, the time has no zone, or a class is named of nothing.
        """
        object.__setattr__(self, "class_name", texts.optional("class", self.class_name, 64))
        object.__setattr__(self, "quantity", texts.optional("quantity", self.quantity))
        object.__setattr__(self, "remark", texts.remark("remark", self.remark))
        if self.examined_at.tzinfo is None:
            raise texts.refusal("examined_at", "no zone", "a time with zone", "Add the zone.")
        if self.class_name and not self.found:
            raise texts.refusal(
                "class", f"{self.class_name} of nothing", "a class of what was found", "Leave it."
            )


@dataclass(frozen=True, slots=True)
class KeptOutcome:
    """An outcome as it stands in the store."""

    id: int
    inspection_id: int
    outcome: Outcome
    officer: str
    user_id: int | None


def add(store: Store, inspection_id: int, outcome: Outcome, by: Actor, at: datetime) -> KeptOutcome:
    """Add an outcome and its event, together or not at all.

    Raises:
        NiiError: there is no such inspection, or the examination lies in the future.
    """
    if outcome.examined_at > at:
        found = f"an examination at {timestamp(outcome.examined_at)}"
        raise texts.refusal("outcome", found, "one that is over", "Check the date.")
    with store.write() as connection:
        queue.must(connection, inspection_id)
        row = {
            "inspection_id": inspection_id,
            "found": outcome.found,
            "class_name": outcome.class_name,
            "quantity": outcome.quantity,
            "remark": outcome.remark,
            "user_id": by.user_id,
            "officer": texts.name("officer", by.name),
            "examined_at": timestamp(outcome.examined_at),
        }
        result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
        payload = {"id": int(result.scalar_one()), **row}
        audit.append(connection, audit.Entry(audit.EXAMINED, inspection_id, payload), at)
    return _kept(payload)


def of_inspection(store: Store, inspection_id: int) -> tuple[KeptOutcome, ...]:
    """Return all outcomes of an inspection, oldest first."""
    query = sa.select(_TABLE).where(_TABLE.c.inspection_id == inspection_id).order_by(_TABLE.c.id)
    with store.read() as connection:
        return tuple(_kept(row._asdict()) for row in connection.execute(query))


def _kept(row: dict[str, Any]) -> KeptOutcome:
    outcome = Outcome(
        row["found"],
        datetime.fromisoformat(row["examined_at"]),
        row["class_name"],
        row["quantity"],
        row["remark"],
    )
    return KeptOutcome(row["id"], row["inspection_id"], outcome, row["officer"], row["user_id"])
