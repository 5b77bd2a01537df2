"""Alembic's entry: runs revisions on the connection that the caller opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from app.db.tables.base import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can, though Alembic assumes otherwise
)
with context.begin_transaction():
    context.run_migrations()
