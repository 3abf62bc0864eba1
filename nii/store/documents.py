"""Documents: what ties a scan to its papers, with the check digits of container and wagon numbers.

Container numbers that come with a scan are linked when it is filed; officers and programs link more
later. A number whose check digit does not fit is kept and marked, never mended: it is what was
read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from string import ascii_uppercase
from typing import Any

import sqlalchemy as sa

from nii.store import audit, tables, texts
from nii.store.audit import Actor
from nii.store.database import Store, timestamp

_TABLE = tables.documents
_LIMIT = 128
_CONTAINER = re.compile(r"[A-Z]{3}[UJZR][0-9]{7}", re.ASCII)
_WAGON = re.compile(r"[0-9]{8}|[0-9]{12}", re.ASCII)
_LETTERS = dict(zip(ascii_uppercase, (n for n in range(10, 39) if n % 11), strict=True))
"""ISO 6346: values of letters rise from 10 and pass over the multiples of 11."""

_PROJECTION = "threat image projection"
"""How the step of :mod:`nii.simulate.tip` begins."""


class Kind(StrEnum):
    """What a document is: container or wagon number, number plate, cargo manifest, goods code.

    A test marks a scan that shows no real cargo: a projected threat, training, acceptance. Tests
    count in no numbers and train no model.
    """

    CONTAINER = "container"
    WAGON = "wagon"
    PLATE = "plate"
    MANIFEST = "manifest"
    GOODS = "goods"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Paper:
    """A reference to link to a scan; its value is brought into one form.

    Attributes:
        kind: what it is.
        value: upper case, without white space; not empty, up to 128 characters.
    """

    kind: Kind
    value: str

    def __post_init__(self) -> None:
        """Bring the value into its form.

        Raises:
            NiiError: it is empty, too long or cannot be shown.
        """
        value = normal(texts.name(self.kind.value, self.value, 2 * _LIMIT))
        object.__setattr__(self, "value", texts.name(self.kind.value, value, _LIMIT))


@dataclass(frozen=True, slots=True)
class Document:
    """A reference as it stands in the store.

    Attributes:
        id: counts documents from 1.
        scan_sha256: the scan it is linked to.
        kind: what it is.
        value: upper case, without white space.
        check_digit_fits: whether it is a well-formed number whose check digit fits; None where the
            kind has none.
        linked_at: when it was linked.
        linked_by: a user's name, or the source in words.
    """

    id: int
    scan_sha256: str
    kind: Kind
    value: str
    check_digit_fits: bool | None
    linked_at: datetime
    linked_by: str


def normal(value: str) -> str:
    """Return a reference in upper case without white space."""
    return "".join(value.split()).upper()


def fits(paper: Paper) -> bool | None:
    """Return whether the check digit fits; None where the kind has none."""
    check = {Kind.CONTAINER: container_fits, Kind.WAGON: wagon_fits}.get(paper.kind)
    return check(paper.value) if check else None


def container_fits(number: str) -> bool:
    """Return whether a container number is well-formed and its check digit is right.

    Reference:
        ISO 6346:2022, annex A: values weighted by powers of 2, summed modulo 11; a remainder of 10
        is written as 0.
    """
    if not _CONTAINER.fullmatch(number):
        return False
    values = (_LETTERS.get(sign) or int(sign) for sign in number[:10])
    total = sum(value << place for place, value in enumerate(values))
    return total % 11 % 10 == int(number[10])


def wagon_fits(number: str) -> bool:
    """Return whether a wagon number has 8 or 12 digits, of which the last is the right check digit.

    Hyphens and spaces do not count. Both systems weight digits by 2 and 1 in turn, from the one
    before the check digit on, and add up the digits of the products; the check digit fills the sum
    up to a multiple of 10.

    Reference:
        UIC leaflet 438-2 (12 digits). That wagons of the 1520 mm gauge (8 digits) go by the same
        rule is an assumption: no published example was at hand to check it against.
    """
    digits = number.replace("-", "").replace(" ", "")
    if not _WAGON.fullmatch(digits):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value // 10 + value % 10
    return total % 10 == 0


def link(store: Store, scan_sha256: str, paper: Paper, by: Actor, at: datetime) -> Document:
    """Link a reference to a scan, with its event; one that is linked already is returned.

    Raises:
        NiiError: there is no such scan.
    """
    with store.write() as connection:
        there = sa.select(sa.exists().where(tables.scans.c.sha256 == scan_sha256))
        if not connection.execute(there).scalar_one():
            raise texts.refusal(f"scan {scan_sha256}", "no such scan", "a stored one", "Check it.")
        newest = sa.select(sa.func.max(tables.inspections.c.id)).where(
            tables.inspections.c.scan_sha256 == scan_sha256
        )
        about = connection.execute(newest).scalar_one()
        link_all(connection, scan_sha256, about, (paper,), by, at)
        query = _of_scan(scan_sha256).where(
            (_TABLE.c.kind == paper.kind.value) & (_TABLE.c.value == paper.value)
        )
        return _document(connection.execute(query).one()._asdict())


def link_all(
    connection: sa.Connection,
    scan_sha256: str,
    inspection_id: int | None,
    papers: tuple[Paper, ...],
    by: Actor,
    at: datetime,
) -> None:
    """Link references within an open transaction, those that are new, with one event for all."""
    query = sa.select(_TABLE.c.kind, _TABLE.c.value).where(_TABLE.c.scan_sha256 == scan_sha256)
    known = {(row.kind, row.value) for row in connection.execute(query)}
    linked = []
    for paper in dict.fromkeys(papers):
        if (paper.kind.value, paper.value) in known:
            continue
        row = {
            "scan_sha256": scan_sha256,
            "kind": paper.kind.value,
            "value": paper.value,
            "check_digit_fits": fits(paper),
            "linked_at": timestamp(at),
            "linked_by": by.name,
        }
        result = connection.execute(sa.insert(_TABLE).values(row).returning(_TABLE.c.id))
        linked.append({"id": int(result.scalar_one()), **row})
    if linked:
        audit.append(
            connection, audit.Entry(audit.LINKED, inspection_id, {"documents": linked}), at
        )


def of_scan(store: Store, scan_sha256: str) -> tuple[Document, ...]:
    """Return all references of a scan in the order in which they were linked."""
    with store.read() as connection:
        rows = connection.execute(_of_scan(scan_sha256)).all()
    return tuple(_document(row._asdict()) for row in rows)


def passages(store: Store, scan_sha256: str, limit: int = 20) -> tuple[int, ...]:
    """Return inspections of other scans with a container, wagon or plate of this one, newest first.

    Numbers whose check digit does not fit count as well: they may be the same misreading.
    """
    own, other = _TABLE.alias("own"), _TABLE.alias("other")
    same = (own.c.kind == other.c.kind) & (own.c.value == other.c.value)
    kinds = (Kind.CONTAINER.value, Kind.WAGON.value, Kind.PLATE.value)
    shared = (
        sa.select(other.c.scan_sha256)
        .select_from(own.join(other, same))
        .where(
            own.c.scan_sha256 == scan_sha256,
            own.c.kind.in_(kinds),
            other.c.scan_sha256 != scan_sha256,
        )
    )
    table = tables.inspections
    query = (
        sa.select(sa.func.max(table.c.id).label("newest"))
        .where(table.c.scan_sha256.in_(shared))
        .group_by(table.c.scan_sha256)
        .order_by(sa.desc("newest"))
        .limit(limit)
    )
    with store.read() as connection:
        return tuple(connection.execute(query).scalars())


def tests_of(steps: tuple[str, ...]) -> tuple[Paper, ...]:
    """Return what marks a scan as a test, where its provenance tells of a projected threat."""
    projected = any(step.startswith(_PROJECTION) for step in steps)
    return (Paper(Kind.TEST, "threat image projection"),) if projected else ()


def papers_of(numbers: tuple[str, ...]) -> tuple[Paper, ...]:
    """Return the container numbers of a scan as references; what cannot be one is left out."""
    papers = []
    for number in numbers:
        value = normal("".join(sign if sign.isprintable() else " " for sign in number))[:_LIMIT]
        if value:
            papers.append(Paper(Kind.CONTAINER, value))
    return tuple(papers)


def _of_scan(scan_sha256: str) -> sa.Select[Any]:
    return sa.select(_TABLE).where(_TABLE.c.scan_sha256 == scan_sha256).order_by(_TABLE.c.id)


def _document(row: dict[str, Any]) -> Document:
    return Document(
        row["id"],
        row["scan_sha256"],
        Kind(row["kind"]),
        row["value"],
        row["check_digit_fits"],
        datetime.fromisoformat(row["linked_at"]),
        row["linked_by"],
    )
