"""The tables of the database, in SQLAlchemy Core.

The migrations beside this module build the same schema; a test compares the two. Times are text:
ISO 8601 in UTC with microseconds, which sorts by time in every database. Documents are canonical
JSON as text, so that their SHA-256 can be checked for as long as the row lives.

``events`` and ``decisions`` are only ever added to: triggers in the migration refuse to change or
delete a row.
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

scans = sa.Table(
    "scans",
    metadata,
    sa.Column("sha256", _SHA256, primary_key=True, comment="nii.provenance.sha256_of_sources"),
    sa.Column("files", sa.Text, nullable=False, comment="JSON: name, sha256, bytes of each file"),
    sa.Column("kept_at", _TIME, nullable=False),
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
    sa.Index(None, "class_name"),
    comment="what inspections can be searched by; the document is what counts",
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
    sa.Index(None, "inspection_id"),
    sqlite_autoincrement=True,
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, 3, …"),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("inspection_id", sa.Integer, sa.ForeignKey("inspections.id"), nullable=False),
    sa.Column("payload", sa.Text, nullable=False, comment="canonical JSON"),
    sa.Column("previous_sha256", _SHA256, nullable=False),
    sa.Column("sha256", _SHA256, nullable=False, unique=True),
    sa.Index(None, "inspection_id", "kind"),
)

APPEND_ONLY = ("events", "decisions")
"""Tables whose rows are never changed or deleted."""
