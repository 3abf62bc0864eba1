"""Add indices: of the audit sample, for the next scan; of documents, with their scan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = "ix_queue_sampled"


def upgrade() -> None:
    """Add the index; it holds drawn inspections only."""
    drawn = sa.column("sampled", sa.Boolean).is_(True)
    columns = ["state", "waiting_since"]
    op.create_index(NAME, "queue", columns, sqlite_where=drawn, postgresql_where=drawn)
    op.create_index("ix_documents_value_scan_sha256", "documents", ["value", "scan_sha256"])
    op.drop_index("ix_documents_value", "documents")


def downgrade() -> None:
    """Take the index away."""
    op.drop_index(NAME, "queue")
    op.create_index("ix_documents_value", "documents", ["value"])
    op.drop_index("ix_documents_value_scan_sha256", "documents")
