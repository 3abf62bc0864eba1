"""Decisions of officers: only ever added, never changed; to undo one is to decide again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from nii.errors import NiiError
from nii.store import audit, claims, queue, reasons, settings, tables, texts, users
from nii.store.audit import Actor
from nii.store.claims import Ask
from nii.store.database import Store, timestamp
from nii.store.queue import Item, QueueSettings, State, Why

_TABLE = tables.decisions


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
        reason: why, in words; may be empty, up to 2000 characters.
        user_id: the officer's account; None where a program without accounts decides.
        reason_code: of :mod:`nii.store.reasons`; empty for none. Words without a code have the
            code ``other``, which needs words.
        seconds: from opening the scan to the decision; None where nobody measured.
        group: group of experts that is asked; only with ``refer``, which without one asks a
            supervisor.
        seen: id of the newest decision that the officer knew of, 0 for none; None does not say.
    """

    verdict: Verdict
    officer: str
    reason: str = ""
    user_id: int | None = None
    reason_code: str = ""
    seconds: float | None = None
    group: str = ""
    seen: int | None = None

    def __post_init__(self) -> None:
        """Check that the texts can be read again later, and that the parts go together.

        Raises:
            NiiError: a text is missing, too long or holds control characters, the code does not
                belong to the verdict, or the time is none.
        """
        object.__setattr__(self, "officer", texts.name("officer", self.officer))
        object.__setattr__(self, "reason", texts.remark("reason", self.reason))
        object.__setattr__(self, "group", texts.optional("group", self.group, 64))
        if self.reason and not self.reason_code:
            object.__setattr__(self, "reason_code", reasons.OTHER)
        known = reasons.codes(self.verdict)
        if self.reason_code and self.reason_code not in known:
            code = ascii(self.reason_code[: texts.NAME_LIMIT])
            raise texts.refusal("reason code", code, ", ".join(known), "Choose one of these.")
        if self.reason_code == reasons.OTHER and not self.reason:
            raise texts.refusal(
                "reason", "no words", "words, since the code says other", "Give the reason."
            )
        if self.seconds is not None and not 0.0 <= self.seconds < float("inf"):
            raise texts.refusal("seconds", f"{self.seconds}", "0 or more", "Measure again.")
        if self.group and self.verdict is not Verdict.REFER:
            raise texts.refusal(
                "group", f"{self.verdict} to a group", "refer", "Refer, or leave the group out."
            )


@dataclass(frozen=True, slots=True)
class Decision:
    """An officer's decision as it stands in the store; see :class:`Opinion`.

    Attributes:
        id: counts decisions from 1.
        inspection_id: what was decided on.
        verdict: the decision.
        reason: why, in words.
        officer: who decided, as shown then.
        decided_at: when.
        user_id: the account.
        reason_code: why.
        why: what the inspection was waiting for, see :class:`nii.store.queue.Why`.
        seconds: from opening the scan to the decision.
        blind: the regions were shown after the decision only.
        unseen: decisions that others made since the officer looked; what :func:`add` tells the
            second of two, empty in what is read later.
    """

    id: int
    inspection_id: int
    verdict: Verdict
    reason: str
    officer: str
    decided_at: datetime
    user_id: int | None = None
    reason_code: str = ""
    why: Why = Why.NEW
    seconds: float | None = None
    blind: bool = False
    unseen: tuple[int, ...] = ()


def add(store: Store, inspection_id: int, opinion: Opinion, at: datetime) -> Decision:
    """Add a decision and its event, together or not at all; earlier decisions stay.

    The row in the queue follows: decided, or open again for those who were asked. Two officers who
    decide at once are both kept, and :attr:`Decision.unseen` tells the second. A decision on a scan
    that another officer has claimed is refused, and the refused opinion stays in the log.

    Raises:
        NiiError: another officer has claimed the scan.
        NiiError: there is no such inspection, the officer may not decide on it now, or a reason
            code is missing.
    """
    with store.write() as connection:
        item = queue.must(connection, inspection_id)
        rules = settings.read(connection, queue.SETTINGS, QueueSettings)
        _check(connection, item, opinion, rules)
        try:
            claims.check_free(item, opinion.user_id, at)
        except NiiError as error:
            refused = error
            payload = {"found": refused.found, **_said(opinion)}
            audit.append(connection, audit.Entry(audit.REFUSED, inspection_id, payload), at)
        else:
            return _add(connection, item, opinion, rules, at)
    raise refused


