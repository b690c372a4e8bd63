"""PostgreSQL: the embedded server, tables, migrations, idempotent upserts. Holds no raw events."""
