"""Alembic's entry: runs revisions on the connection and in the transaction ``migrate`` gives it."""

from __future__ import annotations

from alembic import context

from clickstream_guardian.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
