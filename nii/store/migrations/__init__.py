"""Alembic's scripts: each file in ``versions`` brings the database one step forward."""
