"""Alembic's entry point: run the migrations on the connection that the caller opened.

:func:`nii.store.database.open_store` hands over a connection that already holds the lock for
writing, so two programs that start at once do not both migrate.
"""

from __future__ import annotations

from alembic import context

from nii.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
