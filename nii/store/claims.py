"""Claims: one officer at work on one scan; and asking for another look at one.

A claim keeps others away until it expires, so a browser that goes away blocks nobody for long. All
of it happens in writing transactions, of which the database has one at a time: two officers who
press the same key at once get two different scans.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from nii.errors import NiiError
from nii.store import audit, queue, settings, tables, texts
from nii.store.audit import Actor
from nii.store.database import Store, timestamp
from nii.store.queue import Item, QueueSettings, State, Why
from nii.store.users import Role, User

_TABLE = tables.queue
_FREE = {"claimed_by": None, "claimed_until": None}


_UNHELD = "a scan that nobody else is at work on"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for another look at an inspection.

    Attributes:
        why: ``second``: another officer; ``recheck``: a supervisor; ``group``: experts.
        group: of experts; only with ``group``.
        remark: what to look at; may be empty.
    """

    why: Why
    group: str = ""
    remark: str = ""

    def __post_init__(self) -> None:
        """Check the parts.

        Raises:
            NiiError: they do not go together, or a text cannot be shown.
        """
        object.__setattr__(self, "group", texts.optional("group", self.group, 64))
        object.__setattr__(self, "remark", texts.remark("remark", self.remark))
        if self.why not in (Why.SECOND, Why.RECHECK, Why.GROUP):
            raise texts.refusal("why", self.why, "second, recheck or group", "Choose one of them.")
        if (self.why is Why.GROUP) != bool(self.group):
            raise texts.refusal(
                "group", f"{self.group!r} with {self.why}", "a group with group", "Name the group."
            )


def claim(store: Store, inspection_id: int, user: User, now: datetime) -> Item:
    """Claim a scan for a user, or make a claim it has last longer.

    Raises:
        NiiError: another officer has claimed it.
        NiiError: there is no such inspection, or the user may not decide on it.
    """
    with store.write() as connection:
        item = queue.must(connection, inspection_id)
        check_may(item, user)
        check_free(item, user.id, now)
        return _take(connection, item, user, now)


def next_for(store: Store, user: User, now: datetime, skip: tuple[int, ...] = ()) -> Item | None:
    """Claim the scan that this user should look at next; None where nothing waits for it.

    A drawn clear scan that has waited too long comes first, then the most urgent one. A scan that
    the user has claimed already counts as waiting for it, unless it stands in `skip`.
    """
    with store.write() as connection:
        rules = settings.read(connection, queue.SETTINGS, QueueSettings)
        overdue = timestamp(now - timedelta(minutes=rules.audit_wait_minutes))
        first = (_TABLE.c.sampled.is_(True)) & (_TABLE.c.waiting_since <= overdue)
        base = sa.select(_TABLE.c.inspection_id).where(
            _TABLE.c.state == State.OPEN.value, _waits_for(user, now)
        )
        if skip:
            base = base.where(_TABLE.c.inspection_id.not_in(skip))
        urgent = base.order_by(
            _TABLE.c.urgency.desc(),
            _TABLE.c.risk.desc(),
            _TABLE.c.waiting_since,
            _TABLE.c.inspection_id,
        )
        number = None
        for query in (base.where(first).order_by(_TABLE.c.waiting_since), urgent):
            number = connection.execute(query.limit(1)).scalar_one_or_none()
            if number is not None:
                break
        if number is None or user.profile.role is Role.AUDITOR:
            return None
        return _take(connection, queue.must(connection, number), user, now)


def release(store: Store, inspection_id: int, by: User, now: datetime) -> bool:
    """Give a claimed scan back; return whether it was claimed at all.

    Raises:
        NiiError: another officer has claimed it, and `by` is no supervisor.
        NiiError: there is no such inspection.
    """
    with store.write() as connection:
        item = queue.must(connection, inspection_id)
        if item.claim is None:
            return False
        if by.profile.role not in (Role.SUPERVISOR, Role.ADMINISTRATOR):
            check_free(item, by.id, now)
        _set(connection, inspection_id, _FREE)
        payload = {"claimed_by": item.claim.user_id, "by": by.actor.to_json()}
        audit.append(connection, audit.Entry(audit.RELEASED, inspection_id, payload), now)
    return True


def ask(store: Store, inspection_id: int, request: Ask, by: User, now: datetime) -> Item:
    """Put an inspection back into the queue for another look; who decided last may not decide now.

    Raises:
        NiiError: another officer has claimed it.
        NiiError: there is no such inspection, or the user may not see it.
    """
    with store.write() as connection:
        item = queue.must(connection, inspection_id)
        check_site(item, by)
        check_free(item, by.id, now)
        newest = sa.select(tables.decisions.c.user_id).where(
            tables.decisions.c.inspection_id == inspection_id
        )
        newest = newest.order_by(tables.decisions.c.id.desc()).limit(1)
        last = connection.execute(newest).scalar_one_or_none()
        reopen(connection, inspection_id, request, last or by.id, by.actor, now)
        return queue.must(connection, inspection_id)


