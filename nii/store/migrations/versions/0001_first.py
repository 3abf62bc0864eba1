"""Build the first tables: scans, inspections, regions, decisions, events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SHA256 = sa.String(64)
TIME = sa.String(32)
APPEND_ONLY = ("events", "decisions")


def upgrade() -> None:
    """Build the tables and forbid changes of what may only be added to."""
    op.create_table(
        "scans",
        sa.Column("sha256", SHA256, nullable=False, comment="nii.provenance.sha256_of_sources"),
        sa.Column(
            "files", sa.Text, nullable=False, comment="JSON: name, sha256, bytes of each file"
        ),
        sa.Column("kept_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_scans"),
    )
    _inspections()
    _regions()
    _decisions()
    _events()
    for table in APPEND_ONLY:
        _forbid_changes(table)


def downgrade() -> None:
    """Refuse: the step back from the first tables would destroy the record."""
    msg = "the first migration cannot be undone: delete the database by hand if you mean it"
    raise NotImplementedError(msg)


def _inspections() -> None:
    op.create_table(
        "inspections",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("scan_sha256", SHA256, nullable=False),
        sa.Column("model_sha256", SHA256, nullable=False, comment="digest of the model bundle"),
        sa.Column(
            "urgency", sa.Integer, nullable=False, comment="Level.rank: 0 clear 1 look 2 search"
        ),
        sa.Column("filed_at", TIME, nullable=False),
        sa.Column(
            "document", sa.Text, nullable=False, comment="the whole inspection, canonical JSON"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inspections"),
        sa.ForeignKeyConstraint(
            ["scan_sha256"], ["scans.sha256"], name="fk_inspections_scan_sha256_scans"
        ),
        sa.UniqueConstraint(
            "scan_sha256", "model_sha256", name="uq_inspections_scan_sha256_model_sha256"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inspections_urgency_id", "inspections", ["urgency", "id"])


def _regions() -> None:
    op.create_table(
        "regions",
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("class_name", sa.String(64), nullable=False),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("inspection_id", "number", name="pk_regions"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_regions_inspection_id_inspections"
        ),
        comment="what inspections can be searched by; the document is what counts",
    )
    op.create_index("ix_regions_class_name", "regions", ["class_name"])


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("officer", sa.Text, nullable=False),
        sa.Column("decided_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_decisions_inspection_id_inspections"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_decisions_inspection_id", "decisions", ["inspection_id"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False, comment="1, 2, 3, …"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("inspection_id", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False, comment="canonical JSON"),
        sa.Column("previous_sha256", SHA256, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_events"),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.id"], name="fk_events_inspection_id_inspections"
        ),
        sa.UniqueConstraint("sha256", name="uq_events_sha256"),
    )
    op.create_index("ix_events_inspection_id_kind", "events", ["inspection_id", "kind"])


def _forbid_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action} BEFORE {action.upper()} ON {table} "
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
