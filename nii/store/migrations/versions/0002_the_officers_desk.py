"""Add the officers' desk: queue, people, sites, documents, marks, outcomes; guard all evidence.

What a database of the first version holds is carried over: its inspections get a row in the queue,
its scanners and container numbers rows of their own, with an event in the log for each link.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SHA256 = sa.String(64)
TIME = sa.String(32)
CODE = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
APPEND_ONLY = {
    "events": ("number",),
    "decisions": ("id",),
    "inspections": ("id",),
    "regions": ("inspection_id", "number"),
    "documents": ("id",),
    "marks": ("id",),
    "outcomes": ("id",),
}
"""Tables that are guarded, each with its key."""
GUARDED_BEFORE = ("events", "decisions")
AT_ONCE = 500


def upgrade() -> None:
    """Build the new tables, widen the old ones, carry over what is there, guard the evidence."""
    for table in GUARDED_BEFORE:
        _permit_changes(table)
    _places()
    _people()
    _papers()
    _widen()
    _queue()
    _said()
    _carry_over()
    for table in APPEND_ONLY:
        _forbid_changes(table)


def downgrade() -> None:
    """Refuse: the step back would destroy the record of who decided what."""
    msg = "the officers' desk cannot be taken away: restore a backup of before if you mean it"
    raise NotImplementedError(msg)


def _places() -> None:
    op.create_table(
        "sites",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sites"),
        sa.UniqueConstraint("code", name="uq_sites_code"),
        comment="border posts, stations, depots: where scanners stand and officers work",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "scanners",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("code", sa.String(128), nullable=False, comment="as scans name it"),
        sa.Column("site_id", sa.Integer),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scanners"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_scanners_site_id_sites"),
        sa.UniqueConstraint("code", name="uq_scanners_code"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False, comment="canonical JSON"),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
        comment="what all programs on this store go by; a change is an event",
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("login", sa.String(64), nullable=False, comment="lower case"),
        sa.Column("name", sa.Text, nullable=False, comment="as decisions show it"),
        sa.Column(
            "role",
            sa.String(16),
            nullable=False,
            comment="officer supervisor administrator auditor",
        ),
        sa.Column("password_hash", sa.Text, comment="Argon2id; None: OpenID Connect only"),
        sa.Column("subject", sa.Text, comment="issuer and subject of OpenID Connect"),
        sa.Column("must_change", sa.Boolean, nullable=False, comment="password is a one-time one"),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("group_name", sa.String(64), comment="group of experts that it belongs to"),
        sa.Column("failures", sa.Integer, nullable=False, comment="wrong passwords in a row"),
        sa.Column("locked_until", TIME),
        sa.Column("disabled_at", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("login", name="uq_users_login"),
        sa.UniqueConstraint("subject", name="uq_users_subject"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user_sites",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("site_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "site_id", name="pk_user_sites"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_sites_user_id_users"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_user_sites_site_id_sites"),
        comment="sites that a user sees; a user without a row sees all",
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", SHA256, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("working_since", TIME, comment="start of viewing without a break"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("token_sha256", SHA256, nullable=False),
        sa.Column("name", sa.Text, nullable=False, comment="the program that holds it"),
        sa.Column("user_id", sa.Integer, nullable=False, comment="who made it"),
        sa.Column("scopes", sa.Text, nullable=False, comment="space-separated"),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id_users"),
        sa.UniqueConstraint("token_sha256", name="uq_tokens_token_sha256"),
        sqlite_autoincrement=True,
    )


def _papers() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("scan_sha256", SHA256, nullable=False),
        sa.Column(
            "kind",
            sa.String(16),
            nullable=False,
            comment="container, wagon, plate, manifest, goods",
        ),
        sa.Column("value", CODE, nullable=False, comment="upper case, without spaces"),
        sa.Column("check_digit_fits", sa.Boolean, comment="None where the kind has no check digit"),
        sa.Column("linked_at", TIME, nullable=False),
        sa.Column("linked_by", sa.Text, nullable=False, comment="user, or the source in words"),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(
            ["scan_sha256"], ["scans.sha256"], name="fk_documents_scan_sha256_scans"
        ),
        sa.UniqueConstraint(
            "scan_sha256", "kind", "value", name="uq_documents_scan_sha256_kind_value"
        ),
        comment="what ties a scan to its papers: ISO 6346 number, wagon, plate, manifest, HS code",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_value", "documents", ["value"])


def _widen() -> None:
    """Add columns; SQLite makes these tables anew, for it cannot add a named foreign key."""
    with op.batch_alter_table("scans") as scans:
        comment = "when the scanner made it, where that is known"
        scans.add_column(sa.Column("scanned_at", TIME, comment=comment))
        scans.add_column(sa.Column("scanner_id", sa.Integer))
        scans.create_foreign_key("fk_scans_scanner_id_scanners", "scanners", ["scanner_id"], ["id"])
    with op.batch_alter_table(
        "decisions", table_kwargs={"sqlite_autoincrement": True}
    ) as decisions:
        decisions.add_column(sa.Column("user_id", sa.Integer, comment="None: before accounts"))
        decisions.add_column(
            sa.Column("reason_code", sa.String(32), nullable=False, server_default=sa.text("''"))
        )
        decisions.add_column(
            sa.Column(
                "why", sa.String(16), nullable=False, server_default="new", comment="as in queue"
            )
        )
        comment = "from opening the scan to the decision"
        decisions.add_column(sa.Column("seconds", sa.Float, comment=comment))
        decisions.add_column(
            sa.Column("blind", sa.Boolean, nullable=False, server_default=sa.false())
        )
        decisions.create_foreign_key("fk_decisions_user_id_users", "users", ["user_id"], ["id"])
        decisions.create_index("ix_decisions_decided_at", ["decided_at"])
    with op.batch_alter_table("events") as events:
        events.alter_column(
            "inspection_id",
            existing_type=sa.Integer,
            nullable=True,
            comment="None: about a user",
        )
    op.drop_index("ix_regions_class_name", "regions")
    op.create_index(
        "ix_regions_class_name_inspection_id", "regions", ["class_name", "inspection_id"]
    )


def _queue() -> None:
    op.create_table(
        "queue",
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, comment="open, decided"),
        sa.Column(
            "why", sa.String(16), nullable=False, comment="new, second, recheck, group, audit"
        ),
        sa.Column("urgency", sa.Integer, nullable=False, comment="as in inspections"),
        sa.Column("risk", sa.Float, nullable=False, comment="sorts within an urgency, 0 to 1"),
        sa.Column("waiting_since", TIME, nullable=False),
        sa.Column("filed_at", TIME, nullable=False, comment="as in inspections"),
        sa.Column("site_id", sa.Integer),
        sa.Column("scanner_id", sa.Integer),
        sa.Column("group_name", sa.String(64), comment="group of experts that is asked"),
        sa.Column(
            "blind", sa.Boolean, nullable=False, comment="regions are shown after the decision"
        ),
        sa.Column(
            "sampled", sa.Boolean, nullable=False, comment="called clear, drawn for an audit"
        ),
        sa.Column("claimed_by", sa.Integer),
        sa.Column("claimed_until", TIME),
        sa.Column("not_by", sa.Integer, comment="a second must be another"),
        sa.Column("verdict", sa.String(16), comment="of the newest decision"),
        sa.Column("decided_at", TIME, comment="of the newest decision"),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_queue"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_queue_inspection_id_inspections"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_queue_site_id_sites"),
        sa.ForeignKeyConstraint(
            ["scanner_id"], ["scanners.id"], name="fk_queue_scanner_id_scanners"
        ),
        sa.ForeignKeyConstraint(["claimed_by"], ["users.id"], name="fk_queue_claimed_by_users"),
        sa.ForeignKeyConstraint(["not_by"], ["users.id"], name="fk_queue_not_by_users"),
        comment="what waits for whom; follows from events, which are the record",
    )
    order = ["state", sa.text("urgency DESC"), sa.text("risk DESC"), "waiting_since"]
    filters = [
        "inspection_id",
        "why",
        "site_id",
        "scanner_id",
        "group_name",
        "claimed_by",
        "filed_at",
    ]
    op.create_index("ix_queue_order", "queue", [*order, *filters])
    op.create_index("ix_queue_site_id_state", "queue", ["site_id", "state"])
    for column in ("decided_at", "filed_at", "claimed_by", "group_name"):
        op.create_index(f"ix_queue_{column}", "queue", [column])


def _said() -> None:
    op.create_table(
        "marks",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("region_number", sa.Integer, comment="None: drawn by the officer"),
        sa.Column(
            "mark",
            sa.String(16),
            nullable=False,
            comment="confirmed rejected wrong_box drawn withdrawn",
        ),
        sa.Column("withdraws", sa.Integer, comment="a mark made earlier"),
        sa.Column("class_name", sa.String(64), nullable=False, server_default=sa.text("''")),
        sa.Column(
            "box_xyxy", sa.Text, comment="JSON: four numbers, scan pixels, upper bound exclusive"
        ),
        sa.Column("remark", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("user_id", sa.Integer),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("marked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_marks"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_marks_inspection_id_inspections"
        ),
        sa.ForeignKeyConstraint(["withdraws"], ["marks.id"], name="fk_marks_withdraws_marks"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_marks_user_id_users"),
        comment="what officers say of regions, and what they draw themselves",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_marks_inspection_id", "marks", ["inspection_id"])
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column(
            "found",
            sa.Boolean,
            nullable=False,
            comment="the physical examination found something",
        ),
        sa.Column("class_name", sa.String(64), nullable=False, server_default=sa.text("''")),
        sa.Column("quantity", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("remark", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("user_id", sa.Integer),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("examined_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outcomes"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_outcomes_inspection_id_inspections"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_outcomes_user_id_users"),
        comment="what the physical examination found",
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outcomes_inspection_id", "outcomes", ["inspection_id"])


def _carry_over() -> None:
    connection = op.get_bind()
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    scanners: dict[str, int] = {}
    for row in _inspections(connection):
        document = json.loads(row.document)
        scanner = _scanner(connection, scanners, document["scan"]["scanner"])
        _carry_scan(connection, row.scan_sha256, scanner, document["scan"]["acquired_at"])
        newest = connection.execute(
            sa.text(
                "SELECT verdict, decided_at FROM decisions WHERE inspection_id = :id "
                "ORDER BY id DESC LIMIT 1"
            ),
            {"id": row.id},
        ).one_or_none()
        scores = [region["score"] for region in document["regions"]]
        anomaly = (document.get("anomaly") or {}).get("score", 0.0)
        _insert(
            connection,
            "queue",
            {
                "inspection_id": row.id,
                "state": "decided" if newest else "open",
                "why": "new",
                "urgency": row.urgency,
                "risk": max(scores, default=anomaly),
                "waiting_since": row.filed_at,
                "filed_at": row.filed_at,
                "scanner_id": scanner,
                "blind": False,
                "sampled": False,
                "verdict": newest.verdict if newest else None,
                "decided_at": newest.decided_at if newest else None,
            },
        )
        _link(connection, row, document["scan"]["container_numbers"], now)


def _inspections(connection: sa.Connection) -> Iterator[Any]:
    query = sa.text(
        "SELECT id, scan_sha256, urgency, filed_at, document FROM inspections "
        "WHERE id > :last ORDER BY id LIMIT :most"
    )
    last = 0
    while rows := connection.execute(query, {"last": last, "most": AT_ONCE}).all():
        yield from rows
        last = rows[-1].id


def _scanner(connection: sa.Connection, known: dict[str, int], code: str | None) -> int | None:
    code = (code or "").strip()[:128]
    if not code:
        return None
    if code not in known:
        known[code] = len(known) + 1
        _insert(connection, "scanners", {"code": code, "name": code})
        found = sa.text("SELECT id FROM scanners WHERE code = :code")
        known[code] = connection.execute(found, {"code": code}).scalar_one()
    return known[code]


def _carry_scan(
    connection: sa.Connection, sha256: str, scanner: int | None, acquired_at: str | None
) -> None:
    at = None
    if acquired_at:
        at = datetime.fromisoformat(acquired_at).astimezone(UTC).isoformat(timespec="microseconds")
    connection.execute(
        sa.text("UPDATE scans SET scanner_id = :scanner, scanned_at = :at WHERE sha256 = :sha256"),
        {"scanner": scanner, "at": at, "sha256": sha256},
    )


def _link(connection: sa.Connection, row: Any, numbers: list[str], now: str) -> None:  # noqa: ANN401
    linked = []
    for number in numbers:
        value = "".join(number.split()).upper()[:128]
        key = {"scan_sha256": row.scan_sha256, "kind": "container", "value": value}
        where = "scan_sha256 = :scan_sha256 AND kind = :kind AND value = :value"
        there = sa.text(f"SELECT id FROM documents WHERE {where}")  # noqa: S608
        if not value or connection.execute(there, key).one_or_none():
            continue
        facts = {"check_digit_fits": _fits(value), "linked_at": now, "linked_by": "scan"}
        _insert(connection, "documents", key | facts)
        linked.append({"id": connection.execute(there, key).scalar_one()} | key | facts)
    if linked:
        _log(connection, row.id, {"documents": linked}, now)


def _fits(value: str) -> bool:
    """Check an ISO 6346 number as documents do from this version on."""
    if len(value) != 11 or not value.isascii():  # noqa: PLR2004
        return False
    if not (value[:3].isalpha() and value[3] in "UJZR" and value[4:].isdigit()):
        return False
    letters = dict(
        zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (n for n in range(10, 39) if n % 11), strict=True)
    )
    total = sum((letters.get(sign) or int(sign)) << place for place, sign in enumerate(value[:10]))
    return total % 11 % 10 == int(value[10])


def _log(connection: sa.Connection, inspection_id: int, payload: dict[str, Any], now: str) -> None:
    newest = sa.text("SELECT number, sha256 FROM events ORDER BY number DESC LIMIT 1")
    last = connection.execute(newest).one()
    facts = {
        "number": last.number + 1,
        "at": now,
        "kind": "linked",
        "inspection_id": inspection_id,
        "payload": _canonical(payload),
    }
    digest = hashlib.sha256(f"{last.sha256}\n{_canonical(facts)}".encode()).hexdigest()
    _insert(connection, "events", facts | {"previous_sha256": last.sha256, "sha256": digest})


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _insert(connection: sa.Connection, table: str, values: dict[str, Any]) -> None:
    marks = ", ".join(f":{name}" for name in values)
    statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
    connection.execute(sa.text(statement), values)


def _permit_changes(table: str) -> None:
    """Take the guards of the first version away; all tables get the same ones at the end."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{action}")
        return
    op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
    op.execute(f"DROP FUNCTION {table}_append_only()")


def _forbid_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action} BEFORE {action.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} may only be added to'); END"
            )
        # INSERT OR REPLACE deletes a row without asking the trigger on DELETE.
        same = " AND ".join(f"{column} = NEW.{column}" for column in APPEND_ONLY[table])
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} may only be added to'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} may only be added to'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
