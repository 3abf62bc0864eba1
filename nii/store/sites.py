"""Sites, where officers work, and the scanners that stand there.

A scanner is made when its first scan is filed, under the name that its scans give. Which site it
stands at is for an administrator to say; its scans of before are then shown there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from nii.store import audit, tables, texts
from nii.store.audit import Actor
from nii.store.database import Store

_SITES = tables.sites
_SCANNERS = tables.scanners
_CODE_LIMIT = 128


@dataclass(frozen=True, slots=True)
class Site:
    """A border post, station or depot."""

    id: int
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Scanner:
    """A machine that makes scans.

    Attributes:
        id: counts scanners from 1.
        code: as its scans name it.
        name: as pages show it.
        site_id: where it stands; None where nobody has said so.
    """

    id: int
    code: str
    name: str
    site_id: int | None = None


def add(store: Store, code: str, name: str, by: Actor, at: datetime) -> Site:
    """Add a site.

    Raises:
        NiiError: the code is taken, or a text cannot be shown.
    """
    code, name = texts.name("code", code, 64), texts.name("name", name)
    with store.write() as connection:
        taken = sa.select(sa.exists().where(_SITES.c.code == code))
        if connection.execute(taken).scalar_one():
            raise texts.refusal(code, "a site of this code", "a new code", "Choose another code.")
        row = {"code": code, "name": name}
        result = connection.execute(sa.insert(_SITES).values(row).returning(_SITES.c.id))
        site = Site(int(result.scalar_one()), code, name)
        payload = {"site_id": site.id, **row, "by": by.to_json()}
        audit.append(connection, audit.Entry(audit.SITE_CHANGED, None, payload), at)
    return site


def listing(store: Store) -> tuple[Site, ...]:
    """Return all sites by code."""
    with store.read() as connection:
        rows = connection.execute(sa.select(_SITES).order_by(_SITES.c.code)).all()
    return tuple(Site(row.id, row.code, row.name) for row in rows)


def scanners(store: Store) -> tuple[Scanner, ...]:
    """Return all scanners by code."""
    with store.read() as connection:
        rows = connection.execute(sa.select(_SCANNERS).order_by(_SCANNERS.c.code)).all()
    return tuple(Scanner(row.id, row.code, row.name, row.site_id) for row in rows)


def assign(
    store: Store, scanner_id: int, name: str, site_id: int | None, by: Actor, at: datetime
) -> None:
    """Say how a scanner is called and where it stands; all its scans follow it.

    Raises:
        NiiError: there is no such scanner or site, or the name cannot be shown.
    """
    name = texts.name("name", name)
    with store.write() as connection:
        for table, number in ((_SCANNERS, scanner_id), (_SITES, site_id)):
            there = sa.select(sa.exists().where(table.c.id == number))
            if number is not None and not connection.execute(there).scalar_one():
                subject = f"{table.name} {number}"
                raise texts.refusal(subject, "nothing with this id", "a stored one", "Check it.")
        row = {"name": name, "site_id": site_id}
        own = _SCANNERS.c.id == scanner_id
        connection.execute(sa.update(_SCANNERS).where(own).values(row))
        waiting = tables.queue.c.scanner_id == scanner_id
        connection.execute(sa.update(tables.queue).where(waiting).values(site_id=site_id))
        payload = {"scanner_id": scanner_id, **row, "by": by.to_json()}
        audit.append(connection, audit.Entry(audit.SITE_CHANGED, None, payload), at)


def add_scanner(
    store: Store, code: str, name: str, site_id: int | None, by: Actor, at: datetime
) -> Scanner:
    """Add a scanner before its first scan, or change the one that is there.

    Raises:
        NiiError: there is no such site, or a text cannot be shown.
    """
    code = texts.name("code", code, _CODE_LIMIT)
    with store.write() as connection:
        scanner = of_code(connection, code)
    assert scanner is not None  # noqa: S101 - the code is not empty
    assign(store, scanner.id, name, site_id, by, at)
    return Scanner(scanner.id, code, texts.name("name", name), site_id)


def of_code(connection: sa.Connection, code: str | None) -> Scanner | None:
    """Return the scanner that scans name so, made where it is new; None where they name none."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in code or "")
    code = shown.strip()[:_CODE_LIMIT]
    if not code:
        return None
    row = connection.execute(sa.select(_SCANNERS).where(_SCANNERS.c.code == code)).one_or_none()
    if row is not None:
        return Scanner(row.id, row.code, row.name, row.site_id)
    values = {"code": code, "name": code}
    result = connection.execute(sa.insert(_SCANNERS).values(values).returning(_SCANNERS.c.id))
    return Scanner(int(result.scalar_one()), code, code)