def reopen(
    connection: sa.Connection,
    inspection_id: int,
    request: Ask,
    not_by: int | None,
    by: Actor,
    now: datetime,
) -> None:
    """Put an inspection back into the queue within an open transaction, and log who asked."""
    row: dict[str, Any] = {
        "state": State.OPEN.value,
        "why": request.why.value,
        "group_name": request.group or None,
        "not_by": not_by,
        "waiting_since": timestamp(now),
    }
    _set(connection, inspection_id, row | _FREE)
    payload = {
        "why": request.why,
        "group": request.group,
        "remark": request.remark,
        "not_by": not_by,
        "by": by.to_json(),
    }
    audit.append(connection, audit.Entry(audit.ASKED, inspection_id, payload), now)


def check_free(item: Item, user_id: int | None, now: datetime) -> None:
    """Check that no other officer is at work on a scan.

    Raises:
        NiiError: another one is.
    """
    held = item.claimed(now)
    if held is not None and held.user_id != user_id:
        raise NiiError(
            f"inspection {item.inspection_id}",
            found=f"a claim of {held.name} until {timestamp(held.until)}",
            expected=_UNHELD,
            remedy=f"Take another one, or ask {held.name} or a supervisor to release it.",
        )


def is_held(error: NiiError) -> bool:
    """Tell whether an error is about a scan that another officer is at work on."""
    return error.expected == _UNHELD


def check_site(item: Item, user: User) -> None:
    """Check that an inspection belongs to a site that the user sees.

    Raises:
        NiiError: it does not; said as if there were no such inspection.
    """
    sites = user.profile.sites
    if sites is not None and item.site_id not in sites:
        subject = f"inspection {item.inspection_id}"
        raise texts.refusal(subject, "no such inspection", "one of your sites", "Check the id.")


def check_may(item: Item, user: User) -> None:
    """Check that a user may decide on an inspection now.

    Raises:
        NiiError: it is of another site, waits for somebody else, or the user only reads.
    """
    check_site(item, user)
    subject, role = f"inspection {item.inspection_id}", user.profile.role
    if role is Role.AUDITOR:
        raise texts.refusal(subject, "an auditor", "an officer", "Auditors read only.")
    if item.state is not State.OPEN:
        return
    if item.not_by == user.id:
        raise texts.refusal(
            subject,
            "the officer who decided before",
            "another one, since a second look is asked for",
            "Leave it to somebody else.",
        )
    if item.why is Why.RECHECK and role is Role.OFFICER:
        raise texts.refusal(subject, "an officer", "a supervisor", "Leave it to a supervisor.")
    if item.why is Why.GROUP and item.group != user.profile.group:
        raise texts.refusal(
            subject, "an officer of another group", f"one of {item.group}", "Leave it to them."
        )


def _waits_for(user: User, now: datetime) -> sa.ColumnElement[bool]:
    table = _TABLE.c
    free = table.claimed_by.is_(None) | (table.claimed_until <= timestamp(now))
    other = table.not_by.is_(None) | (table.not_by != user.id)
    ways: list[sa.ColumnElement[bool]] = []
    ways.append(table.why.in_((Why.NEW.value, Why.SECOND.value, Why.AUDIT.value)))
    if user.profile.role is not Role.OFFICER:
        ways.append(table.why == Why.RECHECK.value)
    if user.profile.group is not None:
        ways.append((table.why == Why.GROUP.value) & (table.group_name == user.profile.group))
    mine = free | (table.claimed_by == user.id)
    return sa.and_(mine, other, sa.or_(*ways), queue.in_sites(user.profile.sites))


def _take(connection: sa.Connection, item: Item, user: User, now: datetime) -> Item:
    rules = settings.read(connection, queue.SETTINGS, QueueSettings)
    until = now + timedelta(minutes=rules.claim_minutes)
    held = item.claimed(now)
    row = {"claimed_by": user.id, "claimed_until": timestamp(until)}
    _set(connection, item.inspection_id, row)
    if held is None or held.user_id != user.id:
        payload = {"until": timestamp(until), "by": user.actor.to_json()}
        audit.append(connection, audit.Entry(audit.CLAIMED, item.inspection_id, payload), now)
    return queue.must(connection, item.inspection_id)


def _set(connection: sa.Connection, inspection_id: int, row: dict[str, Any]) -> None:
    own = _TABLE.c.inspection_id == inspection_id
    connection.execute(sa.update(_TABLE).where(own).values(row))
