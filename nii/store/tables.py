"""The tables of the database, in SQLAlchemy Core.

The migrations beside this module build the same schema; a test compares the two. Times are text:
ISO 8601 in UTC with microseconds, which sorts by time in every database. Documents are canonical
JSON as text, so that their SHA-256 can be checked for as long as the row lives.

What is evidence is only ever added to (:data:`APPEND_ONLY`): triggers in the migrations refuse to
change or delete a row. What moves — who has claimed which scan, who is logged in — stands in tables
of its own, beside the evidence and never in it.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_SHA256 = sa.String(64)
_TIME = sa.String(32)
_CODE = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
"""Sorts by character codes on every server, so that an index finds what begins alike."""

scans = sa.Table(
    "scans",
    metadata,
    sa.Column("sha256", _SHA256, primary_key=True, comment="nii.provenance.sha256_of_sources"),
    sa.Column("files", sa.Text, nullable=False, comment="JSON: name, sha256, bytes of each file"),
    sa.Column("kept_at", _TIME, nullable=False),
    sa.Column("scanned_at", _TIME, comment="when the scanner made it, where that is known"),
    sa.Column("scanner_id", sa.Integer, sa.ForeignKey("scanners.id")),
)

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("code", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sqlite_autoincrement=True,
    comment="border posts, stations, depots: where scanners stand and officers work",
)

scanners = sa.Table(
    "scanners",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("code", sa.String(128), nullable=False, unique=True, comment="as scans name it"),
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id")),
    sa.Column("name", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scan_sha256", _SHA256, sa.ForeignKey("scans.sha256"), nullable=False),
    sa.Column(
        "kind", sa.String(16), nullable=False, comment="container, wagon, plate, manifest, goods"
    ),
    sa.Column("value", _CODE, nullable=False, comment="upper case, without spaces"),
    sa.Column("check_digit_fits", sa.Boolean, comment="None where the kind has no check digit"),
    sa.Column("linked_at", _TIME, nullable=False),
    sa.Column("linked_by", sa.Text, nullable=False, comment="user, or the source in words"),
    sa.UniqueConstraint("scan_sha256", "kind", "value"),
    sa.Index(None, "value", "scan_sha256"),
    sqlite_autoincrement=True,
    comment="what ties a scan to its papers: ISO 6346 number, wagon, plate, manifest, HS code",
)

inspections = sa.Table(
    "inspections",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("scan_sha256", _SHA256, sa.ForeignKey("scans.sha256"), nullable=False),
    sa.Column("model_sha256", _SHA256, nullable=False, comment="digest of the model bundle"),
    sa.Column("urgency", sa.Integer, nullable=False, comment="Level.rank: 0 clear 1 look 2 search"),
    sa.Column("filed_at", _TIME, nullable=False),
    sa.Column("document", sa.Text, nullable=False, comment="the whole inspection, canonical JSON"),
    sa.UniqueConstraint("scan_sha256", "model_sha256"),
    sa.Index(None, "urgency", "id"),
    sqlite_autoincrement=True,
)

regions = sa.Table(
    "regions",
    metadata,
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("class_name", sa.String(64), nullable=False),
    sa.Column("category", sa.String(64), nullable=False),
    sa.Column("level", sa.String(16), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Index(None, "class_name", "inspection_id"),
    comment="what inspections can be searched by; the document is what counts",
)

queue = sa.Table(
    "queue",
    metadata,
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, comment="open, decided"),
    sa.Column("why", sa.String(16), nullable=False, comment="new, second, recheck, group, audit"),
    sa.Column("urgency", sa.Integer, nullable=False, comment="as in inspections"),
    sa.Column("risk", sa.Float, nullable=False, comment="sorts within an urgency, 0 to 1"),
    sa.Column("waiting_since", _TIME, nullable=False),
    sa.Column("filed_at", _TIME, nullable=False, comment="as in inspections"),
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id")),
    sa.Column("scanner_id", sa.Integer, sa.ForeignKey("scanners.id")),
    sa.Column("group_name", sa.String(64), comment="group of experts that is asked"),
    sa.Column("blind", sa.Boolean, nullable=False, comment="regions are shown after the decision"),
    sa.Column("sampled", sa.Boolean, nullable=False, comment="called clear, drawn for an audit"),
    sa.Column("claimed_by", sa.Integer, sa.ForeignKey("users.id")),
    sa.Column("claimed_until", _TIME),
    sa.Column("not_by", sa.Integer, sa.ForeignKey("users.id"), comment="a second must be another"),
    sa.Column("verdict", sa.String(16), comment="of the newest decision"),
    sa.Column("decided_at", _TIME, comment="of the newest decision"),
    sa.Index(None, "site_id", "state"),
    sa.Index(None, "decided_at"),
    sa.Index(None, "filed_at"),
    sa.Index(None, "claimed_by"),
    sa.Index(None, "group_name"),
    comment="what waits for whom; follows from events, which are the record",
)

sa.Index(
    "ix_queue_order",
    queue.c.state,
    queue.c.urgency.desc(),
    queue.c.risk.desc(),
    queue.c.waiting_since,
    queue.c.inspection_id,
    # What is filtered by stands in the index too, so that rows that do not fit are never fetched:
    # with 200,000 inspections "mine" took 0.57 s without it.
    queue.c.why,
    queue.c.site_id,
    queue.c.scanner_id,
    queue.c.group_name,
    queue.c.claimed_by,
    queue.c.filed_at,
)
# The next scan is looked for while nobody else can write; without this index every open inspection
# was read for it: 0.43 s of 200,000.
sa.Index(
    "ix_queue_sampled",
    queue.c.state,
    queue.c.waiting_since,
    sqlite_where=queue.c.sampled.is_(True),
    postgresql_where=queue.c.sampled.is_(True),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("login", sa.String(64), nullable=False, unique=True, comment="lower case"),
    sa.Column("name", sa.Text, nullable=False, comment="as decisions show it"),
    sa.Column(
        "role", sa.String(16), nullable=False, comment="officer supervisor administrator auditor"
    ),
    sa.Column("password_hash", sa.Text, comment="Argon2id; None: OpenID Connect only"),
    sa.Column("subject", sa.Text, unique=True, comment="issuer and subject of OpenID Connect"),
    sa.Column("must_change", sa.Boolean, nullable=False, comment="password is a one-time one"),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("group_name", sa.String(64), comment="group of experts that it belongs to"),
    sa.Column("failures", sa.Integer, nullable=False, comment="wrong passwords in a row"),
    sa.Column("locked_until", _TIME),
    sa.Column("disabled_at", _TIME),
    sa.Column("created_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)

user_sites = sa.Table(
    "user_sites",
    metadata,
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("site_id", sa.Integer, sa.ForeignKey("sites.id"), primary_key=True),
    comment="sites that a user sees; a user without a row sees all",
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_sha256", _SHA256, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("seen_at", _TIME, nullable=False),
    sa.Column("ends_at", _TIME, nullable=False),
    sa.Column("working_since", _TIME, comment="start of viewing without a break"),
    sa.Index(None, "user_id"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("token_sha256", _SHA256, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, comment="the program that holds it"),
    sa.Column(
        "user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False, comment="who made it"
    ),
    sa.Column("scopes", sa.Text, nullable=False, comment="space-separated"),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("ends_at", _TIME, nullable=False),
    sa.Column("revoked_at", _TIME),
    sqlite_autoincrement=True,
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False, comment="canonical JSON"),
    sa.Column("changed_at", _TIME, nullable=False),
    comment="what all programs on this store go by; a change is an event",
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("officer", sa.Text, nullable=False),
    sa.Column("decided_at", _TIME, nullable=False),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), comment="None: before accounts"),
    sa.Column("reason_code", sa.String(32), nullable=False, server_default=sa.text("''")),
    sa.Column("why", sa.String(16), nullable=False, server_default="new", comment="as in queue"),
    sa.Column("seconds", sa.Float, comment="from opening the scan to the decision"),
    sa.Column("blind", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "inspection_id"),
    sa.Index(None, "decided_at"),
    sqlite_autoincrement=True,
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), nullable=False),
    sa.Column("region_number", sa.Integer, comment="None: drawn by the officer"),
    sa.Column(
        "mark",
        sa.String(16),
        nullable=False,
        comment="confirmed rejected wrong_box drawn withdrawn",
    ),
    sa.Column("withdraws", sa.Integer, sa.ForeignKey("marks.id"), comment="a mark made earlier"),
    sa.Column("class_name", sa.String(64), nullable=False, server_default=sa.text("''")),
    sa.Column(
        "box_xyxy", sa.Text, comment="JSON: four numbers, scan pixels, upper bound exclusive"
    ),
    sa.Column("remark", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id")),
    sa.Column("officer", sa.Text, nullable=False),
    sa.Column("marked_at", _TIME, nullable=False),
    sa.Index(None, "inspection_id"),
    sqlite_autoincrement=True,
    comment="what officers say of regions, and what they draw themselves",
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), nullable=False),
    sa.Column(
        "found", sa.Boolean, nullable=False, comment="the physical examination found something"
    ),
    sa.Column("class_name", sa.String(64), nullable=False, server_default=sa.text("''")),
    sa.Column("quantity", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("remark", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id")),
    sa.Column("officer", sa.Text, nullable=False),
    sa.Column("examined_at", _TIME, nullable=False),
    sa.Index(None, "inspection_id"),
    sqlite_autoincrement=True,
    comment="what the physical examination found",
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, 3, …"),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column(
        "inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), comment="None: about a user"
    ),
    sa.Column("payload", sa.Text, nullable=False, comment="canonical JSON"),
    sa.Column("previous_sha256", _SHA256, nullable=False),
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
    sa.Index(None, "inspection_id", "kind"),
)

APPEND_ONLY = ("events", "decisions", "inspections", "regions", "documents", "marks", "outcomes")
"""Tables whose rows are never changed or deleted."""
