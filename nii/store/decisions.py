"""Decisions of officers: only ever added, never changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from nii.errors import NiiError
from nii.inspection import Level
from nii.store import audit, tables
from nii.store.database import Store, timestamp

_TABLE = tables.decisions
_OFFICER_LIMIT = 100
_REASON_LIMIT = 2000


class Verdict(StrEnum):
    """What an officer decided: let it go, open it, ask somebody else, scan it again."""

    RELEASE = "release"
    INSPECT = "inspect"
    REFER = "refer"
    RESCAN = "rescan"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an officer says about an inspection; surrounding white space is not kept.

    Attributes:
        verdict: release, inspect, refer or rescan.
        officer: who decides; not empty, up to 100 characters.
        reason: why; may be empty, up to 2000 characters.
    """

    verdict: Verdict
    officer: str
    reason: str = ""

    def __post_init__(self) -> None:
        """Check that the texts can be read again later.

        Raises:
            NiiError: a text is missing, too long or holds control characters.
        """
        object.__setattr__(self, "officer", self.officer.strip())
        object.__setattr__(self, "reason", self.reason.strip().replace("\r\n", "\n"))
        if not self.officer:
            raise _refusal("officer", "no name", "the name of the officer", "Give your name.")
        _check_text("officer", self.officer, _OFFICER_LIMIT)
        _check_text("reason", self.reason.replace("\n", " ").replace("\t", " "), _REASON_LIMIT)


@dataclass(frozen=True, slots=True)
class Decision:
    """An officer's decision as it stands in the store."""

    id: int
    inspection_id: int
    verdict: Verdict
    reason: str
    officer: str
    decided_at: datetime


def add(store: Store, inspection_id: int, opinion: Opinion, at: datetime) -> Decision:
    """Add a decision and its event, together or not at all; earlier decisions stay.

    Raises:
        NiiError: there is no such inspection, or one with level search is released without reason.
    """
    with store.write() as connection:
        query = sa.select(tables.inspections.c.urgency).where(
            tables.inspections.c.id == inspection_id
        )
        urgency = connection.execute(query).scalar_one_or_none()
        _check(inspection_id, urgency, opinion)
        row = {
            "inspection_id": inspection_id,
            "verdict": opinion.verdict.value,
            "reason": opinion.reason,
            "officer": opinion.officer,
            "decided_at": timestamp(at),
        }
        result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
        number = int(result.scalar_one())
        payload = {"id": number, **row}
        audit.append(connection, audit.Entry(audit.DECIDED, inspection_id, payload), at)
    return Decision(number, inspection_id, decided_at=at, **asdict(opinion))


def of_inspection(store: Store, inspection_id: int) -> tuple[Decision, ...]:
    """Return all decisions on an inspection, oldest first."""
    query = sa.select(_TABLE).where(_TABLE.c.inspection_id == inspection_id).order_by(_TABLE.c.id)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return tuple(
        Decision(
            id=row.id,
            inspection_id=row.inspection_id,
            verdict=Verdict(row.verdict),
            reason=row.reason,
            officer=row.officer,
            decided_at=datetime.fromisoformat(row.decided_at),
        )
        for row in rows
    )


def _check(inspection_id: int, urgency: int | None, opinion: Opinion) -> None:
    subject = f"inspection {inspection_id}"
    if urgency is None:
        raise _refusal(subject, "no such inspection", "a stored one", "Check the id.")
    released = opinion.verdict is Verdict.RELEASE
    if released and urgency == Level.SEARCH.rank and not opinion.reason:
        raise _refusal(
            subject,
            "a release without reason",
            "a reason, because a search is advised",
            "Say why it can be released all the same.",
        )


def _check_text(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise _refusal(
            field, f"{len(text)} characters", f"at most {limit}", f"Shorten the {field}."
        )
    if not text.isprintable():
        raise _refusal(
            field, "control characters", "readable text", "Remove what cannot be printed."
        )


def _refusal(subject: str, found: str, expected: str, remedy: str) -> NiiError:
    return NiiError(subject, found=found, expected=expected, remedy=remedy)