def of_inspection(store: Store, inspection_id: int) -> tuple[Decision, ...]:
    """Return all decisions on an inspection, oldest first."""
    query = sa.select(_TABLE).where(_TABLE.c.inspection_id == inspection_id).order_by(_TABLE.c.id)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return tuple(_decision(row._asdict()) for row in rows)


def _add(
    connection: sa.Connection, item: Item, opinion: Opinion, rules: QueueSettings, at: datetime
) -> Decision:
    row = {
        "inspection_id": item.inspection_id,
        "verdict": opinion.verdict.value,
        "reason": opinion.reason,
        "officer": opinion.officer,
        "decided_at": timestamp(at),
        "user_id": opinion.user_id,
        "reason_code": opinion.reason_code,
        "why": item.why.value,
        "seconds": None if opinion.seconds is None else float(opinion.seconds),
        "blind": item.blind,
    }
    others: tuple[int, ...] = ()
    if opinion.seen is not None:
        later = (_TABLE.c.inspection_id == item.inspection_id) & (_TABLE.c.id > opinion.seen)
        others = tuple(connection.execute(sa.select(_TABLE.c.id).where(later)).scalars())
    result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
    stored: dict[str, Any] = {"id": int(result.scalar_one()), **row}
    audit.append(connection, audit.Entry(audit.DECIDED, item.inspection_id, stored), at)
    _move(connection, item, opinion, rules, at)
    return _decision(stored | {"unseen": others})


def _move(
    connection: sa.Connection, item: Item, opinion: Opinion, rules: QueueSettings, at: datetime
) -> None:
    """Let the row in the queue follow a decision."""
    row = {
        "state": State.DECIDED.value,
        "verdict": opinion.verdict.value,
        "decided_at": timestamp(at),
        "claimed_by": None,
        "claimed_until": None,
        "not_by": None,
    }
    own = tables.queue.c.inspection_id == item.inspection_id
    connection.execute(sa.update(tables.queue).where(own).values(row))
    request = _asked(item, opinion, rules)
    if request is not None:
        by = Actor(opinion.officer, opinion.user_id)
        claims.reopen(connection, item.inspection_id, request, opinion.user_id, by, at)


def _asked(item: Item, opinion: Opinion, rules: QueueSettings) -> Ask | None:
    """Return whom a decision asks for another look, if anybody."""
    if opinion.verdict is Verdict.REFER:
        return Ask(Why.GROUP if opinion.group else Why.RECHECK, opinion.group)
    from_level, first = rules.second_from, item.why in (Why.NEW, Why.AUDIT)
    if opinion.verdict is not Verdict.RELEASE or from_level is None or not first:
        return None
    return Ask(Why.SECOND) if item.level.rank >= from_level.rank else None


def _check(connection: sa.Connection, item: Item, opinion: Opinion, rules: QueueSettings) -> None:
    if opinion.user_id is not None:
        user = users.joined(connection, opinion.user_id)
        if user is None:
            subject = f"user {opinion.user_id}"
            raise texts.refusal(subject, "no such user", "a stored one", "Log in again.")
        claims.check_may(item, user)
    advised = item.level.rank >= rules.reason_from.rank
    if opinion.verdict is Verdict.RELEASE and advised and not opinion.reason_code:
        raise texts.refusal(
            f"inspection {item.inspection_id}",
            "a release without reason",
            f"a reason code, because the advice is {item.level}",
            "Say why it can be released all the same.",
        )


def _said(opinion: Opinion) -> dict[str, Any]:
    """Return an opinion as JSON types, for the log."""
    return {
        "verdict": opinion.verdict,
        "reason": opinion.reason,
        "reason_code": opinion.reason_code,
        "group": opinion.group,
        "by": Actor(opinion.officer, opinion.user_id).to_json(),
    }


def _decision(row: dict[str, Any]) -> Decision:
    decided_at = datetime.fromisoformat(row["decided_at"])
    parts = {"verdict": Verdict(row["verdict"]), "why": Why(row["why"]), "decided_at": decided_at}
    return Decision(**(row | parts))
